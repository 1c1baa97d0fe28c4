"""Cameras in, one identity per person across cameras out."""

__version__ = "0.2.0"
"""The only place where it is written; packaging reads it here."""
