"""Apply Whippet's rules to a folder written by smdebug or SageMaker's profiler.

The rules themselves are in :mod:`sm_entrypoints.rules`, which run in the job environment.
"""
