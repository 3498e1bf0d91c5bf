"""Tensor rules while the job trains: report each trigger once, and request a stop if asked to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sm_entrypoints.contract.choices import RuleAction
from sm_entrypoints.contract.rule_actions import action_of
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.result import Mark
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.rules import TENSOR_RULES, WATCHES
from sm_entrypoints.rules.tensor.watch import TensorWatch


class RuleWatch:
    """All tensor rules that are not off, fed with every record of a training as it is made.

    A rule's first trigger is printed in one line. ``stopped_by`` is where the first rule with the
    action ``stop`` triggered, ``stopping_rule`` its name.
    """

    def __init__(self, job: TensorJob, actions: Mapping[str, RuleAction]) -> None:
        self.stopped_by: Mark | None = None
        self.stopping_rule: str | None = None
        self._actions = dict(actions)
        self._said: set[str] = set()
        self._by_collection: dict[str, list[TensorWatch]] = defaultdict(list)
        parameters = {rule.name: rule.parameters for rule in TENSOR_RULES}
        for make in WATCHES:
            watch = make(job, parameters[make.rule])
            if action_of(actions, watch.rule) != "off":
                for collection in watch.collections:
                    self._by_collection[collection].append(watch)

    def observe(self, record: TensorRecord) -> None:
        """Show a record to every rule that uses its collection."""
        for watch in self._by_collection.get(record.collection, ()):
            mark = watch.observe(record)
            if mark is not None:
                self._triggered(watch.rule, mark)

    def stop_document(self) -> dict[str, Any] | None:
        """Return ``stopped_by`` as ``training.json`` and ``rules.json`` hold it."""
        if self.stopped_by is None:
            return None
        return {"rule": self.stopping_rule, **asdict(self.stopped_by)}

    @property
    def stop_sentence(self) -> str | None:
        """Return what stopped the training and what to do about it, for the failure file."""
        if self.stopped_by is None or self.stopping_rule is None:
            return None
        advice = next(r.recommendation for r in TENSOR_RULES if r.name == self.stopping_rule)
        return (
            f"stopped by rule {ended(describe(self.stopping_rule, self.stopped_by))} "
            f"{ended(advice)} (rules={self.stopping_rule}=warn lets the training continue)"
        )

    def _triggered(self, rule: str, mark: Mark) -> None:
        stops = action_of(self._actions, rule) == "stop" and self.stopped_by is None
        if stops:
            self.stopped_by, self.stopping_rule = mark, rule
        if rule not in self._said:
            self._said.add(rule)
            ending = "; stopping the training" if stops else ""
            print(f"rule {describe(rule, mark)}{ending}", flush=True)


def describe(rule: str, mark: Mark) -> str:
    """Return where a rule triggered, and why, in one line."""
    return f"{rule} at step {mark.step} (epoch {mark.epoch}, {mark.mode}): {mark.message}"
