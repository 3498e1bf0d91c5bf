"""A classifier and its card: build by name, find its head, save and load without pickle.

An archive is two files: ``model.safetensors`` (tensors) and ``model.json`` (the card: what the
tensors are, which classes they distinguish, how to prepare an image). Training writes it and
serving reads it, both with these functions.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sm_entrypoints.contract import IMAGENET_MEAN, IMAGENET_STD, MODEL_CARD_FILE, MODEL_WEIGHTS_FILE
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.files import replacing, write_text
from sm_entrypoints.contract.sentences import did_you_mean, nearest
from sm_entrypoints.models.light_torchvision import compiler_later

with compiler_later():
    import torchvision

SCHEMA_VERSION = 1
# How a new model's pictures are prepared: 2 lets the JPEG decoder reduce large ones, 1 does not.
PREPROCESSING = 2
# So many times as large as it is resized to, a picture may still be reduced by averaging.
_REDUCIBLE = 2
# The evaluation crop of torchvision's reference scripts: 224 of 256.
_CROP_SHARE = 0.875


class ModelError(JobError):
    """Raised when a model cannot be built, saved or loaded; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything that serving must know about a model besides its tensors.

    ``classes`` are in the order of the model's outputs. ``image_size`` and ``resize_size`` are
    pixels: the shorter side is resized to ``resize_size``, then the centre is cropped.
    ``preprocessing`` is the version of the way from bytes to pixels: that of the training, which a
    card without it was before there were versions.
    """

    architecture: str
    classes: tuple[str, ...]
    image_size: int = 224
    resize_size: int = 256
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    metrics: Mapping[str, float] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    preprocessing: int = 1
    schema_version: int = SCHEMA_VERSION

    @property
    def least_side(self) -> int | None:
        """What the shorter side of a picture needs, in pixels: a decoder may reduce it to that.

        None: it is decoded as it is.
        """
        return None if self.preprocessing < 2 else _REDUCIBLE * self.resize_size

    def to_json(self) -> str:
        """Return the card as a JSON document that :meth:`from_json` reads back equal."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card.

        Raises:
            ModelError: not JSON, a member missing or of another type, or a newer schema.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ModelError(f"{MODEL_CARD_FILE} is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise ModelError(f"{MODEL_CARD_FILE} must be a JSON object")
        if document.get("schema_version") != SCHEMA_VERSION:
            raise ModelError(
                f"{MODEL_CARD_FILE} has schema_version={document.get('schema_version')!r}, but "
                f"this code reads {SCHEMA_VERSION}: serve the model with the code in its archive"
            )
        _check_card(document)
        members = {member.name for member in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
            if name in members
        }
        return cls(**values)


def resize_size(image_size: int) -> int:
    """Return the shorter side, in pixels, to resize to before the centre crop of ``image_size``."""
    return round(image_size / _CROP_SHARE)


def build_model(architecture: str, class_count: int, *, image_size: int = 224) -> nn.Module:
    """Return a torchvision classifier with ``class_count`` outputs and fresh weights.

    Auxiliary heads (googlenet, inception_v3) are left out: they only serve training from scratch.
    ``image_size`` matters to transformers, whose shape depends on it. Draws from torch's random
    state: seed it for a repeatable model.

    Raises:
        ModelError: unknown architecture (close matches are named), fewer than two classes, or an
            image size that the architecture cannot take.
    """
    architectures = torchvision.models.list_models(module=torchvision.models)
    if architecture not in architectures:
        hint = did_you_mean(nearest(architecture, architectures, most=3, cutoff=0.5), str)
        raise ModelError(
            f"unknown model {architecture!r}: {hint or 'known: ' + ', '.join(architectures)}"
        )
    if class_count < 2:
        raise ModelError(f"a classifier needs at least two classes, but got {class_count}")
    options = _options(architecture, image_size)
    try:
        model = torchvision.models.get_model(
            architecture, weights=None, num_classes=class_count, **options
        )
    # torchvision checks shapes by assertion, too.
    except (ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"{architecture} does not take image_size={image_size}: {error}") from None
    if not isinstance(model, nn.Module):
        raise ModelError(f"torchvision built {type(model).__name__} for {architecture!r}")
    return model


def _options(architecture: str, image_size: int) -> dict[str, Any]:
    if architecture in ("googlenet", "inception_v3"):
        # transform_input: torchvision's weights of these two want inputs from -1 to 1.
        return {"aux_logits": False, "init_weights": True, "transform_input": True}
    if architecture.startswith("vit_"):
        return {"image_size": image_size}
    if architecture.startswith("maxvit"):
        return {"input_size": (image_size, image_size)}
    return {}


def head_name(model: nn.Module) -> str:
    """Return the dotted name of the layer that makes the class scores.

    In every torchvision classifier it is the linear layer (a convolution in squeezenet) that was
    registered last: ``fc``, ``classifier.1``, ``heads.head``, …

    Raises:
        ModelError: the model has no such layer.
    """
    layers = [
        name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    if not layers:
        raise ModelError(f"{type(model).__name__} has no linear layer or convolution as its head")
    return str(layers[-1])


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the model's tensors by name, on the CPU and contiguous: what safetensors can write."""
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in model.state_dict().items()
    }


def load_tensors(model: nn.Module, tensors: Mapping[str, Tensor], *, strict: bool = True) -> None:
    """Copy tensors into a model; not ``strict``: those that are given.

    They are of the versions of layers that the model has: mnasnet refuses tensors without one.

    Raises:
        RuntimeError: the shapes differ; strict: or the names.
    """
    state = OrderedDict(tensors)
    state._metadata = model.state_dict()._metadata  # type: ignore[attr-defined]
    model.load_state_dict(state, strict=strict)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file so that a reader sees the old one or the whole new one.

    The same tensors and metadata are the same bytes, always.
    """
    with replacing(path) as fresh:
        # safetensors refuses what channels_last leaves behind.
        packed = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(packed, fresh, metadata=dict(metadata))
        _order_metadata(fresh)
        # safetensors creates its file for the owner only; an archive is for whoever serves it.
        fresh.chmod(0o644)


def _order_metadata(path: Path) -> None:
    """Sort the metadata in a safetensors file's header: the library writes it in any order."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def save_model(folder: Path, model: nn.Module, card: ModelCard) -> None:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / MODEL_WEIGHTS_FILE, state_of(model), {"format": "pt"})
    write_text(folder / MODEL_CARD_FILE, card.to_json())


def load_model(folder: Path) -> tuple[nn.Module, ModelCard]:
    """Return the model of an archive, in evaluation mode and float32 on the CPU, and its card.

    Raises:
        ModelError: a file is missing or malformed, or the tensors do not fit the card.
    """
    folder = Path(folder)
    try:
        card = ModelCard.from_json((folder / MODEL_CARD_FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / MODEL_WEIGHTS_FILE)
    except FileNotFoundError as error:
        raise ModelError(
            f"no model in {folder}: {Path(str(error.filename or MODEL_WEIGHTS_FILE)).name} is "
            "missing; give the extracted model.tar.gz"
        ) from None
    except (OSError, UnicodeDecodeError, SafetensorError) as error:
        raise ModelError(f"the model in {folder} cannot be read: {error}") from None
    model = build_model(card.architecture, len(card.classes), image_size=card.image_size)
    try:
        load_tensors(model, tensors)
    except RuntimeError as error:
        raise ModelError(
            f"{MODEL_WEIGHTS_FILE} does not fit {card.architecture!r} with {len(card.classes)} "
            f"classes: {error}"
        ) from None
    return model.eval(), card


def _check_card(document: Mapping[str, Any]) -> None:
    def require(name: str, ok: bool, wanted: str) -> None:
        if not ok:
            value = document.get(name)
            raise ModelError(f"{MODEL_CARD_FILE}: {name} must be {wanted}, but got {value!r}")

    classes = document.get("classes")
    require("architecture", isinstance(document.get("architecture"), str), "a model's name")
    require(
        "classes",
        isinstance(classes, list)
        and all(isinstance(label, str) for label in classes)
        and len(set(classes)) == len(classes) >= 2,
        "a list of at least two different names",
    )
    for name in ("image_size", "resize_size"):
        size = document.get(name)
        require(name, type(size) is int and 1 <= size <= 4096, "pixels from 1 to 4096")
    version = document.get("preprocessing", 1)
    known = type(version) is int and 1 <= version <= PREPROCESSING
    require("preprocessing", known, f"a version from 1 to {PREPROCESSING}")
    for name in ("mean", "std"):
        value = document.get(name)
        numbers = isinstance(value, list) and all(type(x) in (int, float) for x in value)
        require(name, numbers and value is not None and len(value) == 3, "three numbers")
    require("std", all(x > 0 for x in document["std"]), "three numbers above zero")
    for name in ("metrics", "fingerprints", "versions"):
        require(name, isinstance(document.get(name, {}), dict), "an object")
