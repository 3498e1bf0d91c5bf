"""AWS's deep learning images for PyTorch: what they are called, until when they are patched.

A dated table. Tags are those of the SDK 3.27 (``image_uri_config``, 2026-10-21); ends of patching
are those of aws/deep-learning-containers (``docs/src/data``, 2026-08-21).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Scope = Literal["training", "inference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVersion:
    """One release of an image: its tags without and with a GPU, and its last day of patches."""

    version: str
    repository: str
    cpu_tag: str
    gpu_tag: str
    python: str | None
    patched_until: date


def _classic(scope: Scope, version: str, python: str, until: date) -> ImageVersion:
    return ImageVersion(
        version=version,
        repository=f"pytorch-{scope}",
        cpu_tag=f"{version}-cpu-{python}",
        gpu_tag=f"{version}-gpu-{python}",
        python=python,
        patched_until=until,
    )


def _amazon_linux(version: str, cuda: str, until: date) -> ImageVersion:
    return ImageVersion(
        version=version,
        repository="pytorch",
        cpu_tag=f"{version}-cpu-amzn2023-sagemaker",
        gpu_tag=f"{version}-{cuda}-amzn2023-sagemaker",
        python=None,
        patched_until=until,
    )


# By major.minor. Of 2.14 no end of patching was published when the table was made.
VERSIONS: dict[Scope, dict[str, ImageVersion]] = {
    "training": {
        "2.6": _classic("training", "2.6.0", "py312", date(2026, 1, 29)),
        "2.7": _classic("training", "2.7.1", "py312", date(2026, 4, 23)),
        "2.8": _classic("training", "2.8.0", "py312", date(2026, 8, 6)),
        "2.9": _classic("training", "2.9.0", "py312", date(2026, 10, 15)),
        "2.10": _classic("training", "2.10.0", "py313", date(2027, 1, 21)),
        "2.11": _amazon_linux("2.11", "cu130", date(2027, 4, 30)),
        "2.12": _amazon_linux("2.12", "cu130", date(2027, 7, 2)),
        "2.13": _amazon_linux("2.13", "cu133", date(2027, 7, 20)),
    },
    # AWS's last PyTorch images that serve by SageMaker's contract; docker/ builds ours.
    "inference": {"2.6": _classic("inference", "2.6.0", "py312", date(2026, 6, 30))},
}
