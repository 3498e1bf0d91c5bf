"""A cancel is never lost: the run sees to it itself, and what is left behind is ended later.

Prefect leaves it to the worker to end a cancelled run. When the worker has died, nobody does.
"""
