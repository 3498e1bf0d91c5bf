"""Training jobs: the request, the folder tree, the process, its supervisor and its records.

Searches are in :mod:`platforms.local.tuning.jobs`; the walls around a job in
:mod:`platforms.local.boundary`.
"""
