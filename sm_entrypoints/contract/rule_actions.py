"""What a rule does when it triggers: warn, stop the training, or nothing (off)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sm_entrypoints.contract import require_rule_action
from sm_entrypoints.contract.choices import RuleAction

DEFAULT_ACTION: RuleAction = "warn"


def parse_actions(text: str) -> dict[str, RuleAction]:
    """Read ``ExplodingTensor=stop,Overtraining=off``, the hyperparameter ``rules``.

    Rules that are not named warn. Blanks and empty parts are passed over.

    Raises:
        ValueError: a part is not RULE=ACTION, a rule or action is unknown, a rule is given twice,
            or one is to stop that is evaluated at the end only.
    """
    actions: dict[str, RuleAction] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        rule, equals, action = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(f"{part!r} is not RULE=ACTION, such as ExplodingTensor=stop")
        require_rule_action(rule, action)
        if rule in actions:
            raise ValueError(f"rule {rule} is given twice")
        actions[rule] = cast(RuleAction, action)
    return actions


def action_of(actions: Mapping[str, RuleAction], rule: str) -> RuleAction:
    """Return the action of a rule; the default when it is not named."""
    return actions.get(rule, DEFAULT_ACTION)
