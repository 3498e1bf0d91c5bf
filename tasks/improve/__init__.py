"""Turn a verdict into a comparison: what changes, what it may cost, and the result.

The comparison itself is a job: it is in :mod:`sm_entrypoints.comparison`.
"""
