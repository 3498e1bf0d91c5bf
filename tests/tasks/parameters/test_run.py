from __future__ import annotations

import inspect
import json

import pytest
from pydantic import ValidationError

from tasks.parameters import run as parameters
from tasks.parameters import upkeep
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, IntegerRange
from tasks.parameters.run import (
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    Parameters,
    QueryParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.parameters.upkeep import CleanUpParameters, RecoverParameters

MODELS = [
    model
    for module in (parameters, upkeep)
    for _, model in inspect.getmembers(module, inspect.isclass)
    if issubclass(model, Parameters) and model is not Parameters
]
NEEDED = {QueryParameters: {"endpoint": "e", "image": "i.jpg"}}


def test_every_model_is_found():
    assert len(MODELS) == 9
    assert {CleanUpParameters, RecoverParameters} < set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_misspelt_names_are_errors_and_values_do_not_change(model):
    made = model(**NEEDED.get(model, {}))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(model.model_fields)), "other")
    with pytest.raises(
        ValidationError, match=r"did you mean 'max_jobs'|Extra inputs are not permitted"
    ):
        model(**NEEDED.get(model, {}), max_job=3)


@pytest.mark.parametrize("model", MODELS)
def test_forms_can_be_built_and_values_survive_json(model):
    schema = model.model_json_schema()
    assert schema["properties"]
    json.dumps(schema)
    made = model(**NEEDED.get(model, {}))
    assert model.model_validate_json(made.model_dump_json()) == made


def test_unknown_model_gets_a_suggestion():
    with pytest.raises(ValidationError, match="unknown model 'resnet81': did you mean resnet18"):
        ModelParameters(architecture="resnet81")


@pytest.mark.parametrize(
    ("weights", "trainable", "expected"),
    [
        ("imagenet", "auto", "head"),
        ("imagenet", "all", "all"),
        ("s3://b/w.pt", "auto", "head"),
        ("none", "auto", "all"),
        ("none", "all", "all"),
    ],
)
def test_what_trains_follows_from_the_weights(weights, trainable, expected):
    assert ModelParameters(weights=weights, trainable=trainable).trained_layers == expected


