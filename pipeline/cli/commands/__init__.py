"""The commands by topic: what can be typed; what is printed is beside this folder."""
