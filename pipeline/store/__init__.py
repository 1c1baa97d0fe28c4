"""What is kept, and its one writer."""
