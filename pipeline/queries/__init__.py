"""Questions to the store; answers are records, files and pictures."""
