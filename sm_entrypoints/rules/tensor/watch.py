"""What all tensor rules share: they read records one by one, online and offline.

A rule is a :class:`TensorWatch`. While a job trains, ``rules.online`` feeds it records as they are
made; afterwards the :func:`tensor_rule` feeds the same class the records in the files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.result import Mark, RuleResult, not_applicable
from sm_entrypoints.rules.rule import Kind, Rule
from sm_entrypoints.rules.tensor.job import TensorJob

MOST_MARKS = 20
# Kept in ``details``: which tensors it was, most often first.
MOST_SUBJECTS = 10


class TensorWatch(ABC):
    """A rule's memory between records.

    Subclasses say in ``collections`` which records they want, and call :meth:`trigger`, or
    :meth:`lasting`. ``parameters`` are the thresholds in force, scaled to the job.
    """

    rule: ClassVar[str]
    collections: ClassVar[tuple[str, ...]]

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        self.job = job
        self.parameters = dict(parameters)
        self.datapoints = 0
        self.violations = 0
        self.triggered = 0
        self.marks: list[Mark] = []
        self.subjects: dict[str, int] = {}
        self._marked: set[str] = set()
        patience = self.parameters.get("patience")
        self._streak = Streak(1 if patience is None else int(patience))

    @abstractmethod
    def _look(self, record: TensorRecord) -> Mark | None:
        """Look at one record of ``collections``; return where the rule triggered, if it did."""

    def observe(self, record: TensorRecord) -> Mark | None:
        """Count a record and examine it; records of other collections are skipped."""
        if record.collection not in self.collections:
            return None
        self.datapoints += 1
        return self._look(record)

    def _reason_not_to_apply(self) -> str | None:
        """Return why the rule has nothing to say, or None; asked after the last record."""
        return None if self.datapoints else f"no {' or '.join(self.collections)} were recorded"

    def details(self) -> dict[str, Any]:
        """Return JSON values that show the evidence."""
        return {}

    def trigger(self, record: TensorRecord, message: str, subject: str | None = None) -> Mark:
        """Count a trigger at ``record``; each subject's first one is kept as a mark."""
        subject = record.name if subject is None else subject
        mark = Mark(
            step=record.step,
            epoch=record.epoch,
            mode=record.mode,
            subject=subject,
            message=message,
        )
        self.triggered += 1
        self.subjects[subject] = self.subjects.get(subject, 0) + 1
        if subject not in self._marked and len(self.marks) < MOST_MARKS:
            self._marked.add(subject)
            self.marks.append(mark)
        return mark

    def lasting(
        self, record: TensorRecord, broken: bool, message: str, subject: str | None = None
    ) -> Mark | None:
        """Count one look; trigger from the ``patience``-th broken one in a row of a subject on."""
        self.violations += broken
        if not self._streak.add(record.name if subject is None else subject, broken):
            return None
        return self.trigger(record, message, subject)

    def result(self) -> RuleResult:
        """Return what was found in all records so far."""
        reason = self._reason_not_to_apply()
        if reason is not None:
            return not_applicable(self.rule, reason)
        most = sorted(self.subjects.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_SUBJECTS]
        return RuleResult(
            rule=self.rule,
            status="IssuesFound" if self.triggered else "NoIssuesFound",
            triggered=self.triggered,
            violations=self.violations,
            datapoints=self.datapoints,
            details={**self.details(), **({"subjects": dict(most)} if most else {})},
            parameters=self.parameters,
            marks=tuple(self.marks),
        )


class Streak:
    """How often in a row something was so, by subject; ``patience`` of them make a fault."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._lengths: dict[str, int] = {}

    def add(self, subject: str, broken: bool) -> bool:
        """Count one look; True from the ``patience``-th broken one in a row on."""
        length = self._lengths.get(subject, 0) + 1 if broken else 0
        self._lengths[subject] = length
        return length >= self.patience


def tensor_rule(watch: type[TensorWatch], *, kind: Kind = "tensor", **texts: Any) -> Rule:
    """Return the rule that feeds a watch with all records; ``texts`` are its other members."""

    def evaluate(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
        fed = watch(TensorJob.from_evidence(evidence), parameters)
        for record in evidence.records:
            fed.observe(record)
        return fed.result()

    return Rule(name=watch.rule, kind=kind, evaluate=evaluate, **texts)


def is_weight(name: str) -> bool:
    """Whether a tensor is a layer's weight: biases may rest at zero in healthy networks.

    A bias before batch normalisation has no gradient by construction.
    """
    return name.endswith("weight")
