"""The ruler: a store's tracks and identities against labelled truth."""
