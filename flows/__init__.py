"""Prefect flows: the ways in, wiring only."""
