"""Prefect flows: the ways in, wiring only."""

import atexit
import gc

from retrue import memory

# Of each process that runs flows, and before any of their modules imports Arrow.
memory.part_with_large()
# An interpreter that ends collects the garbage of all its modules first: 1.2 s with Prefect and
# MLflow among them. Registered first, so that it runs last.
atexit.register(gc.freeze)
