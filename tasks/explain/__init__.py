"""Apply Whippet's rules to a folder written by smdebug or SageMaker's profiler."""
