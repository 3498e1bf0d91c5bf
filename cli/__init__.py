"""The ``whippet`` command: one module for each command, over the flows and the tasks.

What a command decides about a run is in :mod:`tasks`; nothing below this package knows of it.
"""
