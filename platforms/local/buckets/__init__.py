"""Buckets of the local platform: folders of this machine, or a server that speaks S3.

How a data set is synchronised with a bucket is in :mod:`tasks.dataset.syncing`.
"""
