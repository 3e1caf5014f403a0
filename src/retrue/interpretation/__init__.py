"""What a model leans on and why it says what it says: for all rows, for one row, over time."""
