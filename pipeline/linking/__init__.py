"""Tracklets in, identities across cameras out."""
