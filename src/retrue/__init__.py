"""Retrue keeps tabular models true while the world drifts."""
