"""SageMaker's handlers for the models that ``train.py`` saves: an image in, labels out.

``model_fn``, ``input_fn``, ``predict_fn`` and ``output_fn`` as SageMaker's inference toolkit calls
them. They accept ``image/jpeg``, ``image/png`` and unspecific types, also in base64, in a data URI,
in JSON, in a form or in gzip, and answer ``application/json``
(``{"predictions": [{"label", "probability"}, …]}``, most probable first) or ``text/csv``.
``WHIPPET_TOP_K`` is the number of labels, 5 by default.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from sm_entrypoints.contract import MODEL_CARD_FILE
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.images.decoding import ImageError, TooManyPixels
from sm_entrypoints.images.preparation import evaluation_transform, open_image
from sm_entrypoints.models.fusion import fused, laid_out
from sm_entrypoints.models.model import ModelCard, load_model
from sm_entrypoints.models.threads import threads, threads_for_one
from sm_entrypoints.serving.accept import accepted, media_type
from sm_entrypoints.serving.bodies import BodyError, picture_bytes, what_it_is
from sm_entrypoints.serving.weight import is_heavy

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
IMAGE_TYPES = ("image/jpeg", "image/jpg", "image/png", "application/x-image")
# What clients send when nobody told them what the body is: requests without the header, browsers'
# and boto3's defaults, curl's --data-binary. The bytes themselves decide then.
UNSAID_TYPES = (
    "",
    "*/*",
    "image/*",
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
)
# What a picture may be wrapped in; sm_entrypoints/serving/bodies.py takes it off.
WRAPPING_TYPES = (
    JSON_TYPE,
    "text/plain",
    "multipart/form-data",
    "application/base64",
    "application/gzip",
    "application/x-gzip",
    "application/x-npy",
)
DEFAULT_TOP_K = 5


class RequestError(Exception):
    """Raised for a request that cannot be answered; carries the HTTP status to answer with.

    The server recognises any exception with a ``status_code``; the message is the answer's.
    """

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A network in evaluation mode with what turns images into its input, and scores into names.

    ``threads`` are those for one picture; several at once get all that torch has.
    """

    network: nn.Module
    labels: tuple[str, ...]
    prepare: Callable[[Image.Image], Tensor]
    device: torch.device
    top_k: int = DEFAULT_TOP_K
    threads: int = field(default_factory=torch.get_num_threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One label and its probability, from 0 to 1."""

    label: str
    probability: float


def model_fn(model_dir: str, context: Any = None) -> Classifier:
    """Load ``model.safetensors`` and ``model.json``; on the GPU if there is one.

    Raises:
        ModelError: the archive is incomplete, or its tensors do not fit the architecture.
        ValueError: ``WHIPPET_TOP_K`` is not a whole number above zero.
    """
    network, card = load_model(Path(model_dir))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = torch.get_num_threads()
    if device.type == "cpu":
        network = fused(network, card.image_size).eval()
        count = threads_for_one(network, card.image_size)
    return Classifier(
        network=network.eval().to(device),
        labels=tuple(card.classes),
        prepare=evaluation_transform(card),
        device=device,
        top_k=min(_top_k(os.environ.get("WHIPPET_TOP_K")), len(card.classes)),
        threads=count,
    )


def input_fn(
    body: bytes | bytearray | str, content_type: str | None = None, context: Any = None
) -> Image.Image:
    """Return the image of a request: upright, RGB.

    It is decoded as the model's training did: one much larger than the model needs comes reduced,
    where the model's folder is known (from ``context``, or because this file is in its ``code/``).

    Raises:
        RequestError: 415 another content type, 400 empty or not a readable JPEG or PNG image, 413
            more pixels than we decode (found in the header, before decoding).
    """
    kind = media_type(content_type)
    if kind not in (*IMAGE_TYPES, *UNSAID_TYPES, *WRAPPING_TYPES):
        raise RequestError(
            415, f"Content-Type {kind!r} is not supported; send image/jpeg or image/png."
        )
    raw = body.encode() if isinstance(body, str) else bytes(body)
    if not raw:
        raise RequestError(400, "The request body is empty; send the bytes of a JPEG or PNG image.")
    try:
        picture = picture_bytes(raw)
    except BodyError as error:
        raise RequestError(error.status_code, str(error)) from error
    try:
        if kind not in WRAPPING_TYPES or picture is not raw:
            return open_image(picture, least_side=_least_side(context))
    except TooManyPixels as error:
        raise RequestError(413, _sentence(error)) from error
    except ImageError as error:
        raise _no_picture(picture, error) from error
    content = what_it_is(raw)
    but_body = f", and the body is {content}" if content else ""
    raise RequestError(
        415,
        f"Content-Type is {kind!r}{but_body}; send a JPEG or PNG image as image/jpeg or image/png.",
    )


def _least_side(context: Any) -> int | None:
    """Return what the card of the model that is served says; None where there is no card."""
    properties = getattr(context, "system_properties", None) or {}
    told = properties.get("model_dir")
    folders = (told, Path(__file__).resolve().parents[1])
    cards = [Path(folder) / MODEL_CARD_FILE for folder in folders if folder]
    card = next((card for card in cards if card.is_file()), None)
    return None if card is None else _least_side_of(card, card.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _least_side_of(card: Path, changed: int) -> int | None:
    """Read a card once; ``changed`` is when it was written."""
    return ModelCard.from_json(card.read_text(encoding="utf-8")).least_side


def _no_picture(body: bytes, error: ImageError) -> RequestError:
    content = what_it_is(body)
    if content is None or content in ("a JPEG picture", "a PNG picture"):
        return RequestError(400, _sentence(error))
    return RequestError(400, f"The body is {content}; send the bytes of a JPEG or PNG image.")


def predict_fn(data: Image.Image, model: Classifier) -> list[Prediction]:
    """Return the ``top_k`` most probable labels, most probable first.

    Raises:
        RequestError: 500, the network's scores are not numbers.
    """
    with threads(model.threads):
        return _InBatches.predict([model.prepare(data)], model)[0]


class _InBatches:
    """How the model server asks ``predict_fn`` about several waiting requests at once."""

    is_heavy = staticmethod(is_heavy)

    @staticmethod
    def prepare(data: Image.Image, model: Classifier) -> Tensor:
        """Return what is left of a picture: the network's input."""
        return model.prepare(data)

    @staticmethod
    def predict(inputs: Sequence[Tensor], model: Classifier) -> list[list[Prediction]]:
        """Return the labels of each; raises as ``predict_fn`` if those of one are not numbers."""
        batch = laid_out(torch.stack(list(inputs))).to(model.device)
        with torch.inference_mode():
            probabilities = model.network(batch).float().softmax(dim=1)
        if not bool(torch.isfinite(probabilities).all()):
            raise RequestError(500, "The model's scores are not finite numbers; train it again.")
        values, indices = probabilities.topk(model.top_k)
        return [
            [
                Prediction(label=model.labels[index], probability=value)
                for value, index in zip(*each, strict=True)
            ]
            for each in zip(values.tolist(), indices.tolist(), strict=True)
        ]


predict_fn.whippet_batch = _InBatches  # type: ignore[attr-defined]


def output_fn(prediction: list[Prediction], accept: str | None = JSON_TYPE) -> tuple[str, str]:
    """Return the answer and its content type: the most welcome of ``accept`` that we can write.

    Raises:
        RequestError: 406, neither JSON nor CSV is accepted.
    """
    for kind in accepted(accept) or [JSON_TYPE]:
        if kind in (JSON_TYPE, "application/*", "*/*"):
            rows = [{"label": p.label, "probability": p.probability} for p in prediction]
            return json.dumps({"predictions": rows}, ensure_ascii=False), JSON_TYPE
        if kind in (CSV_TYPE, "text/*"):
            return _to_csv(prediction), CSV_TYPE
    raise RequestError(406, f"Accept {accept!r} is not supported; ask for {JSON_TYPE}.")


def _to_csv(prediction: list[Prediction]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("label", "probability"))
    writer.writerows((p.label, p.probability) for p in prediction)
    return text.getvalue()


def _top_k(text: str | None) -> int:
    if not text:
        return DEFAULT_TOP_K
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"WHIPPET_TOP_K={text!r} must be a whole number above zero")
    return int(text)


def _sentence(error: Exception) -> str:
    message = ended(error)
    return message[:1].upper() + message[1:]
