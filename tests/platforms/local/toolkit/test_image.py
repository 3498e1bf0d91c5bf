from __future__ import annotations

from pathlib import Path

import pytest

from platforms.local.toolkit.image import asked, installed, version_notice

HOST = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (f"{HOST}/pytorch-training:1.8.1-cpu-py36-ubuntu18.04", "PyTorch 1.8.1 on Python 3.6"),
        (f"{HOST}/pytorch-training:2.5.1-gpu-py311-cu124", "PyTorch 2.5.1 on Python 3.11"),
        (f"{HOST}/pytorch:2.13-cpu-amzn2023-sagemaker", "PyTorch 2.13"),
        (f"{HOST}/tensorflow-training:2.4.1-gpu-py37", "TensorFlow 2.4.1 on Python 3.7"),
        (
            f"{HOST}/huggingface-pytorch-training:1.7-transformers4.6-gpu-py36-cu110-ubuntu18.04",
            "PyTorch 1.7 on Python 3.6",
        ),
        (
            "520713654638.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-pytorch:1.0-cpu-py3",
            "PyTorch 1.0",
        ),
        ("whippet-local/pytorch-training:2.14-cpu", "PyTorch 2.14"),
        ("me/mine:latest", "None"),
        (f"{HOST}/xgboost:1.7-1", "None"),
    ],
)
def test_what_an_image_asks_for(image: str, said: str) -> None:
    assert str(asked(image)) == said


def environment(folder: Path) -> str:
    (folder / "lib/python3.11/site-packages/torch-2.14.1+cpu.dist-info").mkdir(parents=True)
    return str(folder / "bin/python")


@pytest.mark.parametrize(
    ("tag", "differs"),
    [
        ("2.14-cpu-py311", False),
        ("2.14.1-gpu-py311-cu130", False),
        ("2-cpu-py311", False),
        ("2.1-cpu-py311", True),
        ("2.14-cpu-py312", True),
        ("1.8.1-cpu-py36", True),
    ],
)
def test_the_notice_names_both(tmp_path: Path, tag: str, differs: bool) -> None:
    image = {"TrainingImage": f"{HOST}/pytorch-training:{tag}"}
    said = version_notice({"AlgorithmSpecification": image}, environment(tmp_path))
    assert (said is not None) == differs
    if said:
        assert "here the job runs with PyTorch 2.14.1+cpu on Python 3.11" in said


def test_where_nothing_can_be_compared(tmp_path: Path) -> None:
    assert installed(str(tmp_path / "bin/python")) is None
    image = {"TrainingImage": f"{HOST}/pytorch-training:1.8-cpu-py36"}
    assert version_notice({"AlgorithmSpecification": image}, str(tmp_path / "bin/python")) is None
    assert version_notice({}, environment(tmp_path)) is None
