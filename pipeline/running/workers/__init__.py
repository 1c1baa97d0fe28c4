"""The processes of a run: each module has one `main`."""
