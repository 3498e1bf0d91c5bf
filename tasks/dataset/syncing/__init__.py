"""Copy a data set to its bucket and back: only changes, verified, resumable.

Objects that are not a data set are in :mod:`tasks.storage.uris`.
"""
