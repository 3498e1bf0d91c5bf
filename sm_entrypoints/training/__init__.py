"""One training: data in, steps, validation, checkpoints, outputs.

The program that runs it is ``sm_entrypoints/train.py``.
"""
