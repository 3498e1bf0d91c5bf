"""Rules about time: where the steps of a job spend it, and on which device.

Rules about what the job learns are in :mod:`sm_entrypoints.rules.tensor`.
"""
