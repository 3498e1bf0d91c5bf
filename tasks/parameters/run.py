"""What people fill in: the Prefect UI's form, the CLI's options, ``prefect.yaml``.

One pydantic model per stage, frozen, with bounds; a misspelt name is an error, never ignored. The
models live below the flows because tasks read them too, and imports point one way.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from sm_entrypoints import contract
from sm_entrypoints.contract.choices import DebuggerUse, Lint, Preset, RuleAction, Strategy
from sm_entrypoints.contract.wire import Value
from tasks.parameters.data import DataParameters as DataParameters
from tasks.parameters.deployment import DeploymentParameters as DeploymentParameters
from tasks.parameters.model import ModelParameters as ModelParameters
from tasks.parameters.ranges import (
    CategoricalRange,
    SearchRange,
    preset_ranges,
    require_known,
    without_epochs,
)
from tasks.parameters.resources import Parameters as Parameters
from tasks.parameters.resources import ResourceParameters as ResourceParameters
from tasks.parameters.resources import field_for
from tasks.parameters.values import require_ranges, require_values, require_views, value_schemas

# How many trials a search has when nobody says: those of a packed one cost next to nothing.
PACKED_TRIALS = 64
TUNING_JOB_TRIALS = 6


_NAMES = {"propertyNames": {"enum": [*contract.HYPERPARAMETERS]}}
_HYPERPARAMETERS = {**_NAMES, "patternProperties": value_schemas()}


class TuningParameters(Parameters):
    """The hyperparameter search; its objective is the validation loss, never the test split.

    What ``strategy="auto"`` stands for is settled by :mod:`tasks.parameters.strategy`.
    """

    form_title = "search"
    form_advanced = "How trials run, what they search and keep fixed, and how they are checked."

    max_jobs: int | None = field_for("tuning.max_jobs", ge=1, le=750)
    max_parallel_jobs: int = field_for("tuning.max_parallel_jobs", ge=1, le=100)
    max_epochs: int = field_for("tuning.max_epochs", ge=1, le=500)
    strategy: Strategy = field_for("tuning.strategy")
    early_stopping: Literal["Off", "Auto"] = field_for("tuning.early_stopping")
    preset: Preset = field_for("tuning.preset")
    ranges: dict[str, SearchRange] | None = field_for(
        "tuning.ranges",
        form={
            "description": "Ranges to search in place of the preset, such as "
            '{"lr": {"type": "continuous", "min": 1e-4, "max": 1e-2, "scaling": "Logarithmic"}, '
            '"batch_size": {"type": "categorical", "values": [16, 32]}}.',
            **_NAMES,
        },
    )
    fixed: dict[str, Value] = field_for(
        "tuning.fixed",
        default_factory=dict,
        form={
            "description": 'Of every trial, such as {"optimizer": "adamw"}: see '
            "docs/hyperparameters.md.",
            **_HYPERPARAMETERS,
        },
    )
    seed: int = field_for(
        "tuning.seed", ge=0, le=2_147_483_647, form={"title": "Seed of the search"}
    )
    warm_start_from: list[str] = field_for(
        "tuning.warm_start_from", default_factory=list, max_length=5
    )
    lint: Lint = field_for("tuning.lint")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [*(self.ranges or {}), *self.fixed]
        require_known(names)
        require_ranges(self.ranges or {})
        require_values(self.fixed)
        require_views(self.fixed, self.ranges or {})
        if twice := sorted(set(self.ranges or {}) & set(self.fixed)):
            raise ValueError(f"hyperparameters {twice} are both searched and fixed: keep one")
        if self.ranges is not None and not self.ranges:
            raise ValueError("ranges is empty: name at least one hyperparameter to search")
        if not self.search_ranges():
            raise ValueError(
                f"nothing is left to search: every range is in `fixed`, or it is epochs and "
                f"max_epochs={self.max_epochs} leaves one choice"
            )
        if self.strategy == "Grid":
            self._require_grid()
        if self.strategy == "Hyperband" and self.early_stopping == "Auto":
            # SageMaker refuses the pair.
            raise ValueError(
                "strategy='Hyperband' stops trials by itself: use early_stopping='Off'"
            )
        return self

    def _require_grid(self) -> None:
        # SageMaker's Grid strategy takes categorical ranges only.
        spans = self.search_ranges()
        if wrong := [n for n, r in spans.items() if not isinstance(r, CategoricalRange)]:
            raise ValueError(
                f"strategy='Grid' needs categorical ranges, but {', '.join(wrong)} has bounds: "
                f"give `ranges` with type='categorical'"
            )

    def trials(self) -> int:
        """Return how many trials the search has at most; a grid's size follows from its values.

        Of ``auto``, as many as a tuning job has.
        """
        if self.strategy != "Grid":
            usual = PACKED_TRIALS if self.strategy == "packed" else TUNING_JOB_TRIALS
            return self.max_jobs or usual
        spans = self.search_ranges().values()
        return math.prod(len(s.values) for s in spans if isinstance(s, CategoricalRange))

    def search_ranges(self) -> dict[str, SearchRange]:
        """Return the ranges to search, with ``epochs`` kept within ``max_epochs``."""
        ranges = preset_ranges(self.preset) if self.ranges is None else self.ranges
        kept = {name: span for name, span in ranges.items() if name not in self.fixed}
        return without_epochs(kept, self.max_epochs)


class TrainingParameters(Parameters):
    """The instrumented training job on the best hyperparameters."""

    form_title = "final training"
    form_advanced = "Epochs, hyperparameters, what is recorded, and what the rules do."

    epochs: int | None = field_for("training.epochs", ge=1, le=500)
    hyperparameters: dict[str, Value] = field_for(
        "training.hyperparameters",
        default_factory=dict,
        form={
            "description": "Override or add to the best trial's, such as "
            '{"optimizer": "adamw"}: see docs/hyperparameters.md.',
            **_HYPERPARAMETERS,
        },
    )
    fine_tune: bool = field_for("training.fine_tune")
    debugger: DebuggerUse = field_for("training.debugger")
    save_interval: int = field_for("training.save_interval", ge=1, le=100_000)
    profiling_interval_ms: Literal[100, 200, 500, 1000, 5000, 60000] = field_for(
        "training.profiling_interval_ms"
    )
    rules: dict[str, RuleAction] = field_for(
        "training.rules",
        default_factory=dict,
        note='Such as {"ExplodingTensor": "stop"}.',
        form={"propertyNames": {"enum": [*contract.ONLINE_RULES, *contract.FINAL_RULES]}},
    )

    @field_validator("debugger", mode="before")
    @classmethod
    def _yes_and_no(cls, value: object) -> object:
        # Runs of earlier versions recorded a truth value.
        return {True: "auto", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("hyperparameters")
    @classmethod
    def _names_are_known(cls, value: dict[str, Value]) -> dict[str, Value]:
        require_known(value)
        require_values(value)
        return value

    @field_validator("rules")
    @classmethod
    def _rules_can_do_that(cls, value: dict[str, RuleAction]) -> dict[str, RuleAction]:
        for rule, action in value.items():
            contract.require_rule_action(rule, action)
        return value

    @model_validator(mode="after")
    def _rules_are_said_once(self) -> Self:
        if self.rules and "rules" in self.hyperparameters:
            raise ValueError("`rules` is given twice, also among `hyperparameters`: keep one")
        return self


# What a whole run takes, by the name of the flow's parameter.
RUN_PARAMETERS: dict[str, type[Parameters]] = {
    "data": DataParameters,
    "model": ModelParameters,
    "tuning": TuningParameters,
    "training": TrainingParameters,
    "deployment": DeploymentParameters,
    "resources": ResourceParameters,
}


class QueryParameters(Parameters):
    """One question to an endpoint."""

    endpoint: str = Field(
        min_length=1, max_length=63, title="Endpoint", description="Name of the endpoint."
    )
    image: str = Field(min_length=1, title="Image", description="Path of a JPEG or PNG file.")
