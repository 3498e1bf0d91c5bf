"""Batch transform jobs: send every object below an S3 prefix to a model, one ``.out`` for each.

For: ``CreateTransformJob`` and its siblings on this machine, with a model server for each job. Not
for: endpoints (:mod:`platforms.local.hosting.endpoints`), although the model server is the same
program.
"""
