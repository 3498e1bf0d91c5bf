"""Put a folder of smdebug or SageMaker's profiler through Whippet's rules."""
