"""Read files of smdebug and SageMaker's profiler, for ``whippet explain``; none are trusted.

Files of Whippet's own instrumentation are read by :mod:`sm_entrypoints.rules.reading`.
"""
