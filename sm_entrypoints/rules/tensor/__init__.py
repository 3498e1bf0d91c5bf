"""Rules about tensors and losses: what goes wrong in learning itself.

Rules about how fast it goes are in :mod:`sm_entrypoints.rules.profiler`.
"""
