"""The handlers of our own models, called as SageMaker's toolkit calls them."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import struct
import sys
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from sm_entrypoints import inference
from sm_entrypoints.images.batches import ImageData
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.preparation import evaluation_pixels, evaluation_transform
from sm_entrypoints.inference import (
    Classifier,
    Prediction,
    RequestError,
    input_fn,
    model_fn,
    output_fn,
    predict_fn,
)
from sm_entrypoints.models.model import ModelCard, build_model, save_model
from sm_entrypoints.serving.context import Context

CLASSES = ("blue", "green", "red")


def _image(mode: str = "RGB", size: tuple[int, int] = (40, 30), color: str = "red") -> Image.Image:
    return Image.new("RGB", size, color).convert(mode)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_bomb(width: int, height: int) -> bytes:
    """Return a small PNG whose header promises many pixels: it bursts whoever decodes first."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(bytes(1000)))


class ColourNet(torch.nn.Module):
    """Scores blue, green and red by the mean of the channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)).flip(1) * 10


def _classifier(top_k: int = 3) -> Classifier:
    card = ModelCard(
        architecture="none",
        classes=CLASSES,
        image_size=8,
        resize_size=8,
        mean=(0, 0, 0),
        std=(1, 1, 1),
    )
    return Classifier(
        network=ColourNet(),
        labels=CLASSES,
        prepare=evaluation_transform(card),
        device=torch.device("cpu"),
        top_k=top_k,
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "content_type",
    ["image/jpeg", "IMAGE/JPEG; x=1", "application/x-image", None, "application/octet-stream"],
)
def test_jpegs_of_every_mode_and_type(mode: str, content_type: str | None) -> None:
    image = input_fn(_encoded(_image(mode), "JPEG"), content_type)
    assert (image.mode, image.size) == ("RGB", (40, 30))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "I;16"])
def test_pngs_of_every_mode(mode: str) -> None:
    source = Image.new("I;16", (40, 30), 65535) if mode == "I;16" else _image(mode)
    image = input_fn(bytearray(_encoded(source, "PNG")), "image/png")
    assert (image.mode, image.size) == ("RGB", (40, 30))


def test_an_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = input_fn(_encoded(_image(size=(40, 30)), "JPEG", exif=exif), "image/jpeg")
    assert image.size == (30, 40)


JPEG = _encoded(_image(), "JPEG")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"hello", "image/jpeg", 400),
        (JPEG[: len(JPEG) // 2], "image/jpeg", 400),
        (_encoded(_image("P"), "GIF"), "image/jpeg", 400),
        (_encoded(_image(), "TIFF"), None, 400),
        (b"\x89PNG\r\n\x1a\n", "image/png", 400),
        (_png_bomb(30_000, 30_000), "image/png", 413),
        (_png_bomb(11_000, 11_000), "image/png", 413),
        (JPEG, "text/plain", 415),
        (JPEG, "application/json", 415),
        (JPEG, "image/gif", 415),
        ("text", "", 400),
    ],
    ids=range(12),
)
def test_other_bodies_are_refused(body: bytes, content_type: str | None, status: int) -> None:
    with pytest.raises(RequestError) as raised:
        input_fn(body, content_type)
    assert raised.value.status_code == status
    assert raised.value.message[0].isupper()
    assert raised.value.message.endswith(".")


@pytest.mark.parametrize("colour", CLASSES)
def test_predictions_are_right_and_sorted(colour: str) -> None:
    predictions = predict_fn(_image(color=colour), _classifier())
    assert predictions[0].label == colour
    probabilities = [p.probability for p in predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert len(predict_fn(_image(), _classifier(top_k=1))) == 1


def test_scores_that_are_not_numbers_are_an_error() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((1, 3), float("nan"))

    classifier = _classifier()
    broken = Classifier(
        network=Broken(),
        labels=classifier.labels,
        prepare=classifier.prepare,
        device=classifier.device,
    )
    with pytest.raises(RequestError, match="finite") as raised:
        predict_fn(_image(), broken)
    assert raised.value.status_code == 500


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", None, "image/png, application/*;q=1"]
)
def test_answers_as_json(accept: str | None) -> None:
    body, content_type = output_fn([Prediction(label="été", probability=0.75)], accept)
    assert content_type == "application/json"
    assert json.loads(body) == {"predictions": [{"label": "été", "probability": 0.75}]}


def test_answers_as_csv_or_not_at_all() -> None:
    predictions = [Prediction(label='a "b", c', probability=0.75)]
    body, content_type = output_fn(predictions, "text/csv; header=present")
    assert (body, content_type) == ('label,probability\n"a ""b"", c",0.75\n', "text/csv")
    with pytest.raises(RequestError) as raised:
        output_fn(predictions, "image/png")
    assert raised.value.status_code == 406


def test_a_saved_model_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    card = ModelCard(architecture="squeezenet1_1", classes=CLASSES, image_size=64, resize_size=73)
    network = build_model("squeezenet1_1", 3, image_size=64)
    save_model(tmp_path, network, card)
    monkeypatch.setenv("WHIPPET_TOP_K", "2")
    classifier = model_fn(str(tmp_path))
    predictions = predict_fn(input_fn(JPEG, "image/jpeg"), classifier)
    assert len(predictions) == 2
    assert {p.label for p in predictions} < set(CLASSES)
    monkeypatch.setenv("WHIPPET_TOP_K", "many")
    with pytest.raises(ValueError, match="WHIPPET_TOP_K='many'"):
        model_fn(str(tmp_path))


def _photo() -> bytes:
    noise = torch.randint(0, 256, (600, 800, 3), generator=torch.Generator().manual_seed(0))
    return _encoded(Image.fromarray(noise.byte().numpy()), "JPEG")


@pytest.mark.parametrize(("preprocessing", "size"), [(1, (800, 600)), (2, (200, 150))])
def test_a_picture_is_decoded_as_the_model_was_trained(
    tmp_path: Path, preprocessing: int, size: tuple[int, int]
) -> None:
    card = ModelCard(
        architecture="squeezenet1_1",
        classes=CLASSES,
        image_size=64,
        resize_size=73,
        preprocessing=preprocessing,
    )
    (tmp_path / "model.json").write_text(card.to_json())
    context = Context(system_properties={"model_dir": str(tmp_path)})
    served = input_fn(_photo(), "image/jpeg", context)
    assert served.size == size
    file = tmp_path / "train" / "a" / "photo.jpg"
    file.parent.mkdir(parents=True)
    file.write_bytes(_photo())
    split = Split(name="train", folder=tmp_path / "train", paths=("a/photo.jpg",), labels=(0,))
    trained = ImageData(split, card).__getitems__([(0, 0)])[0][0]
    assert torch.equal(evaluation_pixels(served, card), trained)


def test_a_picture_is_decoded_whole_for_a_model_that_nobody_knows() -> None:
    assert input_fn(_photo(), "image/jpeg").size == (800, 600)
    assert input_fn(_photo(), "image/jpeg", Context()).size == (800, 600)


def test_an_archive_finds_its_own_card(tmp_path: Path) -> None:
    """A toolkit that passes no context runs the file in the archive's code folder."""
    save_model(
        tmp_path,
        build_model("squeezenet1_1", 3),
        ModelCard(architecture="squeezenet1_1", classes=CLASSES, resize_size=73, preprocessing=2),
    )
    (tmp_path / "code").mkdir()
    code = tmp_path / "code" / "inference.py"
    shutil.copyfile(str(inference.__file__), code)
    spec = importlib.util.spec_from_file_location("inference_of_an_archive", code)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert module.input_fn(_photo(), "image/jpeg").size == (200, 150)
