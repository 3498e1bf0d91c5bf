"""Which searches are packed into one training job, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from platforms.errors import ParameterError
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS, Bounds
from sm_entrypoints.contract.search import PACKABLE, SearchPlan
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, IntegerRange
from tasks.parameters.run import (
    PACKED_TRIALS,
    TUNING_JOB_TRIALS,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)
from tasks.parameters.strategy import SearchChoice, choose_search, packed_plan

HEAD = ModelParameters()
ONE = ResourceParameters()


def chosen(
    model: ModelParameters = HEAD, resources: ResourceParameters = ONE, **tuning: Any
) -> SearchChoice:
    return choose_search(model, TuningParameters(**tuning), resources)


def searched(name: str, *values: Any) -> dict[str, Any]:
    lr = ContinuousRange(min=1e-4, max=1e-2)
    return {"ranges": {name: CategoricalRange(values=list(values)), "lr": lr}}


@pytest.mark.parametrize(
    "tuning",
    [
        {},
        {"preset": "lr-batch-epochs", "max_epochs": 5},
        {"preset": "lr-batch-eps-decay"},
        {"fixed": {"augmentation": "none", "cache_features": "auto", "optimizer": "sgd"}},
        {"fixed": {"trainable": "head"}},
        {"fixed": {"augmentation": "standard", "views": 4}},
        {"fixed": {"augmentation": "flip", "views": "1", "cache_features": True}},
        {"fixed": {"instrumentation": "off", "rules": "ExplodingTensor=stop"}},
        searched("optimizer", "adam", "sgd"),
        searched("seed", 1, 2, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "model",
    [HEAD, ModelParameters(weights="s3://b/w.pt"), ModelParameters(trainable="head")],
    ids=["default", "weights of one's own", "head"],
)
def test_a_frozen_backbone_is_searched_in_one_job(model, tuning):
    found = chosen(model, **tuning)
    assert (found.strategy, found.notes) == ("packed", [])
    views = " and each of its views" if "views" in tuning.get("fixed", {}) else ""
    assert found.sentence == (
        "The search is packed into one training job, because the backbone is frozen, so one look "
        f"at each picture{views} is enough for all trials."
    )
    assert chosen(model, strategy="packed", **tuning).strategy == "packed"


ALL = ModelParameters(trainable="all")
RANDOM = ModelParameters(weights="none")
TWO = ResourceParameters(instance_type="ml.g5.xlarge", instance_count=2)
UNPACKED: list[tuple[ModelParameters, ResourceParameters, dict[str, Any], str]] = [
    (ALL, ONE, {}, "all layers train, so that features change with every step: set trainable=head"),
    (RANDOM, ONE, {}, "without pretrained weights all layers train.*: give weights"),
    (HEAD, ONE, {"fixed": {"trainable": "all"}}, "all layers train"),
    (HEAD, ONE, {"fixed": {"trainable": "auto", "weights": "none"}}, "without pretrained weights"),
    (HEAD, ONE, {"fixed": {"augmentation": "flip"}}, "augmentation=flip changes the images"),
    (HEAD, ONE, {"fixed": {"augmentation": "Standard"}}, "augmentation=standard changes"),
    (HEAD, ONE, {"fixed": {"augmentation": "standard", "views": 0}}, "set views=4, which makes 4"),
    (ALL, ONE, {"fixed": {"augmentation": "standard", "views": 4}}, "all layers train"),
    (HEAD, ONE, searched("views", 1, 2), "views cannot be searched"),
    (HEAD, ONE, {"fixed": {"cache_features": False}}, "cache_features=false keeps no features"),
    (HEAD, ONE, {"fixed": {"instrumentation": "on"}}, "instrumentation=on watches one network"),
    (HEAD, ONE, searched("augmentation", "none", "flip"), "augmentation cannot be searched"),
    (HEAD, ONE, searched("image_size", 96, 128), "image_size cannot be searched"),
    (HEAD, ONE, searched("model", "resnet18", "resnet34"), "model cannot be searched"),
    (HEAD, ONE, searched("precision", "float32", "bfloat16"), "precision cannot be searched"),
    (HEAD, ONE, searched("channels_last", "true", "false"), "channels_last cannot be searched"),
    (HEAD, ONE, searched("threads", 1, 2), "threads is the same for all trials of one job"),
    (HEAD, TWO, {}, "packed trials share one instance, not 2: set instance_count=1"),
]


@pytest.mark.parametrize(
    ("model", "resources", "tuning", "why"), UNPACKED, ids=lambda e: str(e)[:50]
)
def test_what_cannot_be_packed_is_a_tuning_job_or_refused_with_the_reason(
    model, resources, tuning, why
):
    found = chosen(model, resources, **tuning)
    assert found.strategy == "Bayesian"
    assert found.sentence.startswith("The search is a tuning job (Bayesian), because ")
    assert found.sentence.endswith(" to have it packed.")
    with pytest.raises(ParameterError, match=why) as refused:
        chosen(model, resources, strategy="packed", **tuning)
    assert str(refused.value).startswith("strategy='packed' is not possible: ")
    assert str(refused.value).endswith(", or use strategy='Bayesian'")
    assert str(refused.value)[36:-28] in found.sentence, "both give one reason"


def test_nothing_that_may_be_searched_is_undecided():
    """Each hyperparameter is packed, or a reason is given why it is not."""
    own = {
        "image_size": ("64", "96"),
        "model": ("resnet18", "resnet34"),
        "rules": ("", "DeadRelu=warn"),
        **dict.fromkeys(("eps", "label_smoothing", "momentum"), ("0.1", "0.2")),
    }
    for name, row in HYPERPARAMETERS.items():
        words = ("1", "2") if isinstance(row.domain, Bounds) else row.domain
        ranges = {name: CategoricalRange(values=list(own.get(name) or words or ()))}
        found = chosen(ranges=ranges, max_epochs=9)
        assert (found.strategy == "packed") == (name in PACKABLE), name


def test_views_of_images_that_do_not_change_are_refused():
    with pytest.raises(ValueError, match="views=2 needs augmentation=flip or standard"):
        TuningParameters(fixed={"views": 2})
    lr = searched("augmentation", "flip", "standard")
    assert TuningParameters(fixed={"views": 2}, **lr).fixed == {"views": 2}
    assert TuningParameters(fixed={"views": 0}).fixed == {"views": 0}


@pytest.mark.parametrize("strategy", ["Bayesian", "Random", "Hyperband"])
def test_what_was_asked_for_stands(strategy):
    found = chosen(strategy=strategy)
    assert found.strategy == strategy
    assert found.sentence == f"The search is a tuning job ({strategy}), as asked."


def test_a_run_that_goes_on_searches_as_it_began():
    for begun, trials in (("Bayesian", TUNING_JOB_TRIALS), ("packed", PACKED_TRIALS)):
        tuning = TuningParameters()
        found = choose_search(HEAD, tuning, ONE, begun=begun)
        assert found.strategy == begun
        assert found.sentence.endswith(", as this run began.")
        assert found.settle(tuning).trials() == trials
    asked = TuningParameters(strategy="Random")
    assert choose_search(HEAD, asked, ONE, begun="Random").strategy == "Random"


def test_what_has_no_meaning_for_packed_trials_is_said():
    found = chosen(max_parallel_jobs=4, early_stopping="Auto")
    assert found.notes == [
        "max_parallel_jobs=4 has no meaning for a packed search, whose trials train together.",
        "early_stopping=Auto has no meaning for a packed search, whose trials train together.",
    ]
    assert chosen(max_parallel_jobs=4, strategy="Random").notes == []


def test_how_many_trials_follows_from_the_strategy_until_somebody_says():
    assert TuningParameters(strategy="packed").trials() == PACKED_TRIALS >= 64
    assert TuningParameters(strategy="Random").trials() == TUNING_JOB_TRIALS == 6
    for strategy in ("packed", "Bayesian"):
        assert TuningParameters(strategy=strategy, max_jobs=9).trials() == 9


def test_the_plan_carries_the_whole_search():
    tuning = TuningParameters(
        strategy="packed",
        max_jobs=7,
        seed=5,
        max_epochs=3,
        ranges={
            "lr": ContinuousRange(min=1e-4, max=1e-2, scaling="Logarithmic"),
            "epochs": IntegerRange(min=1, max=9),
            "batch_size": CategoricalRange(values=[16, 32]),
        },
    )
    plan = packed_plan(tuning)
    assert SearchPlan.from_json(plan.to_json()) == plan
    assert (plan.trials, plan.seed, plan.max_epochs) == (7, 5, 3)
    assert (plan.ranges["lr"].low, plan.ranges["lr"].scale) == (1e-4, "Logarithmic")
    assert plan.ranges["epochs"].high == 3, "cut to max_epochs"
    assert plan.ranges["batch_size"].values == ("16", "32")


def test_a_search_that_is_too_long_to_say_is_not_packed():
    long = [round(0.001 + number * 1.23456789e-4, 16) for number in range(30)]
    names = ("lr", "weight_decay", "eps", "momentum", "label_smoothing", "warmup_epochs")
    ranges = {name: CategoricalRange(values=long) for name in names}
    found = chosen(ranges=ranges)
    assert found.strategy == "Bayesian"
    assert "a hyperparameter has at most 2,500: search fewer" in found.sentence
