"""What exists only while a run goes on: its processes, their channels, their state."""
