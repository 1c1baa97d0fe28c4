"""Networks that turn a crop into a map, cells, foreground and a pooled vector."""
