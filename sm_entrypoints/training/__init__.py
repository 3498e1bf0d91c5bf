"""One training: data in, steps, validation, checkpoints, outputs.

The program that runs it is ``sm_entrypoints/train.py``.
The network is in :mod:`sm_entrypoints.models`, what is recorded of a training in
:mod:`sm_entrypoints.instrumentation`.
"""
