"""Prefect tasks: retries, caching, artifacts, and one call into retrue each."""
