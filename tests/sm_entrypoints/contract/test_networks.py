"""The names of networks and of their weights."""

from __future__ import annotations

import pytest
import torchvision

from sm_entrypoints.contract import ARCHITECTURES
from sm_entrypoints.contract.networks import (
    AUTO_NETWORKS,
    NON_COMMERCIAL,
    Network,
    networks_of,
    read_networks,
    weights_names,
)

# Weights of feature layers alone, which no classifier can use.
NOT_OFFERED = {("vgg16", "IMAGENET1K_FEATURES")}


def test_weights_are_those_that_torchvision_has() -> None:
    for name in ARCHITECTURES:
        theirs = {each.name for each in torchvision.models.get_model_weights(name)}
        offered = {each for each in theirs if (name, each) not in NOT_OFFERED}
        assert set(weights_names(name)) == offered, name


def test_licences_are_those_that_torchvision_names() -> None:
    for name in ARCHITECTURES:
        weights = torchvision.models.get_model_weights(name)
        for each in weights:
            if (name, each.name) in NOT_OFFERED:
                continue
            licence = "NC" in each.name or "SWAG" in each.name
            assert bool(Network(name, each.name).licence) == licence
        assert bool(Network(name).licence) == ("SWAG" in weights.DEFAULT.name)
    assert Network("vit_h_14").licence == NON_COMMERCIAL


def test_a_name_is_read_as_it_is_written() -> None:
    for text in AUTO_NETWORKS:
        assert str(Network.parse(text)) == text
    files = {each.weights_file for each in read_networks(AUTO_NETWORKS)}
    assert len(files) == len(AUTO_NETWORKS)
    assert not any(each.licence for each in read_networks(AUTO_NETWORKS))
    assert networks_of("auto") == read_networks(AUTO_NETWORKS)
    with pytest.raises(ValueError, match="25 networks are too many"):
        read_networks(ARCHITECTURES[:25])
