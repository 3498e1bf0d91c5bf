"""CloudWatch Logs of the local platform, read from the logs of jobs.

:class:`~platforms.local.job_logs.operations.LocalLogs` has the operations with which the SDKs and
the AWS CLI (``aws logs tail``) follow logs: one log group per kind of job, one stream per job.

Nothing is written here: each supervisor writes the log of its own job.
"""
