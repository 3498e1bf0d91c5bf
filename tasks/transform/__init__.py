"""Many pictures through a model at once: a batch transform job, and its answers as one table.

For: what ``whippet predict DIR --out FILE`` and the flow ``transform-images`` share. Not for:
single requests to an endpoint (:mod:`tasks.querying`). No module here imports Prefect.
"""
