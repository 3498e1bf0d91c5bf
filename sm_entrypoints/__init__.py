"""What runs inside a job or a model server: the programs, started by path, and their library.

Not for the orchestrator, which imports :mod:`sm_entrypoints.contract` and how pictures are read.
"""
