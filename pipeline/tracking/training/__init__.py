"""Makes the person detector that ships."""
