"""Turn a verdict into a comparison: what is changed, what it may cost, what came of it."""
