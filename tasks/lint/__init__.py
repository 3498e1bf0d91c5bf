"""Find what would ruin a search before it costs anything: metrics, ranges, inputs, logs.

It never changes a request. Rules over a finished training are in :mod:`sm_entrypoints.rules`.
"""
