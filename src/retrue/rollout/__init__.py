"""Bringing a version in: shadow, canary, switch and watch, and back when it is out of bounds."""