def test_a_frozen_random_backbone_is_refused():
    with pytest.raises(ValidationError, match="freezes a random backbone"):
        ModelParameters(weights="none", trainable="head")


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (DataParameters, {"path": ""}),
        (DataParameters, {"name": "a_b"}),
        (DataParameters, {"name": "../x"}),
        (DataParameters, {"name": "a\n"}),
        (DataParameters, {"valid_share": 0}),
        (DataParameters, {"test_share": 0.5}),
        (ModelParameters, {"image_size": 31}),
        (ModelParameters, {"weights": ""}),
        (ResourceParameters, {"instance_type": "m5.xlarge"}),
        (ResourceParameters, {"max_runtime_seconds": 59}),
        (TuningParameters, {"max_jobs": 0}),
        (TuningParameters, {"max_parallel_jobs": 101}),
        (TuningParameters, {"strategy": "Bayes"}),
        (TuningParameters, {"warm_start_from": list("abcdef")}),
        (TuningParameters, {"fixed": {"lr": float("nan")}}),
        (TrainingParameters, {"profiling_interval_ms": 300}),
        (TrainingParameters, {"hyperparameters": {"lr": float("inf")}}),
        (TrainingParameters, {"hyperparameters": {"learning_rate": 1}}),
        (TrainingParameters, {"rules": {"DeadRelu": "halt"}}),
        (DeploymentParameters, {"hours_to_live": 0}),
        (DeploymentParameters, {"hours_to_live": float("nan")}),
        (QueryParameters, {"endpoint": "", "image": "x"}),
        (CleanUpParameters, {"dry_run": "perhaps"}),
    ],
)
def test_values_out_of_bounds_are_refused(model, values):
    with pytest.raises(ValidationError) as refused:
        model(**values)
    (problem,) = {error["loc"][0] for error in refused.value.errors()}
    assert problem in values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rules": {"ExplodingTensors": "stop"}}, "did you mean 'ExplodingTensor'"),
        ({"rules": {"deadrelu": "warn"}}, "did you mean 'DeadRelu'"),
        ({"rules": {"Confusion": "stop"}}, "Confusion cannot stop a training"),
        (
            {"rules": {"DeadRelu": "stop"}, "hyperparameters": {"rules": "DeadRelu=warn"}},
            "`rules` is given twice",
        ),
    ],
)
def test_rules_that_cannot_do_what_is_asked(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainingParameters(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ranges": {"learning_rat": {"type": "integer", "min": 1, "max": 2}}}, "unknown hyperpar"),
        ({"fixed": {"optimiser": "adam"}}, "did you mean 'optimizer'"),
        (
            {
                "ranges": {"lr": {"type": "continuous", "min": 0.1, "max": 1}},
                "fixed": {"lr": 0.1},
            },
            r"\['lr'\] are both searched and fixed",
        ),
        ({"ranges": {}}, "name at least one"),
        ({"ranges": {"lr": {"type": "continuous", "min": 1, "max": 0.1}}}, "range is reversed"),
        ({"strategy": "Grid"}, "needs categorical ranges, but lr, weight_decay has bounds"),
        ({"strategy": "Hyperband", "early_stopping": "Auto"}, "early_stopping='Off'"),
        (
            {"fixed": {"lr": 0.1, "batch_size": 16, "weight_decay": 0.1}},
            "nothing is left to search",
        ),
        (
            {"ranges": {"epochs": {"type": "integer", "min": 2, "max": 5}}, "max_epochs": 2},
            "nothing is left to search.*max_epochs=2",
        ),
    ],
)
def test_contradictions_in_a_search_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        TuningParameters(**values)


def test_search_ranges_leave_out_what_is_fixed_and_cut_epochs():
    tuning = TuningParameters(preset="lr-batch-epochs", fixed={"lr": 0.1}, max_epochs=3)
    assert tuning.search_ranges() == {
        "batch_size": CategoricalRange(values=[32, 64, 128, 256, 512]),
        "epochs": IntegerRange(min=2, max=3),
    }


def test_own_ranges_replace_the_preset():
    lr = ContinuousRange(min=0.1, max=1)
    assert TuningParameters(ranges={"lr": lr}).search_ranges() == {"lr": lr}


def test_a_grids_size_follows_from_its_values():
    grid = TuningParameters(
        strategy="Grid",
        max_jobs=2,
        ranges={
            "batch_size": CategoricalRange(values=[16, 32, 64]),
            "optimizer": CategoricalRange(values=["adam", "sgd"]),
        },
    )
    assert grid.trials() == 6
    assert TuningParameters(max_jobs=9).trials() == 9


@pytest.mark.parametrize(
    ("group", "given", "meant"),
    [
        (DataParameters, {"pth": "x"}, "'path'"),
        (DataParameters, {"skip-bad": True}, "'skip_bad'"),
        (ModelParameters, {"weigths": "none"}, "'weights'"),
        (TuningParameters, {"max_job": 1}, "'max_jobs'"),
    ],
)
def test_a_misspelt_name_is_put_right(group, given, meant):
    with pytest.raises(ValidationError, match=f"there is no '.*': did you mean {meant}"):
        group.model_validate(given)


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": "../x"}, "name a folder in the data folder"),
        ({"train": "/x"}, "name a folder in the data folder"),
        ({"train": " "}, "name a folder in the data folder"),
        ({"test": "x"}, "there must be a split to train on"),
        ({"training": "x"}, "'train', 'valid' or 'test'"),
    ],
)
def test_splits_are_folders_in_the_data_folder(splits, said):
    with pytest.raises(ValidationError, match=said):
        DataParameters(splits=splits)
    assert DataParameters(splits={}).reading().splits == {}
    assert DataParameters().reading().splits is None
