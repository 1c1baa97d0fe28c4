"""Cameras and recordings in, frames with source time out."""
