"""The versions a training image stands for, and those of the job environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

# pytorch-training:1.8.1-cpu-py36-ubuntu18.04, huggingface-pytorch-training:1.7-transformers4.6-…,
# pytorch:2.13-cpu-amzn2023-sagemaker
_IMAGE = re.compile(
    r"(?:^|/)(?P<repository>[a-z0-9-]*?(?P<framework>pytorch|tensorflow|mxnet|chainer))"
    r"(?:-training(?:-[a-z]+)?)?:(?P<version>\d+(?:\.\d+)*)(?P<rest>[^/]*)$"
)
_PYTHON = re.compile(r"-py(\d)(\d+)(?:-|$)")
_NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow", "mxnet": "MXNet", "chainer": "Chainer"}


class Versions(NamedTuple):
    """A framework with its version, and Python's; None if unknown."""

    framework: str
    version: str
    python: str | None

    def __str__(self) -> str:
        python = f" on Python {self.python}" if self.python else ""
        return f"{self.framework} {self.version}{python}"


def asked(image: str) -> Versions | None:
    """Return what the URI of one of AWS's framework images asks for; None for any other image."""
    match = _IMAGE.search(image)
    if match is None:
        return None
    python = _PYTHON.search(match["rest"])
    return Versions(
        _NAMES[match["framework"]],
        match["version"],
        f"{python[1]}.{python[2]}" if python and python[2] else None,
    )


def installed(job_python: str) -> Versions | None:
    """Return what the environment of an interpreter has; starts nothing. None without PyTorch."""
    for packages in sorted(Path(job_python).parent.parent.glob("lib/python3.*/site-packages")):
        for each in packages.glob("torch-*.dist-info"):
            version = each.name.removeprefix("torch-").removesuffix(".dist-info")
            return Versions("PyTorch", version, packages.parent.name.removeprefix("python"))
    return None


def version_notice(request: Mapping[str, Any], job_python: str) -> str | None:
    """Say in which versions a job differs from what its image asks for; None where in none."""
    image = request.get("AlgorithmSpecification", {}).get("TrainingImage", "")
    wanted, present = asked(image), installed(job_python)
    if wanted is None or present is None:
        return None
    same = wanted.framework == present.framework and _within(present.version, wanted.version)
    if same and wanted.python in (None, present.python):
        return None
    return f"the image asks for {wanted}; here the job runs with {present}"


def _within(version: str, wanted: str) -> bool:
    """Tell whether a version (2.14.1+cpu) is one of those that a prefix of it (2.14) names."""
    parts = version.partition("+")[0].split(".")
    return parts[: wanted.count(".") + 1] == wanted.split(".")
