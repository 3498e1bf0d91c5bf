"""How a search is made: packed into one training job, or as a tuning job. Pure.

With a frozen backbone a picture's features never change, so one look at each picture is enough for
all trials. Where anything changes the features, every trial needs a training job of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from platforms.errors import ParameterError
from sm_entrypoints.contract.choices import Strategy
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS
from sm_entrypoints.contract.search import (
    SearchPlan,
    SearchPlanError,
    why_not_packed,
    why_not_searched,
)
from sm_entrypoints.contract.sentences import clause, counted, ended
from sm_entrypoints.contract.wire import Value
from tasks.parameters.run import (
    PACKED_TRIALS,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)

_LONGEST_TUNING_NAME = 32
_WHY = "the backbone is frozen, so one look at each picture{views} is enough for all trials"


class SearchChoice(BaseModel):
    """How the search of a run is made.

    Attributes:
        strategy: never ``auto``.
        sentence: says so, and why.
        notes: a sentence for each thing that was asked for and has no meaning here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy
    sentence: str
    notes: list[str] = []

    @property
    def is_packed(self) -> bool:
        """Whether all trials are in one training job."""
        return self.strategy == "packed"

    def settle(self, tuning: TuningParameters) -> TuningParameters:
        """Return the search with this strategy."""
        return tuning.model_copy(update={"strategy": self.strategy})


def choose_search(
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
    *,
    begun: Strategy | None = None,
) -> SearchChoice:
    """Return how a search is made, and a sentence that says why.

    Args:
        begun: how a run that goes on began its search; ``auto`` then stands for that.

    Raises:
        ParameterError: it shall be packed but cannot be; says why, and what to do.
    """
    asked = tuning.strategy
    if model.networks:
        _require_packed(model, tuning, resources)
    if asked == "auto" and begun is not None:
        return _choice(begun, "as this run began", tuning)
    if asked not in ("auto", "packed"):
        return _choice(asked, "as asked", tuning)
    obstacle = packing_obstacle(model, tuning, resources)
    if obstacle is None:
        viewed = HYPERPARAMETERS["views"].read(tuning.fixed.get("views", 0))
        why = _WHY.format(views=" and each of its views" if viewed else "")
        return _choice("packed", why if asked == "auto" else "as asked", tuning)
    if asked == "packed":
        raise ParameterError(
            f"strategy='packed' is not possible: {obstacle}, or use strategy='Bayesian'"
        )
    return _choice("Bayesian", f"{obstacle} to have it packed", tuning)


def _require_packed(
    model: ModelParameters, tuning: TuningParameters, resources: ResourceParameters
) -> None:
    """Check that several networks can be chosen among, which only a packed search does."""
    several = f"the choice among {counted(len(model.networks), 'network')} needs a packed search"
    if tuning.strategy not in ("auto", "packed"):
        raise ParameterError(
            f"{several}, but strategy={tuning.strategy!r}: use strategy='packed', or name one model"
        )
    obstacle = packing_obstacle(model, tuning, resources)
    if obstacle is not None:
        raise ParameterError(f"{several}, which is not possible: {obstacle}, or name one model")


def _choice(strategy: Strategy, why: str, tuning: TuningParameters) -> SearchChoice:
    packed = strategy == "packed"
    what = "packed into one training job" if packed else f"a tuning job ({strategy})"
    reason = f", {why}" if why.startswith("as ") else f", because {why}"
    return SearchChoice(
        strategy=strategy,
        sentence=ended(f"The search is {what}{reason}"),
        notes=_meaningless(tuning) if packed else [],
    )


def _meaningless(tuning: TuningParameters) -> list[str]:
    given = [
        f"{name}={value}"
        for name in ("max_parallel_jobs", "early_stopping")
        if (value := getattr(tuning, name)) != type(tuning).model_fields[name].default
    ]
    return [
        f"{each} has no meaning for a packed search, whose trials train together." for each in given
    ]


def packing_obstacle(
    model: ModelParameters, tuning: TuningParameters, resources: ResourceParameters
) -> str | None:
    """Return why a search cannot be packed into one training job, and what to set; None if it can.

    The text goes on a sentence, and another may follow it: ``…: set augmentation=none``.
    """
    fixed = {name: HYPERPARAMETERS[name].read(value) for name, value in tuning.fixed.items()}
    searched = (why_not_searched(name) for name in tuning.search_ranges())
    count = resources.instance_count
    instances = f"packed trials share one instance, not {count}: set instance_count=1"
    return (
        _why_not_frozen(model, fixed)
        or why_not_packed(fixed)
        or next(filter(None, searched), None)
        or (instances if count > 1 else None)
        or _why_not_said(tuning, model)
    )


def packed_plan(tuning: TuningParameters, networks: Sequence[str] = ()) -> SearchPlan:
    """Return what a packed search is asked to do; ``networks`` are to be chosen among.

    Raises:
        SearchPlanError: a range cannot be packed, or all of it is too long for a hyperparameter.
    """
    ranges = {name: span.model_dump() for name, span in tuning.search_ranges().items()}
    plan = SearchPlan.from_document(
        {
            "trials": tuning.max_jobs or PACKED_TRIALS,
            "ranges": ranges,
            "seed": tuning.seed,
            "max_epochs": tuning.max_epochs,
            "networks": list(networks),
        }
    )
    # A later attempt says whose trials it takes over, and must not be refused for its length.
    replace(plan, continues=("x" * _LONGEST_TUNING_NAME,)).to_json()
    return plan


def _why_not_said(tuning: TuningParameters, model: ModelParameters) -> str | None:
    try:
        packed_plan(tuning, [str(each) for each in model.networks])
    except SearchPlanError as error:
        return clause(error)
    return None


def _why_not_frozen(model: ModelParameters, fixed: dict[str, Value | None]) -> str | None:
    without_weights = "none" in (model.weights, fixed.get("weights"))
    trained = fixed.get("trainable", model.trained_layers)
    if trained == "auto":
        trained = "all" if without_weights else "head"
    if trained == "head":
        return None
    layers = "all layers train, so that features change with every step"
    if without_weights:
        return f"without pretrained weights {layers}: give weights"
    return f"{layers}: set trainable=head"
