"""What a rule is: text for people, thresholds, and a function of the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.result import RuleResult

Kind = Literal["tensor", "profiler", "data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the report.

    Attributes:
        name: AWS's name where AWS has the rule. kind: what it examines. description: one sentence
        on what it looks for. threshold: when it triggers, in words, with numbers. recommendation:
        what to do when it has triggered. parameters: defaults of its thresholds. evaluate: the rule
        itself; takes the evidence and the parameters in force.
    """

    name: str
    kind: Kind = "profiler"
    description: str
    threshold: str
    recommendation: str
    evaluate: Callable[[Evidence, Mapping[str, Any]], RuleResult]
    parameters: Mapping[str, Any] = field(default_factory=dict)
