"""Crops of people: data sets, who is held out, how crops are varied."""
