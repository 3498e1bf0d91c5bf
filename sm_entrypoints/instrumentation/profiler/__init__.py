"""The machine under a training: system metrics, operators, workers, GPUs.

What they mean for the training is in :mod:`sm_entrypoints.rules.profiler`.
"""
