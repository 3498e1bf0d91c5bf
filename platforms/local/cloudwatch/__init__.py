"""CloudWatch metrics of the local platform, read from what training jobs logged.

:class:`~platforms.local.cloudwatch.operations.LocalCloudWatch` answers ``GetMetricStatistics``,
``GetMetricData`` and ``ListMetrics``, from which notebooks and the SDKs draw learning curves.

Nothing is recorded here: logs are in :mod:`platforms.local.job_logs`.
"""
