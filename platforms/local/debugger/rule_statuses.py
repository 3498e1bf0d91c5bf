"""``DebugRuleEvaluationStatuses`` and ``ProfilerRuleEvaluationStatuses`` of a job's record."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platforms.local.debugger.rule_configurations import STATUSES, rule_configurations
from platforms.local.records import Record, now

IN_PROGRESS = "InProgress"
# botocore's model: StatusDetails has at most so many characters.
_MOST_CHARACTERS = 1024
_JOB_CHARACTERS, _RULE_CHARACTERS = 26, 26


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStatus:
    """The status of one rule: SageMaker's ``RuleEvaluationStatus`` and its details."""

    status: str
    details: str | None = None


NOTHING_TO_JUDGE = RuleStatus(
    status="Stopped", details="The training job ended before there was anything to evaluate."
)
UNJUDGED = RuleStatus(
    status="Error",
    details="InternalServerError: the process that evaluates the rules ended before it had "
    "finished (killed, or the machine restarted).",
)


def first_statuses(request: Mapping[str, Any], arn_prefix: str) -> dict[str, Any]:
    """Return the members of a new record: every rule in progress; none without rules.

    Args:
        request: the CreateTrainingJob request.
        arn_prefix: ``arn:aws:sagemaker:REGION:ACCOUNT:processing-job/``.
    """
    members: dict[str, Any] = {}
    for each in rule_configurations(request):
        name = _job_name(request["TrainingJobName"], each.name)
        members.setdefault(STATUSES[each.member], []).append(
            {
                "RuleConfigurationName": each.name,
                "RuleEvaluationJobArn": f"{arn_prefix}{name}",
                "RuleEvaluationStatus": IN_PROGRESS,
                "LastModifiedTime": now(),
            }
        )
    return members


def in_progress(record: Mapping[str, Any]) -> bool:
    """Tell whether a rule of the record has no final status yet."""
    return any(each["RuleEvaluationStatus"] == IN_PROGRESS for each in _all(record))


def with_statuses(record: Record, found: Mapping[str, RuleStatus]) -> Record:
    """Return the record with the statuses by configuration name; final ones stay unchanged."""
    moment = now()
    changed = dict(record)
    for member in STATUSES.values():
        if member in record:
            changed[member] = [
                _with_status(each, found.get(each["RuleConfigurationName"]), moment)
                for each in record[member]
            ]
    return changed


def closed(record: Record, status: RuleStatus) -> Record:
    """Return the record with ``status`` for every rule that has no final one."""
    names = [each["RuleConfigurationName"] for each in _all(record)]
    return with_statuses(record, dict.fromkeys(names, status))


def _with_status(row: dict[str, Any], found: RuleStatus | None, moment: str) -> dict[str, Any]:
    if found is None or row["RuleEvaluationStatus"] != IN_PROGRESS:
        return row
    # The model allows no line breaks.
    details = " ".join((found.details or "").split())[:_MOST_CHARACTERS]
    told = {"StatusDetails": details} if details else {}
    return {**row, "RuleEvaluationStatus": found.status, **told, "LastModifiedTime": moment}


def _all(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for member in STATUSES.values():
        yield from record.get(member) or ()


def _job_name(job: str, rule: str) -> str:
    """Return the name of a rule's evaluation job, as SageMaker makes it: job-rule-digest."""
    digest = hashlib.sha256(f"{job}\0{rule}".encode()).hexdigest()[:8]
    plain = re.sub(r"[^a-z0-9]+", "-", rule.lower())
    parts = (job[:_JOB_CHARACTERS], plain[:_RULE_CHARACTERS], digest)
    return "-".join(text for part in parts if (text := part.strip("-")))
