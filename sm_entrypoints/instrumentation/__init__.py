"""Record a job's training: phases, tensors and the machine, at a bounded cost.

It never ends a training. What the records mean is decided in :mod:`sm_entrypoints.rules`.
"""
