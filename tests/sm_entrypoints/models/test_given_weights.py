"""What a channel of weights may hold: prepared weights, or a model that a training delivered."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sm_entrypoints.models.given_weights import read_channel
from sm_entrypoints.models.model import ModelCard, build_model, save_model
from sm_entrypoints.models.weights import WeightsError, fit_weights

CLASSES = ("a", "b", "c")


def delivered(root: Path, classes: Sequence[str] = CLASSES) -> Path:
    """Write a channel with the archive of a model of random weights."""
    torch.manual_seed(5)
    model = build_model("squeezenet1_1", len(classes))
    card = ModelCard(
        architecture="squeezenet1_1",
        classes=tuple(classes),
        image_size=64,
        resize_size=73,
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
    )
    save_model(root / "model", model, card)
    channel = root / "weights"
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz") as archive:
        archive.add(root / "model", ".")
    return channel


def test_a_delivered_model_brings_its_head_and_its_normalisation(tmp_path: Path) -> None:
    channel, model = delivered(tmp_path), build_model("squeezenet1_1", 3)
    given = read_channel(channel, model, CLASSES)
    assert (given.mean, given.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    fit = fit_weights(given.tensors, model, architecture="squeezenet1_1", source=given.source)
    assert (fit.head, fit.fresh, fit.notes) == (True, (), ())


def test_a_head_of_other_classes_is_left_out(tmp_path: Path) -> None:
    channel, model = delivered(tmp_path), build_model("squeezenet1_1", 3)
    given = read_channel(channel, model, ("a", "b", "d"))
    fit = fit_weights(given.tensors, model, architecture="squeezenet1_1", source=given.source)
    assert not fit.head
    assert "no head" in fit.notes[0]


def test_prepared_weights_are_preferred(tmp_path: Path) -> None:
    channel, model = delivered(tmp_path), build_model("squeezenet1_1", 3)
    save_file(dict(model.state_dict()), channel / "weights.safetensors")
    assert read_channel(channel, model, CLASSES).source == "weights/weights.safetensors"


def _archive(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            member.linkname = "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    ("members", "kind", "said"),
    [
        ({"model.json": b"{}"}, tarfile.REGTYPE, "schema_version"),
        ({"code/inference.py": b"1"}, tarfile.REGTYPE, "is no delivered model: it has no"),
        ({"model.json": b"", "model.safetensors": b""}, tarfile.SYMTYPE, "has no model.json"),
        ({"../model.json": b"{}"}, tarfile.REGTYPE, "has no model.json"),
    ],
)
def test_an_archive_of_something_else_is_said(
    tmp_path: Path, members: dict[str, bytes], kind: bytes, said: str
) -> None:
    _archive(tmp_path / "model.tar.gz", members, kind)
    with pytest.raises(WeightsError, match=said):
        read_channel(tmp_path, build_model("squeezenet1_1", 3), CLASSES)


def test_a_broken_or_empty_channel_is_said(tmp_path: Path) -> None:
    model = build_model("squeezenet1_1", 3)
    with pytest.raises(WeightsError, match=r"or model\.tar\.gz, but it holds nothing"):
        read_channel(tmp_path, model, CLASSES)
    whole = (delivered(tmp_path) / "model.tar.gz").read_bytes()
    broken = tmp_path / "model.tar.gz"
    for content in (b"what?", whole[: len(whole) // 2]):
        broken.write_bytes(content)
        with pytest.raises(WeightsError, match=r"weights/model\.tar\.gz cannot be read"):
            read_channel(tmp_path, model, CLASSES)
