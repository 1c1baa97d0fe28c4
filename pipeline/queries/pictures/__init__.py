"""Answers as pictures and films."""
