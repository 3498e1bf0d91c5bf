"""Objects in buckets: list, download, receive, always verified and resumable.

Nothing here knows about pictures: data sets are in :mod:`tasks.dataset.syncing`.
"""
