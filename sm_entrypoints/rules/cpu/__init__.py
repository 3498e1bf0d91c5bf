"""Rules about the CPU: too little use, too much, and at which steps.

Rules about the GPU are in :mod:`sm_entrypoints.rules.profiler`.
"""
