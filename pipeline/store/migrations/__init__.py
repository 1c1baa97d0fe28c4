"""The history of the store's schema, applied when a store is opened for writing."""
