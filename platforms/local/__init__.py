"""SageMaker on this machine: the same clients, with jobs and servers as detached processes.

Only :func:`platforms.connect` selects it. Nothing outside ``platforms`` imports from here.
"""
