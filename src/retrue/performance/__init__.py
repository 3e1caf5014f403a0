"""How well the serving model does: expected without labels, realised with them.

The estimate rests on calibrated scores, so labels that arrive later judge it: see `trust`.
"""
