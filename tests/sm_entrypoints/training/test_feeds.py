from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.features.features import FeatureFolders, features_of
from sm_entrypoints.images.channels import Splits, read_splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.training.preparation import Prepared, prepare
from tests.sm_entrypoints.pictures import make_channels

ARGUMENTS = TrainingArguments(
    model="squeezenet1_1",
    image_size=64,
    trainable="head",
    precision="float32",
    batch_size=4,
)


class Job:
    """A frozen training over a few pictures, and the features of its backbone in a channel."""

    def __init__(self, root: Path) -> None:
        self.kept = root / "features"
        channels = make_channels(root / "data", train=3, valid=2, test=1)
        self.splits: Splits = read_splits(channels)
        self.environment = Environment(
            channels={**channels, "features": self.kept},
            model_dir=root / "model",
            output_data_dir=root / "output",
            checkpoint_dir=root / "no checkpoints",
        )

    def prepared(self, arguments: TrainingArguments = ARGUMENTS) -> Prepared:
        return prepare(arguments, self.environment, self.splits, StopRequest())

    def keep(self) -> None:
        """Write what another job, a search, would have written."""
        like = self.prepared()
        made = Built(
            model=like.training.model,
            card=like.card,
            compute=like.compute,
            frozen=True,
            pretrained=False,
        )
        read = [self.splits.train, self.splits.valid]
        features_of(read, made, ARGUMENTS, folders=FeatureFolders(write=self.kept))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_job_takes_the_features_of_its_channel(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.kept.mkdir()
    (job.kept / "about.json").write_text(json.dumps({"dataset": "pets"}))  # as a sync writes it
    cold = job.prepared()
    assert cold.feeds.features is not None
    assert (cold.feeds.features.kept, cold.feeds.features.computed) == (0, 15)
    assert "computed the features of 15 images" in capsys.readouterr().out
    job.keep()
    capsys.readouterr()
    warm = job.prepared()
    assert warm.feeds.features is not None
    assert (warm.feeds.features.kept, warm.feeds.features.computed) == (15, 0)
    assert "took the kept features of 15 images" in capsys.readouterr().out
    for index in range(9):
        pair = (each.feeds.train.data.__getitems__([(0, index)]) for each in (cold, warm))
        (kept, *_), (computed, *_) = pair
        assert torch.allclose(kept, computed, rtol=0, atol=1e-5)


def test_a_damaged_file_in_the_channel_is_told_and_costs_its_pictures_only(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.keep()
    (shard,) = job.kept.glob("*/features-*")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    capsys.readouterr()
    features = job.prepared().feeds.features
    assert features is not None
    assert (features.kept, features.computed) == (0, 15)
    assert f"kept features are damaged: {shard.name}" in capsys.readouterr().out


def test_features_of_another_seed_s_backbone_are_not_taken(job: Job) -> None:
    job.keep()
    features = job.prepared(replace(ARGUMENTS, seed=1)).feeds.features
    assert features is not None
    assert features.kept == 0


def test_a_channel_that_is_missing_or_a_file_changes_nothing(job: Job) -> None:
    assert job.prepared().feeds.cached
    job.kept.write_text("no folder")
    assert job.prepared().feeds.cached


def test_who_wants_no_features_gets_images(job: Job) -> None:
    job.keep()
    assert job.prepared(replace(ARGUMENTS, cache_features="false")).feeds.features is None
    assert job.prepared(replace(ARGUMENTS, augmentation="flip")).feeds.features is None
