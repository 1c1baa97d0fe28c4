"""Distances beside and on top of FPR: baselines, fusion, sets of crops, links between tracklets."""
