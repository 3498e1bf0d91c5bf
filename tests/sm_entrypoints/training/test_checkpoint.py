from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn, optim

from sm_entrypoints.training.checkpoint import (
    CheckpointError,
    Checkpoints,
    Progress,
    frozen_digest,
    optimizer_tensors,
    restore_optimizer,
)

IDENTITY = {"model": "resnet18"}
TENSORS = {"model.weight": torch.arange(3.0)}


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    progress = Progress(
        epochs=2, batches=3, totals=[0.1 + 0.2, 4, 8], best_epoch=1, best_loss=0.5,
        history=[{"epoch": 1, "loss": 1 / 3}],
    )  # fmt: skip
    Checkpoints(tmp_path, IDENTITY).save(progress, TENSORS)
    found = Checkpoints(tmp_path, IDENTITY).load()
    assert found is not None
    assert found[0] == progress
    assert torch.equal(found[1]["model.weight"], TENSORS["model.weight"])


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY, keep=2)
    for epoch in (9, 10, 11):
        checkpoints.save(Progress(epochs=epoch), TENSORS)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"checkpoint-0000{epoch}-000000000.safetensors" for epoch in (10, 11)]


def test_what_a_kill_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    checkpoints.save(Progress(epochs=1), TENSORS)
    (tmp_path / ".checkpoint-000002-000000000.safetensors.4711").write_bytes(b"half")
    found = checkpoints.load()
    assert found is not None
    assert found[0].epochs == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000001-000000000.safetensors"]


def test_what_a_kill_left_of_older_ones_is_cleared_away(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        Checkpoints(tmp_path, IDENTITY, keep=3).save(Progress(epochs=epoch), TENSORS)
    found = Checkpoints(tmp_path, IDENTITY, keep=2).load()
    assert found is not None
    assert found[0].epochs == 3
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"checkpoint-00000{epoch}-000000000.safetensors" for epoch in (2, 3)]


def test_a_broken_checkpoint_is_left_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY, keep=3)
    for epoch in (1, 2):
        checkpoints.save(Progress(epochs=epoch), TENSORS)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-4])
    found = checkpoints.load()
    assert found is not None
    assert found[0].epochs == 1
    assert f"{newest.name} cannot be read" in capsys.readouterr().out


def test_another_training_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, IDENTITY).save(Progress(epochs=1), TENSORS)
    with pytest.raises(CheckpointError, match="model was 'resnet18', now it is 'vgg11'"):
        Checkpoints(tmp_path, {"model": "vgg11"}).load()


def test_without_a_folder_nothing_happens(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "none", IDENTITY)
    checkpoints.save(Progress(), TENSORS)
    assert checkpoints.load() is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", [optim.AdamW, optim.SGD])
def test_an_optimiser_goes_on_as_before(kind: type[optim.Optimizer]) -> None:
    def stepped(steps: int, *, restart: int) -> torch.Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(2, 2)
        make = {"momentum": 0.9} if kind is optim.SGD else {}
        optimizer = kind(layer.parameters(), lr=0.1, **make)  # type: ignore[call-arg,arg-type]
        for step in range(steps):
            if step == restart:
                kept = optimizer_tensors(optimizer)
                optimizer = kind(layer.parameters(), lr=0.1, **make)  # type: ignore[call-arg,arg-type]
                restore_optimizer(optimizer, kept)
            optimizer.zero_grad()
            layer(torch.ones(1, 2)).square().sum().backward()
            optimizer.step()
        return layer.weight.detach()

    assert torch.equal(stepped(4, restart=2), stepped(4, restart=-1))


def test_the_digest_covers_what_is_not_stored() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    model = nn.Sequential(first, second)
    learns = {name: tensor for name, tensor in model.state_dict().items() if name[0] == "1"}
    before = frozen_digest(model, learns)
    with torch.no_grad():
        second.weight.add_(1)
    assert frozen_digest(model, learns) == before
    with torch.no_grad():
        first.weight.add_(1)
    assert frozen_digest(model, learns) != before
