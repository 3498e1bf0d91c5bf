"""The rules named in a CreateTrainingJob request, and which of them this platform knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sm_entrypoints.contract import PROFILER_REPORT_RULE, RULES

Member = Literal["DebugRuleConfigurations", "ProfilerRuleConfigurations"]
STATUSES: Mapping[Member, str] = {
    "DebugRuleConfigurations": "DebugRuleEvaluationStatuses",
    "ProfilerRuleConfigurations": "ProfilerRuleEvaluationStatuses",
}
_RULE = "rule_to_invoke"
_SOURCE = "source_s3_uri"
_ACTION = "action_json"
# What SageMaker runs in a container of its own, and has no meaning for a process here.
_CONTAINER = ("InstanceType", "VolumeSizeInGB")
_NOTHING = (None, "", "None")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleConfiguration:
    """One rule of a request.

    Attributes:
        member: the request's list that it stands in.
        name: its ``RuleConfigurationName``, unique in the request.
        rule: the rule that it invokes; "" when it says none.
        parameters: its ``RuleParameters``.
        output_uri: its ``S3OutputPath``, if it has one.
    """

    member: Member
    name: str
    rule: str
    parameters: Mapping[str, str]
    output_uri: str | None = None

    @property
    def problem(self) -> str | None:
        """Why this platform cannot judge it, if so."""
        if self.parameters.get(_SOURCE) not in _NOTHING:
            return (
                f"custom rules are not run on this platform ({_SOURCE}="
                f"{self.parameters[_SOURCE]}): run it with smdebug.rules.invoke_rule over "
                "create_trial of the job's debug-output"
            )
        if not self.rule:
            return f"RuleParameters has no {_RULE}, so the rule to evaluate is unknown"
        if self.rule not in (*RULES, PROFILER_REPORT_RULE):
            return f"this platform has no rule {self.rule}; it has {', '.join(RULES)}"
        return None

    def document(self) -> dict[str, Any]:
        """Return it as the job environment's program reads it."""
        return {"name": self.name, "rule": self.rule, "parameters": dict(self.parameters)}


def rule_configurations(request: Mapping[str, Any]) -> list[RuleConfiguration]:
    """Return all rules of a request, those of the debugger first."""
    return [
        RuleConfiguration(
            member=member,
            name=each["RuleConfigurationName"],
            rule=each.get("RuleParameters", {}).get(_RULE, ""),
            parameters=each.get("RuleParameters", {}),
            output_uri=each.get("S3OutputPath"),
        )
        for member in STATUSES
        for each in request.get(member) or ()
    ]


def ignored_members(request: Mapping[str, Any]) -> list[str]:
    """Return the members of rule configurations that are set and change nothing here."""
    ignored = []
    for member in STATUSES:
        for each in request.get(member) or ():
            name = f"{member}[{each['RuleConfigurationName']}]"
            ignored += [f"{name}.{key}" for key in _CONTAINER if each.get(key)]
            if _ACTION in each.get("RuleParameters", {}):
                ignored.append(f"{name}.RuleParameters.{_ACTION}")
    return ignored


def configuration_problems(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the names of a request's rules: each becomes a folder's."""
    names = [each.name for each in rule_configurations(request)]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield f"RuleConfigurationName {name!r} is given {names.count(name)} times."
        if "/" in name or name in {".", ".."} or "\0" in name:
            yield f"RuleConfigurationName {name!r} cannot be the name of a folder."
