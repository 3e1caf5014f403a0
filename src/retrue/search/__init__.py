"""Directed search for a recipe: processing, algorithm, hyperparameters."""
