"""Prefect flows: the ways in, wiring only."""

import atexit
import gc

# An interpreter that ends collects the garbage of all its modules first: 1.2 s with Prefect and
# MLflow among them. Registered first, so that it runs last.
atexit.register(gc.freeze)
