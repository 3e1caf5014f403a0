"""The server of one model version: what runs in the image, and nothing else of Retrue."""
