"""The plan of a packed search on the wire, and what is said of one that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS
from sm_entrypoints.contract.search import (
    PACKABLE,
    SearchPlan,
    SearchPlanError,
    why_not_packed,
    why_not_searched,
)
from sm_entrypoints.contract.search_progress import progress_folder

DOCUMENT: dict[str, Any] = {
    "trials": 64,
    "ranges": {
        "lr": {"type": "continuous", "min": 1e-4, "max": 1e-2, "scaling": "Logarithmic"},
        "epochs": {"type": "integer", "min": 2, "max": 5},
        "batch_size": {"type": "categorical", "values": [16, 32, "64"]},
        "optimizer": {"type": "categorical", "values": ["adam", "sgd"]},
    },
    "seed": 7,
    "max_epochs": 5,
}


def test_a_plan_is_read_back_equal_in_each_way_that_it_travels() -> None:
    plan = SearchPlan.from_json(json.dumps(DOCUMENT))
    assert plan.trials == 64
    assert plan.ranges["batch_size"].values == ("16", "32", "64")
    assert plan.ranges["epochs"].document() == {"type": "integer", "min": 2, "max": 5}
    text = plan.to_json()
    assert SearchPlan.from_document(json.loads(text)) == plan
    as_python = str(json.loads(text))
    assert "'" in as_python
    # What SageMaker's toolkit puts on the command line.
    members = ",".join(f"{key}={value}" for key, value in sorted(json.loads(text).items()))
    assert "sampling=tpe,seed=7" in members
    for travelled in (text, json.dumps(text), as_python, f"  {as_python} ", members):
        assert SearchPlan.from_json(travelled) == plan
    assert "continues" not in text, "the request of a first attempt is as it always was"
    later = SearchPlan.from_document({**DOCUMENT, "continues": ["pets-0a1b2c-tune"]})
    members = ",".join(f"{key}={value}" for key, value in json.loads(later.to_json()).items())
    assert SearchPlan.from_json(members) == later


def test_all_attempts_at_a_search_keep_their_progress_in_one_place() -> None:
    first = SearchPlan.from_document(DOCUMENT)
    later = SearchPlan.from_document({**DOCUMENT, "continues": ["pets-tune"]})
    assert progress_folder(first, "pets-tune") == "search-pets-tune"
    assert progress_folder(later, "pets-tune-2") == "search-pets-tune"
    assert progress_folder(first, "pets-tune-2") == "search-pets-tune-2"


def test_scales_are_those_of_a_search_on_this_machine() -> None:
    spans = {
        "lr": {"type": "continuous", "min": 1e-4, "max": 1e-2},
        "eps": {"type": "continuous", "min": 1e-9, "max": 1e-8},
        "momentum": {"type": "continuous", "min": 0, "max": 0.99, "scaling": "ReverseLogarithmic"},
    }
    ranges = SearchPlan.from_document({"trials": 1, "ranges": spans}).ranges
    found = {name: span.drawn_scale for name, span in ranges.items()}
    assert found == {"lr": "Logarithmic", "eps": "Linear", "momentum": "ReverseLogarithmic"}


LR = DOCUMENT["ranges"]["lr"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trials": 0}, "trials=0 must be a whole number from 1 to 10,000"),
        ({"trials": True}, "trials=True must be a whole number"),
        ({"trails": 3}, "unknown member 'trails': did you mean 'trials'?"),
        ({"seed": -1}, "seed=-1 must be"),
        ({"generation": 0}, "generation=0 must be"),
        ({"sampling": "grid"}, "sampling='grid' must be one of tpe, random"),
        ({"pruning": None}, "pruning=None must be one of auto, on, off"),
        ({"max_epochs": 1}, "begins at 2, above max_epochs=1"),
        ({"continues": "pets"}, "continues='pets' is not a list of names"),
        ({"continues": ["a", "b"]}, "must be a list of one name of a training job"),
        ({"continues": ["../pets"]}, "must be a list of one name of a training job"),
        ({"ranges": {}}, "ranges is empty"),
        ({"ranges": [LR]}, "is not an object"),
        ({"ranges": {"lrr": LR}}, "unknown hyperparameter 'lrr': did you mean 'lr'?"),
        ({"ranges": {"image_size": LR}}, "image_size cannot be searched by trials that share"),
        ({"ranges": {"threads": LR}}, "threads is the same for all trials"),
        ({"ranges": {"lr": 3}}, "the range of lr is 3, not an object"),
        ({"ranges": {"lr": {**LR, "step": 1}}}, "unknown members ['step']"),
        ({"ranges": {"lr": {**LR, "min": 1e-1}}}, "from 0.1 to 0.01: min must be below max"),
        ({"ranges": {"lr": {**LR, "min": 0}}}, "hyperparameter lr='0': must be a number > 0"),
        ({"ranges": {"lr": {**LR, "max": float("inf")}}}, "max=inf: it must be a number"),
        ({"ranges": {"lr": {**LR, "max": "1"}}}, "max='1': it must be a number"),
        ({"ranges": {"lr": {**LR, "scaling": "Log"}}}, "scaling='Log'; known: Auto"),
        ({"ranges": {"weight_decay": {**LR, "min": 0}}}, "logarithmic, but min=0.0"),
        (
            {"ranges": {"batch_size": {**LR, "min": 2, "max": 9}}},
            "it is a whole number: use integer",
        ),
        ({"ranges": {"epochs": {"type": "integer", "min": 1.5, "max": 2}}}, "a whole number"),
        ({"ranges": {"optimizer": {"type": "categorical", "values": []}}}, "list at least one"),
        ({"ranges": {"optimizer": {"type": "categorical", "values": ["lion"]}}}, "one of adam"),
        ({"ranges": {"lr": {"type": "categorical", "values": [0.1, "0.1"]}}}, "0.1 twice"),
    ],
)
def test_a_wrong_plan_is_refused_with_what_is_wrong(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SearchPlanError) as refused:
        SearchPlan.from_document({**DOCUMENT, **changed})
    assert said in str(refused.value)
    assert isinstance(refused.value, JobError)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "{'trials': __import__('os')}", "{" * 5_000])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(SearchPlanError, match="is not a JSON object"):
        SearchPlan.from_json(text)


@pytest.mark.parametrize("name", ["trials", "ranges"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(SearchPlanError, match=f"{name} is missing"):
        SearchPlan.from_document({key: DOCUMENT[key] for key in DOCUMENT if key != name})


def test_a_plan_that_sagemaker_would_refuse_is_not_sent() -> None:
    values = [f"{1e-6 * each:.12g}" for each in range(1, 400)]
    span = {"type": "categorical", "values": values}
    plan = SearchPlan.from_document({"trials": 1, "ranges": {"lr": span}})
    with pytest.raises(SearchPlanError, match="has at most 2,500: search fewer"):
        plan.to_json()


def test_what_changes_features_is_not_searched() -> None:
    refused = {name for name in HYPERPARAMETERS if why_not_searched(name)}
    assert refused == set(HYPERPARAMETERS) - set(PACKABLE)
    assert {name for name, row in HYPERPARAMETERS.items() if row.makes_data} <= refused


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ({}, None),
        ({"augmentation": "none", "trainable": "auto", "cache_features": "true"}, None),
        ({"augmentation": "flip"}, "set views=1, which mirrors each image once, or augmentation="),
        ({"augmentation": "standard", "views": "0"}, "augmentation=standard changes the images"),
        ({"augmentation": "standard", "views": "4"}, None),
        ({"augmentation": "flip", "views": '"1"', "cache_features": "true"}, None),
        ({"augmentation": "flip", "views": "2", "trainable": "all"}, "changes the whole network"),
        ({"trainable": '"all"'}, "trainable=all changes the whole network"),
        ({"cache_features": "false"}, "keeps no features to share"),
        ({"instrumentation": "on"}, "watches one network"),
    ],
)
def test_why_trials_cannot_be_packed(fixed: dict[str, str], said: str | None) -> None:
    reason = why_not_packed(fixed)
    assert (reason is None) if said is None else (reason is not None and said in reason)
