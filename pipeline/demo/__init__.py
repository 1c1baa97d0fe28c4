"""A two-camera scene with known truth, made from photographs that come with an installed package."""
