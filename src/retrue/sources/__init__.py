"""Sources: every way a table comes in, read whole, typed, and refused where it is damaged."""
