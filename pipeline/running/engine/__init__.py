"""What starts the workers of a run, and where."""
