"""One file for each revision of the schema; `schema.REVISIONS` lists them in order."""
