from __future__ import annotations

import pytest
from pydantic import ValidationError

from platforms.errors import ParameterError
from tasks.parameters.improvement import ImprovementParameters
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, IntegerRange, preset_ranges
from tasks.parameters.run import TrainingParameters, TuningParameters
from tasks.parameters.values import require_batches, require_ranges, require_values


@pytest.mark.parametrize("name", ["quick", "lr-batch-epochs", "lr-batch-eps-decay"])
def test_presets_are_within_the_bounds(name):
    require_ranges(preset_ranges(name))


@pytest.mark.parametrize(
    "values",
    [
        {"lr": 100, "eps": 1, "momentum": 0, "batch_size": 1, "num_workers": -1},
        {"lr": "1e-3", "batch_size": "32", "epochs": 3.0, "warmup_epochs": 0.5},
        {"cache_features": True, "channels_last": "False", "optimizer": "AdamW"},
        {"backbone_lr": "none", "rules": "anything", "model": "resnet18"},
    ],
)
def test_what_the_job_takes_is_taken(values):
    require_values(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": "abc"}, "lr='abc': must be a number > 0 and <= 100"),
        ({"lr": 0}, "lr=0: must be a number > 0"),
        ({"lr": -1}, "lr=-1: must be"),
        ({"lr": True}, "lr=True: must be a number"),
        ({"lr": "nan"}, "lr='nan': must be a number"),
        ({"model": "resnet81"}, "unknown model 'resnet81': did you mean resnet18"),
        ({"lr": "inf"}, "lr='inf': must be a number"),
        ({"momentum": 1}, "momentum=1: must be a number >= 0 and < 1"),
        ({"epochs": 0}, "epochs=0: must be a whole number >= 1"),
        ({"batch_size": 1.5}, "batch_size=1.5: must be a whole number"),
        ({"batch_size": 100_000}, "and <= 65536"),
        ({"num_workers": "none"}, "num_workers='none': must be a whole number"),
        ({"optimizer": "foo"}, "optimizer='foo': must be one of adam, adamw, sgd"),
        ({"optimizer": 1}, "optimizer=1: must be one of"),
        ({"cache_features": "yes"}, "cache_features='yes': must be one of auto, true, false"),
    ],
)
def test_what_the_job_refuses_is_refused_before_it(values, message):
    with pytest.raises(ValueError, match=message):
        require_values(values)
    for model in (
        lambda: TuningParameters(fixed=values),
        lambda: TrainingParameters(hyperparameters=values),
        lambda: ImprovementParameters(change=values),
    ):
        with pytest.raises(ValidationError, match=message):
            model()


@pytest.mark.parametrize(
    ("name", "span", "message"),
    [
        ("lr", ContinuousRange(min=0, max=1), "lr=0.0: must be a number > 0"),
        ("batch_size", IntegerRange(min=0, max=9), "batch_size=0: must be a whole number >= 1"),
        ("batch_size", ContinuousRange(min=8, max=9), "give a range of integers, not 8.0:9.0"),
        ("optimizer", CategoricalRange(values=["sgd", "foo"]), "optimizer='foo'"),
        ("optimizer", IntegerRange(min=1, max=3), "optimizer=1: must be one of"),
    ],
)
def test_a_range_with_values_that_the_job_refuses(name, span, message):
    with pytest.raises(ValueError, match=message):
        require_ranges({name: span})
    with pytest.raises(ValidationError, match=message):
        TuningParameters(ranges={name: span})


ONE = {"model": "resnet18", "trainable": "all", "image_size": 32, "batch_size": 1}


@pytest.mark.parametrize(
    ("change", "least"),
    [({}, 33), ({"model": "inception_v3", "image_size": 100}, 107), ({"model": "densenet121"}, 64)],
)
def test_a_batch_of_one_that_batch_normalisation_cannot_learn_from(change, least):
    said = (
        rf"batch_size=1 cannot train all layers of .*image_size={least} or more, or trainable=head"
    )
    with pytest.raises(ParameterError, match=said):
        require_batches({**ONE, **change}, {})
    drawn = {**ONE, **change, "batch_size": 8}
    with pytest.raises(ParameterError, match=said):
        require_batches(drawn, {"batch_size": CategoricalRange(values=[4, 1])})
    with pytest.raises(ParameterError, match=said):
        require_batches(drawn, {"batch_size": IntegerRange(min=1, max=4)})


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 2},
        {"batch_size": "best trial's batch_size"},
        {"image_size": 224},
        {"trainable": "head"},
        {"model": "vgg11"},
        {"model": "vit_b_16"},
        {"model": "googlenet", "image_size": 64},
    ],
)
def test_batches_that_can_be_learned_from(change):
    require_batches({**ONE, **change}, {})
