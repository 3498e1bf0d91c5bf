"""Status of a tuning job's record, and its supervisor until the status is final."""

from __future__ import annotations

from platforms.local.records import Kind
from platforms.local.supervision import Supervised

KIND: Kind = "tuning-jobs"


SUPERVISED = Supervised(
    kind=KIND,
    module="platforms.local.tuning.supervisor",
    prefix="HyperParameterTuning",
    resource="hyper-parameter-tuning-job",
)
