"""Cameras that are watched as it happens: capture that can be killed, reconnects, time, load."""
