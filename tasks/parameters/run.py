"""What people fill in: the Prefect UI's form, the CLI's options, ``prefect.yaml``.

One pydantic model per stage, frozen, with bounds; a misspelt name is an error, never ignored. The
models live below the flows because tasks read them too, and imports point one way.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from platforms.endpoint_kinds import EndpointKind
from sm_entrypoints import contract
from sm_entrypoints.contract.choices import Approve, DebuggerUse, Preset, RuleAction, Strategy
from sm_entrypoints.contract.hyperparameters import Trainable
from sm_entrypoints.contract.networks import AUTO, Network, networks_of
from sm_entrypoints.contract.wire import Value
from tasks.parameters.data import DataParameters as DataParameters
from tasks.parameters.networks import require_choice
from tasks.parameters.options import option_of
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
from tasks.parameters.typed_path import TypedPath, as_typed
from tasks.parameters.values import require_ranges, require_values, require_views


class ModelParameters(Parameters):
    """The network that is fine-tuned and where its weights come from."""

    architecture: str = field_for("model.architecture")
    weights: str = field_for("model.weights", min_length=1)
    weights_typed: TypedPath | None = Field(
        None, description="How the path of weights was typed, and where: shown in its place."
    )
    trainable: Trainable = field_for("model.trainable")
    image_size: int = field_for("model.image_size", ge=32, le=1024)

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str) -> str:
        return ",".join(map(str, networks_of(value))) if value.strip() != AUTO else AUTO

    @model_validator(mode="after")
    def _several_have_weights_of_their_own(self) -> Self:
        if self.networks:
            require_choice(self.architecture, self.shown_weights, self.trainable)
        return self

    @model_validator(mode="after")
    def _random_backbone_must_train(self) -> Self:
        if self.weights == "none" and self.trainable == "head":
            raise ValueError(
                "weights='none' with trainable='head' freezes a random backbone, which learns "
                "next to nothing: use trainable='all', or weights"
            )
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks to choose among; none where one is named."""
        named = networks_of(self.architecture)
        return named if len(named) > 1 else ()

    @property
    def first(self) -> Network:
        """The network that is named, or the first of several."""
        return networks_of(self.architecture)[0]

    @property
    def shown_weights(self) -> str:
        """The weights as they were typed."""
        return as_typed(self.weights, self.weights_typed)

    @property
    def trained_layers(self) -> Literal["head", "all"]:
        """What trains: ``head`` when there are weights to keep, ``all`` otherwise."""
        auto: Literal["head", "all"] = "all" if self.weights == "none" else "head"
        return auto if self.trainable == "auto" else self.trainable


# How many trials a search has when nobody says: those of a packed one cost next to nothing.
PACKED_TRIALS = 64
TUNING_JOB_TRIALS = 6


class TuningParameters(Parameters):
    """The hyperparameter search; its objective is the validation loss, never the test split.

    What ``strategy="auto"`` stands for is settled by :mod:`tasks.parameters.strategy`.
    """

    max_jobs: int | None = field_for("tuning.max_jobs", ge=1, le=750)
    max_parallel_jobs: int = field_for("tuning.max_parallel_jobs", ge=1, le=100)
    max_epochs: int = field_for("tuning.max_epochs", ge=1, le=500)
    strategy: Strategy = field_for("tuning.strategy")
    early_stopping: Literal["Off", "Auto"] = field_for("tuning.early_stopping")
    preset: Preset = field_for("tuning.preset")
    ranges: dict[str, SearchRange] | None = Field(
        None, description="Own ranges by hyperparameter; replaces the preset."
    )
    fixed: dict[str, Value] = Field(
        default_factory=dict, description="Fixed hyperparameters of every trial."
    )
    seed: int = Field(0, ge=0, le=2_147_483_647, description="RandomSeed of the search.")
    warm_start_from: list[str] = Field(
        default_factory=list, max_length=5, description="Finished searches to learn from."
    )
    lint: Literal["error", "warn", "off"] = Field(
        "error", description="Whether the trials of the search are linted; `off` leaves it out."
    )

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

    epochs: int | None = field_for("training.epochs", ge=1, le=500)
    hyperparameters: dict[str, Value] = Field(
        default_factory=dict, description="Override or add to the best hyperparameters."
    )
    fine_tune: bool = field_for("training.fine_tune")
    debugger: DebuggerUse = field_for("training.debugger")
    save_interval: int = Field(
        20, ge=1, le=100_000, description="Steps between saved tensors; losses every step."
    )
    profiling_interval_ms: Literal[100, 200, 500, 1000, 5000, 60000] = Field(
        500, description="System metrics are sampled this often."
    )
    rules: dict[str, RuleAction] = Field(
        default_factory=dict, description=option_of("training.rules").sentence
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


class DeploymentParameters(Parameters):
    """The endpoint: what it runs on, how it is tested, how long it may live."""

    kind: EndpointKind = field_for(
        "deployment.kind",
        note="real_time: instances that wait; serverless: billed by use; asynchronous: instances, "
        "and a queue of objects in S3.",
    )
    instance_type: str = field_for("deployment.instance_type", pattern=r"^ml\.")
    instance_count: int = Field(1, ge=1, le=16)
    max_instances: int | None = field_for("deployment.max_instances", ge=2, le=100)
    invocations_per_instance: int = Field(
        200, ge=1, le=1_000_000, description="Invocations a minute that one instance should have."
    )
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = field_for("deployment.memory_mb")
    max_concurrency: int = field_for("deployment.max_concurrency", ge=1, le=200)
    smoke_images: int = Field(
        6, ge=1, le=100, description="Labelled images it must answer before it counts as deployed."
    )
    hours_to_live: float = field_for("deployment.hours_to_live", gt=0, le=8760)
    top_k: int = Field(5, ge=1, le=100, description="Labels in an answer.")
    approve: Approve = field_for("deployment.approve")
    margin_points: float = field_for("deployment.margin_points", gt=0, le=50)
    approve_hours: float = field_for("deployment.approve_hours", gt=0, le=720)

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        instances = ("instance_type", "instance_count")
        takes: dict[EndpointKind, tuple[str, ...]] = {
            "serverless": ("memory_mb", "max_concurrency"),
            "asynchronous": instances,
            "real_time": (*instances, "max_instances", "invocations_per_instance"),
        }
        # What was left at its default was not asked for.
        options = {name for names in takes.values() for name in names}
        changed = {n for n in options if getattr(self, n) != type(self).model_fields[n].default}
        if wrong := sorted(changed - set(takes[self.kind])):
            raise ValueError(
                f"{', '.join(wrong)} have no meaning for an endpoint of kind {self.kind!r}: "
                f"leave them out (it takes {', '.join(takes[self.kind])})"
            )
        if self.max_instances is not None and self.max_instances <= self.instance_count:
            raise ValueError(
                f"max_instances={self.max_instances} must be more than "
                f"instance_count={self.instance_count}, where scaling starts"
            )
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

    endpoint: str = Field(min_length=1, max_length=63, description="Name of the endpoint.")
    image: str = Field(description="A JPEG or PNG file.")
