"""Turn a verdict into a comparison: what changes, what it may cost, and the result."""
