"""What `reid.train` is made of."""
