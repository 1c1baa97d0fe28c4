"""Frames in, closed tracklets with their best crops out."""
