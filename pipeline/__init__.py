"""Cameras in, one identity per person across cameras out."""
