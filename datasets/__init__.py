"""Recipes of the data and classifiers that the package brings; run from the repository, not installed."""
