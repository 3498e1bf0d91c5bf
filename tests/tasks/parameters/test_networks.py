"""Several networks as a parameter: names, what goes with them, and the search that they need."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from platforms.errors import ParameterError
from sm_entrypoints.contract.networks import AUTO_NETWORKS
from sm_entrypoints.contract.search import MOST_CHARACTERS
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.parameters.strategy import choose_search, packed_plan


def test_one_network_is_no_choice():
    assert ModelParameters().networks == ()
    older = ModelParameters(architecture="resnet50:IMAGENET1K_V1")
    assert older.networks == ()
    assert (older.first.architecture, older.first.weights) == ("resnet50", "IMAGENET1K_V1")


def test_several_and_auto_are_a_choice():
    model = ModelParameters(architecture=" mobilenet_v2, squeezenet1_1")
    assert model.architecture == "mobilenet_v2,squeezenet1_1"
    assert [str(each) for each in model.networks] == ["mobilenet_v2", "squeezenet1_1"]
    assert tuple(map(str, ModelParameters(architecture="auto").networks)) == AUTO_NETWORKS
    plan = packed_plan(TuningParameters(), AUTO_NETWORKS)
    assert len(plan.to_json()) < MOST_CHARACTERS
    assert "networks" not in packed_plan(TuningParameters()).to_json()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"architecture": "resnet18,mobilnet_v2"}, "unknown model 'mobilnet_v2': did you mean"),
        ({"architecture": ","}, "unknown model ','"),
        ({"architecture": ""}, "unknown model ''"),
        ({"architecture": "resnet18,resnet18"}, "resnet18 is given twice"),
        ({"architecture": "resnet50:IMAGENET1K_V3"}, "did you mean IMAGENET1K_V"),
        ({"architecture": "resnet18:IMAGENET1K_V2"}, "unknown weights 'IMAGENET1K_V2'"),
        ({"architecture": "auto", "weights": "w.pt"}, "weights='w.pt' cannot be those of several"),
        ({"architecture": "auto", "weights": "none"}, "weights='none' cannot be those of several"),
        ({"architecture": "auto", "trainable": "all"}, "name one model"),
    ],
    ids=str,
)
def test_what_makes_no_choice_is_refused(given: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        ModelParameters(**given)


SEVERAL = ModelParameters(architecture="mobilenet_v2,squeezenet1_1")
NEEDS = "the choice among 2 networks needs a packed search"


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"strategy": "Bayesian"}, f"{NEEDS}, but strategy='Bayesian': use strategy='packed'"),
        ({"fixed": {"augmentation": "flip"}}, f"{NEEDS}, which is not possible: augmentation=flip"),
        ({"fixed": {"trainable": "all"}}, f"{NEEDS}, which is not possible: all layers train"),
    ],
    ids=str,
)
def test_a_choice_needs_a_packed_search(tuning: dict[str, Any], said: str):
    with pytest.raises(ParameterError) as refused:
        choose_search(SEVERAL, TuningParameters(**tuning), ResourceParameters())
    assert str(refused.value).startswith(said)
    assert str(refused.value).endswith("or name one model")


def test_the_search_of_a_choice_is_packed():
    for strategy in ("auto", "packed"):
        found = choose_search(SEVERAL, TuningParameters(strategy=strategy), ResourceParameters())
        assert found.is_packed
