"""Turn pretrained weights into the one checked file that jobs get as their weights channel.

    python sm_entrypoints/pretrained.py --model mobilenet_v2 --weights imagenet --out W.safetensors

``imagenet`` means torchvision's own weights if the network allows their download, otherwise those
shipped in a package. A path is a ``.safetensors`` file or a state_dict (``.pt``, ``.pth``; also in
a checkpoint, ``{"state_dict": …}``, and under names that DataParallel, torch.compile or a user's
own class prefixed), read without running any code from it. A different head is left out. Prints one
JSON line: file, sha256, source, version, tensors (their number), head (whether there is one),
notes. On failure the last line of stderr says why; exit code 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import pickle
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    gc.disable()  # until all is imported: nothing of it is garbage
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch
import torchvision
from torch import Tensor, nn

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.sentences import clause, ended
from sm_entrypoints.models.model import build_model, head_name, save_tensors
from sm_entrypoints.models.packaged_weights import packaged
from sm_entrypoints.models.weights import WeightsError, fit_weights, read_weights, sha256_of
from sm_entrypoints.states.checkpoints import StateError, refused, state_in
from sm_entrypoints.states.likeness import looks_like
from sm_entrypoints.states.names import renamed

IMAGENET = "imagenet"
IMAGENET_CLASSES = 1000
# An offline machine must learn that in seconds, not after the system's two minutes.
_CONNECT_SECONDS = 10.0
_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Weights as they were found. ``metadata`` travels in the header of the written file."""

    tensors: Mapping[str, Tensor]
    source: str
    version: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def find_weights(weights: str, architecture: str, cache: Path, version: str = "") -> Found:
    """Return ``imagenet`` weights of an architecture, or those of a file.

    ``version`` is the name of torchvision's, such as ``IMAGENET1K_V1``; empty: its default, or
    those of a package.

    Raises:
        WeightsError: there are none, with what to do instead.
    """
    if weights != IMAGENET:
        return _from_file(Path(weights))
    try:
        return _from_torchvision(architecture, cache, version)
    except (URLError, OSError, RuntimeError) as error:
        reason = f"torchvision's cannot be downloaded ({clause(error)})"
    try:
        if version:  # nobody knows that a package's are these
            raise WeightsError(f"no package has {version} of {architecture!r}")
        tensors, source = packaged(architecture, cache)
    except WeightsError as error:
        raise WeightsError(
            f"there are no ImageNet weights of {architecture!r} here: {clause(reason)}; "
            f"{ended(error)} Choose such a network (model), or give a "
            "state_dict or safetensors file instead (weights=<path>)"
        ) from None
    return Found(tensors=tensors, source=source, version=source.partition("==")[2])


def _from_torchvision(architecture: str, cache: Path, version: str) -> Found:
    weights = torchvision.models.get_model_weights(architecture)[version or "DEFAULT"]
    with _socket_timeout(_CONNECT_SECONDS), redirect_stdout(sys.stderr):
        state = weights.get_state_dict(
            progress=False, check_hash=True, model_dir=str(cache / "torchvision")
        )
    preset = weights.transforms()
    return Found(
        tensors=state,
        source=f"torchvision {weights}",
        version=torchvision.__version__,
        # Some weights were trained with another mean than ImageNet's.
        metadata={
            "mean": json.dumps([float(x) for x in preset.mean]),
            "std": json.dumps([float(x) for x in preset.std]),
        },
    )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Bound every wait of a socket: urllib offers no other way through torch.hub."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _from_file(path: Path) -> Found:
    if not path.is_file():
        raise WeightsError(f"there is no weights file {str(path)!r}")
    tensors = read_weights(path) if path.suffix == ".safetensors" else _read_state_dict(path)
    return Found(tensors=tensors, source=f"file {path.name}", version=sha256_of(path)[:16])


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        return state_in(torch.load(path, map_location="cpu", weights_only=True))
    except StateError as error:
        raise WeightsError(f"{path.name} {error}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path.name} is not a state_dict that can be read safely: {refused(str(error))}"
        ) from None


def reference_model(architecture: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return a model of ``architecture`` with as many classes as the weights have."""
    model = build_model(architecture, IMAGENET_CLASSES)
    weight = tensors.get(f"{head_name(model)}.weight")
    if weight is None or not weight.dim() or weight.shape[0] in (0, 1, IMAGENET_CLASSES):
        return model
    return build_model(architecture, weight.shape[0])


def prepare_file(found: Found, architecture: str, out: Path) -> dict[str, Any]:
    """Check ``found`` against the architecture, write it to ``out``; return what to print.

    Raises:
        WeightsError: they are of another architecture; names the tensors.
        OSError: ``out`` cannot be written.
    """
    weights = renamed(found.tensors, build_model(architecture, IMAGENET_CLASSES))
    model = reference_model(architecture, weights.tensors)
    try:
        fit = fit_weights(weights.tensors, model, architecture=architecture, source=found.source)
    except WeightsError as error:
        raise WeightsError(f"{ended(error)} {_advice(found.tensors, architecture)}") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        name: tensor.float() if tensor.dtype in _HALVES else tensor
        for name, tensor in fit.tensors.items()
    }
    metadata = {"architecture": architecture, "source": found.source, **found.metadata}
    save_tensors(out, kept, metadata)
    return {
        "file": str(out),
        "sha256": sha256_of(out),
        "source": found.source,
        "version": found.version,
        "tensors": len(kept),
        "head": fit.head,
        "notes": [*fit.notes, *_outside(weights.outside)],
    }


def _outside(names: Sequence[str]) -> list[str]:
    shown = f"{', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}"
    return [f"left out, because no part of the network uses them: {shown}"] if names else []


def _advice(tensors: Mapping[str, Tensor], architecture: str) -> str:
    like = looks_like(tensors)
    if like is None or like == architecture:
        return "Name the model that the weights belong to, or give other weights"
    return f"They look like weights of {like!r}: name that model, or give other weights"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="a torchvision classifier's name")
    parser.add_argument("--weights", required=True, help="imagenet, or the path of a file")
    parser.add_argument("--version", default="", help="of torchvision's weights; IMAGENET1K_V1, …")
    parser.add_argument("--out", required=True, type=Path, help="the safetensors file to write")
    parser.add_argument("--cache", type=Path, help="folder of downloads (default: beside --out)")
    options = parser.parse_args(argv)
    cache = options.cache or options.out.parent / "downloads"
    try:
        build_model(options.model, IMAGENET_CLASSES)  # an unknown name costs no download
        weights = find_weights(options.weights, options.model, cache, options.version)
        answer = prepare_file(weights, options.model, options.out)
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"the weights cannot be written or read: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    gc.freeze()  # what was imported stays to the end: to take it apart there takes a second
    gc.enable()
    sys.exit(main())
