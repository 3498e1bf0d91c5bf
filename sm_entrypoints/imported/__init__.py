"""Read what smdebug and SageMaker's profiler wrote, for ``whippet explain``: folders of strangers.

What Whippet's own instrumentation writes is read by :mod:`sm_entrypoints.rules.reading`.
"""
