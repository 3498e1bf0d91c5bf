"""SageMaker's ``Search`` over the records of this machine: jobs, models and endpoints.

Nothing is indexed: each search reads the records (:mod:`platforms.local.records`).
"""
