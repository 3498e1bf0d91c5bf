"""What a packed search was asked for: its plan, and the hyperparameters of all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sm_entrypoints.contract.arguments import (
    HyperparameterError,
    TrainingArguments,
    parse_arguments,
)
from sm_entrypoints.contract.search import (
    SEARCH_HYPERPARAMETER,
    SearchPlan,
    SearchPlanError,
    why_not_packed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A plan, and what is fixed in it: one value of each hyperparameter that is not drawn."""

    plan: SearchPlan
    fixed: TrainingArguments

    @classmethod
    def parse(cls, argv: Sequence[str]) -> SearchRequest:
        """Read ``--search PLAN`` and the hyperparameters of ``train.py``.

        Raises:
            HyperparameterError: as of ``train.py``, or there is no plan, or two.
            SearchPlanError: the plan is wrong, or its trials cannot share features.
        """
        plans, rest = _split(argv)
        if len(plans) != 1:
            raise HyperparameterError(
                f"hyperparameter {SEARCH_HYPERPARAMETER!r} is "
                f"{'given twice' if plans else 'missing: give it the plan of the search'}"
            )
        plan, fixed = SearchPlan.from_json(plans[0]), parse_arguments(rest)
        reason = why_not_packed(asdict(fixed))
        if reason:
            raise SearchPlanError(f"the trials cannot be packed into one job: {reason}")
        return cls(plan=plan, fixed=fixed)

    def of_model(self, model: str) -> SearchRequest:
        """Return the same search with another network."""
        return replace(self, fixed=replace(self.fixed, model=model))

    def arguments(self, texts: Mapping[str, str]) -> TrainingArguments:
        """Return all hyperparameters of a trial that drew ``texts``."""
        arguments = TrainingArguments(**{**asdict(self.fixed), **texts})
        most = self.plan.max_epochs or arguments.epochs
        return replace(arguments, epochs=min(arguments.epochs, most))


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the values of ``--search``, and the other arguments as they are."""
    plans, rest, left = [], [], list(argv)
    while left:
        option = left.pop(0)
        key, equals, text = option.partition("=")
        if key.lstrip("-") == SEARCH_HYPERPARAMETER and option.startswith("-"):
            plans.append(text if equals else left.pop(0) if left else "")
            continue
        rest.append(option)
        if option.startswith("-") and not equals and left:
            rest.append(left.pop(0))
    return plans, rest
