"""The shape of features is known before any number is computed."""

from __future__ import annotations

import pytest
import torch

from sm_entrypoints.features.backbone import Backbone, feature_shape
from tests.sm_entrypoints.features.worlds import Counted, built


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "mobilenet_v3_small", "resnet18"])
def test_the_shape_is_that_of_computed_features_and_costs_no_forward_pass(
    architecture: str,
) -> None:
    made = built(architecture)
    counted = Counted(made)
    shape = feature_shape(made)
    assert counted.take() == 0, "hooks of others see pictures only"
    pixels = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    assert Backbone(made).features(pixels).shape[1:] == shape
    assert all(tensor.device.type == "cpu" for tensor in made.model.state_dict().values())
