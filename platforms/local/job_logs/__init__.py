"""CloudWatch Logs of the local platform, read from the logs of jobs.

:class:`~platforms.local.job_logs.operations.LocalLogs` has the operations that the SDKs and the
AWS CLI (``aws logs tail``) follow logs with: a log group for each kind, one stream a job.
"""
