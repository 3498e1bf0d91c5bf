"""Features that jobs keep in the bucket: what there is, how much of it may stay, removing it.

Not for making them, which jobs do (:mod:`sm_entrypoints.features`); no run ever needs any.
"""
