"""The local platform for tests: jobs, searches and model servers of a second, the API over HTTP.

Their programs need no torch. Not for runs of the whole pipeline: those are in `tests/worlds`.
"""
