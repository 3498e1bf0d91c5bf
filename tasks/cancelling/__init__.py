"""A cancel is never lost: the run completes it itself, or it is completed later.

Prefect leaves it to the worker to end a cancelled run. If the worker has died, nobody does.

Stopping the jobs of a cancelled run is in :mod:`tasks.requests.stop`.
"""
