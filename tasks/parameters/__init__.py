"""What people fill in: the forms of the flows, checked before any work or cost.

Nothing here asks a platform. The hyperparameters are in :mod:`sm_entrypoints.contract`.
"""
