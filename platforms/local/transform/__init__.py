"""Batch transform jobs: every object below an S3 prefix through a model, an ``.out`` for each.

For: ``CreateTransformJob`` and its siblings on this machine, with a model server of the job's own.
Not for: endpoints (:mod:`platforms.local.hosting.endpoints`), though the model server is the same
program.
"""

from platforms.local.transform.jobs import TransformJobs

__all__ = ["TransformJobs"]
