"""The JSON documents of an improvement: what jobs wrote, and ``improvement.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from pydantic import JsonValue

from sm_entrypoints.contract.wire import Value

Seconds = Mapping[str, float]  # by variant, or by stage


class Gain(TypedDict, total=False):
    """What a verdict expects of its change, of the whole job."""

    kind: Literal["speed", "quality", "none"]
    factor: float | None
    seconds: float | None


class Verdict(TypedDict, total=False):
    """What is read of ``verdict.json``."""

    change: dict[str, Value] | None
    expected_gain: Gain | None
    sentence: str


class TrainingSummary(TypedDict, total=False):
    """What is read of ``training.json``."""

    epochs_run: int | None
    cached_features: bool | None
    features_from_epoch: int | None
    seconds: Seconds


class Estimate(TypedDict):
    """A measured value with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float


class Speed(TypedDict):
    """What alternating blocks of both variants took."""

    blocks: Sequence[Mapping[str, float | str]]
    pairs: int
    seconds_per_image: Seconds
    ratio: Estimate
    control: Estimate | None
    one_time_seconds: Seconds


class Quality(TypedDict):
    """What short trainings of both variants came to; None is a loss that diverged."""

    mean_loss: Mapping[str, float | None]


class JobLength(TypedDict):
    """What a job as long as the real one takes with each variant."""

    epochs: int
    seconds: Seconds
    saved_seconds: float


class Comparison(TypedDict, total=False):
    """What is read of ``comparison.json``."""

    change: dict[str, Value]
    before: dict[str, Value]
    measure: str
    decision: str
    reason: str
    job: JobLength | None
    speed: Speed | None
    quality: Quality | None
    seconds: float


class Saved(TypedDict):
    """What each job of this length takes less (negative: more); None where no price is known."""

    seconds: float
    epochs: int
    instance_type: str
    usd_per_hour: float | None
    usd: float | None
    usd_of_comparison: float | None
    prices: str | None


class WholeJob(TypedDict):
    """How many times as fast the whole job is, expected and measured on one basis."""

    basis: str
    rest_seconds: float
    seconds: dict[str, float]
    factor: float
    saved_seconds: float
    expected_factor: JsonValue
    expected_saved_seconds: JsonValue


class Improvement(TypedDict):
    """The content of ``improvement.json``; without a job there was nothing to change."""

    run: str
    training_job: str
    job: str | None
    verdict: str
    expected_gain: dict[str, JsonValue]
    change: dict[str, Value]
    before: dict[str, Value]
    decision: str
    reason: str
    saved: Saved | None
    whole_job: WholeJob | None
    improved_hyperparameters: dict[str, Value] | None
    options: list[str]
    comparison: Comparison | None
