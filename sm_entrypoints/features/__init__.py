"""Features: what a frozen backbone makes of each picture, computed once and kept in files.

Not for what learns from them: that is :mod:`sm_entrypoints.training`. Nothing kept is ever needed:
what is missing, damaged or of another network is computed again.
"""
