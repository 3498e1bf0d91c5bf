"""Buckets of the local platform: folders of this machine, or an S3 server.

Synchronising a data set with a bucket is in :mod:`tasks.dataset.syncing`.
"""
