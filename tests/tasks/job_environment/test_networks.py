"""Weights of several networks in one place for the search, and each alone for what follows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from platforms import Platform
from platforms.errors import DataError
from sm_entrypoints.contract.networks import AUTO_NETWORKS
from tasks.job_environment.networks import bring_networks
from tasks.job_environment.weights import PreparedWeights
from tasks.requests.inputs import TrainingInputs
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import training_inputs


def platform_over(store: MemoryStore) -> Platform:
    platform = fake_platform()
    platform.store = lambda bucket: store
    return platform


def test_weights_lie_together_and_alone(tmp_path: Path):
    def prepare(name: str) -> PreparedWeights:
        if name.startswith("resnet"):
            raise DataError(f"there are none of {name}.")
        file = tmp_path / name.replace(":", "-")
        file.write_bytes(name.encode())
        digest = hashlib.sha256(name.encode()).hexdigest()
        return PreparedWeights(file=file, sha256=digest, source=f"package of {name}")

    store = MemoryStore()
    platform, told = platform_over(store), list[str]()
    names = ["mobilenet_v2", "resnet18", "mobilenet_v2:IMAGENET1K_V1"]
    found = bring_networks(platform, names, prepare=prepare, skip=True, tell=told.append)
    assert told == ["model=auto leaves out resnet18: there are none of resnet18."]
    assert found.left_out == {"resnet18": "there are none of resnet18"}
    assert set(found.networks) == {"mobilenet_v2", "mobilenet_v2:IMAGENET1K_V1"}
    keys = {each["path"] for batch in obstore.list(store) for each in batch}
    assert found.uri is not None
    together = found.uri.split("/", 3)[3]
    assert {f"{together}mobilenet_v2.safetensors"} < keys
    assert f"{together}mobilenet_v2-IMAGENET1K_V1.safetensors" in keys
    for uri in found.networks.values():
        assert f"{uri.split('/', 3)[3]}weights.safetensors" in keys
    assert bring_networks(platform, names, prepare=prepare, skip=True, tell=print) == found
    with pytest.raises(DataError, match="none of resnet18"):
        bring_networks(platform, names, prepare=prepare, skip=False, tell=print)
    with pytest.raises(DataError, match="weights can be had for mobilenet_v2 only"):
        bring_networks(platform, names[:2], prepare=prepare, skip=True, tell=print)


def test_a_machine_without_a_network_is_asked_once(tmp_path: Path):
    asked = list[str]()

    def prepare(name: str) -> PreparedWeights:
        asked.append(name)
        if name != "mobilenet_v2" and name != "squeezenet1_1":
            raise DataError("torchvision's cannot be downloaded (no network)")
        file = tmp_path / name
        file.write_bytes(name.encode())
        return PreparedWeights(file=file, sha256=name, source="package")

    platform, told = platform_over(MemoryStore()), list[str]()
    found = bring_networks(platform, AUTO_NETWORKS, prepare=prepare, skip=True, tell=told.append)
    assert asked == ["squeezenet1_1", "mobilenet_v2", AUTO_NETWORKS[2]]
    assert list(found.networks) == asked[:2]
    assert set(found.left_out) == set(AUTO_NETWORKS[2:])
    assert len(told) == 1


def test_what_follows_the_search_has_the_weights_of_the_winner_alone():
    inputs = training_inputs()
    assert inputs.of_network(None) == inputs
    several = TrainingInputs(**{**inputs.model_dump(), "networks": {"mobilenet_v2": "s3://b/w/"}})
    winner = several.of_network("mobilenet_v2")
    assert (winner.weights_uri, winner.networks) == ("s3://b/w/", {})
