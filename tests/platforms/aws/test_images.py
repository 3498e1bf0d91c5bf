from __future__ import annotations

from datetime import date

import pytest

from platforms import Defaults
from platforms.aws.image_table import VERSIONS, Scope
from platforms.aws.images import ECR_IMAGE, image_notes, image_uri
from platforms.errors import SettingsError
from platforms.image_accounts import ACCOUNTS
from platforms.instances import has_gpu, needs_neuron

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
PATCHED, PAST = date(2026, 11, 22), date(2027, 1, 22)


@pytest.mark.parametrize(
    ("scope", "version", "instance", "image"),
    [
        ("training", "2.10", "ml.m5.xlarge", "pytorch-training:2.10.0-cpu-py313"),
        ("training", "2.10.0", "ml.g4dn.xlarge", "pytorch-training:2.10.0-gpu-py313"),
        ("training", "2.13", "ml.c5.2xlarge", "pytorch:2.13-cpu-amzn2023-sagemaker"),
        ("training", "2.13", "ml.p4d.24xlarge", "pytorch:2.13-cu133-amzn2023-sagemaker"),
        ("inference", "2.6", "ml.t2.medium", "pytorch-inference:2.6.0-cpu-py312"),
    ],
)
def test_the_table(scope: Scope, version: str, instance: str, image: str) -> None:
    assert image_uri(scope, "us-east-1", version, instance) == f"{REGISTRY}/{image}"


def test_regions_have_accounts_of_their_own() -> None:
    uri = image_uri("training", "mx-central-1", "2.10", "ml.m5.xlarge")
    assert uri.startswith("637423239942.dkr.ecr.mx-central-1.amazonaws.com/")


def test_an_unknown_version_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"PyTorch 1\.4 .*2\.10.*WHIPPET_TRAINING_IMAGE"):
        image_uri("training", "us-east-1", "1.4", "ml.m5.xlarge")


def test_an_unknown_region_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="'cn-north-1': set WHIPPET_TRAINING_IMAGE"):
        image_uri("training", "cn-north-1", "2.10", "ml.m5.xlarge")


@pytest.mark.parametrize("suffix", ["", "-ubuntu22.04-sagemaker"])
def test_an_image_past_its_date_warns(suffix: str) -> None:
    image = f"{REGISTRY}/pytorch-training:2.10.0-cpu-py313{suffix}"
    assert image_notes(image, PATCHED) == []
    (note,) = image_notes(image, PAST)
    assert "since 2027-01-21: set WHIPPET_PYTORCH_VERSION" in note


@pytest.mark.parametrize("image", ["whippet-local:1", f"{REGISTRY}/mine:1", f"{REGISTRY}/pytorch"])
def test_other_images_are_not_judged(image: str) -> None:
    assert image_notes(image, PAST) == []


def test_the_table_is_whole() -> None:
    assert len(ACCOUNTS) == 35
    for scope, versions in VERSIONS.items():
        for name, found in versions.items():
            assert found.version.startswith(name)
            assert found.cpu_tag != found.gpu_tag
            uri = image_uri(scope, "us-east-1", name, "ml.m5.xlarge")
            assert ECR_IMAGE.fullmatch(uri)


@pytest.mark.parametrize(
    ("instance", "gpu", "neuron"),
    [
        ("ml.m5.xlarge", False, False),
        ("ml.g4dn.xlarge", True, False),
        ("ml.gr6.4xlarge", True, False),
        ("ml.p5.48xlarge", True, False),
        ("ml.m6g.large", False, False),
        ("ml.trn1.2xlarge", False, True),
        ("ml.inf2.xlarge", False, True),
    ],
)
def test_instances(instance: str, gpu: bool, neuron: bool) -> None:
    assert has_gpu(instance) is gpu
    assert needs_neuron(instance) is neuron


def test_defaults_choose_the_image_by_the_instance() -> None:
    plain = {"bucket": "b", "role_arn": "r", "poll_seconds": 5.0}
    defaults = Defaults(
        **plain,
        training_image="t-cpu",
        gpu_training_image="t-gpu",
        inference_image="i-cpu",
        gpu_inference_image="i-gpu",
    )
    assert defaults.training_image_for("ml.m5.xlarge") == "t-cpu"
    assert defaults.training_image_for("ml.g5.xlarge") == "t-gpu"
    assert defaults.inference_image_for("ml.g5.xlarge") == "i-gpu"
    one = Defaults(**plain, training_image="t", inference_image="i")
    assert one.training_image_for("ml.g5.xlarge") == "t"
