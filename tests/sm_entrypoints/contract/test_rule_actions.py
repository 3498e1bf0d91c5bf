"""What people write about rules, and what is said when it cannot be."""

from __future__ import annotations

import pytest

from sm_entrypoints.contract.arguments import HyperparameterError, parse_arguments
from sm_entrypoints.contract.rule_actions import action_of, parse_actions


def test_actions_are_read() -> None:
    found = parse_actions(" ExplodingTensor=stop, Overtraining = off ,,StepOutlier=warn")
    assert found == {"ExplodingTensor": "stop", "Overtraining": "off", "StepOutlier": "warn"}
    assert action_of(found, "Overtraining") == "off"
    assert action_of(found, "DeadRelu") == "warn"
    assert parse_actions("") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ExplodingTensor", "is not RULE=ACTION"),
        ("ExplodingTensr=stop", "did you mean 'ExplodingTensor'"),
        ("deadrelu=stop", "did you mean 'DeadRelu'"),
        ("DeadRelu=halt", "'halt' is not one of warn, stop, off"),
        ("DeadRelu=stop,DeadRelu=off", "given twice"),
        ("BatchSize=stop", "BatchSize cannot stop a training"),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_actions(text)
    with pytest.raises(HyperparameterError, match="hyperparameter rules="):
        parse_arguments([f"--rules={text}"])


def test_the_hyperparameter_is_kept_as_it_is() -> None:
    assert parse_arguments(["--rules", "DeadRelu=stop"]).rules == "DeadRelu=stop"
