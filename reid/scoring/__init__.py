"""What `reid.evaluate` is made of: embeddings, methods, CMC and AP, published results."""
