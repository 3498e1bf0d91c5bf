"""CloudWatch Logs of the local platform, read from the logs of training jobs.

:class:`~platforms.local.job_logs.operations.LocalLogs` has the operations that the SDKs and the
AWS CLI (``aws logs tail``) follow logs with: one log group, one stream a job.
"""
