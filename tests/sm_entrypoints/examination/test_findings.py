import json

import numpy as np
import pytest
import torch

from sm_entrypoints.examination.findings import Examined, write_picture_findings
from sm_entrypoints.examination.mistakes import Mistake, Network
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.images.channels import read_splits
from sm_entrypoints.models.model import ModelCard, build_model
from tests.sm_entrypoints.examination.pools import clouds
from tests.sm_entrypoints.pictures import make_channels

COMPUTE = Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False)


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    channels = make_channels(tmp_path_factory.mktemp("data"), train=30, valid=8, test=8)
    return read_splits(channels)


@pytest.fixture(scope="module")
def network(splits):
    torch.manual_seed(0)
    card = ModelCard(architecture="resnet18", classes=splits.classes, image_size=64)
    return Network(
        model=build_model("resnet18", 3, image_size=64).eval(), card=card, compute=COMPUTE
    )


def examined(splits, network, **more):
    parts = [splits.train, splits.valid, splits.test]
    labels = torch.tensor([label for split in parts for label in split.labels])
    features, made = clouds([46] * 3, numbers=512, distance=9.0)
    rows = torch.empty_like(features)
    for label in range(3):
        rows[labels == label] = features[made == label]
    by_split = dict(
        zip(("train", "valid", "test"), rows.split([len(part) for part in parts]), strict=True)
    )
    # The first two of train are swapped with two of another class; one of test is one of train.
    train = by_split["train"]
    train[[0, 40]], train[[1, 41]] = train[[40, 0]], train[[41, 1]]
    by_split["test"][0] = train[5] + 0.05 * torch.randn(512)
    return Examined(splits=parts, features=by_split, network=network, **more)


def written(folder, *arguments, **options):
    said = write_picture_findings(folder, *arguments, **options)
    return said, json.loads((folder / "pictures.json").read_text("utf-8"))


@pytest.mark.slow
def test_all_that_is_found_is_in_one_file_with_its_pictures(tmp_path, splits, network):
    said, document = written(tmp_path, examined(splits, network))
    wrong = document["wrong_labels"]
    assert document["version"] == 1
    assert document["pictures"] == {"train": 90, "valid": 24, "test": 24}
    assert {item["path"] for item in wrong["items"]} <= {
        splits.train.paths[place] for place in (0, 1, 40, 41)
    }
    assert wrong["count"] == len(wrong["items"]) >= 3
    assert f"{wrong['count']} may have the wrong label" in said
    alike = document["look_alikes"]
    pairs = {(item["first"]["path"], item["second"]["path"]) for item in alike["items"]}
    assert (splits.train.paths[5], splits.test.paths[0]) in pairs
    assert document["learning_curve"]["points"]
    assert document["left_out"] == []
    files = [item["file"] for item in wrong["items"]]
    files += [item[which]["file"] for item in alike["items"] for which in ("first", "second")]
    files += [item["file"] for item in document["where"]["items"]]
    assert all((tmp_path / file).read_bytes().startswith(b"\xff\xd8\xff") for file in files)


@pytest.mark.slow
def test_the_networks_own_mistakes_are_looked_into(tmp_path, splits, network):
    mistakes = [
        Mistake(split=splits.test, index=n, predicted=1, probability=0.9) for n in range(20)
    ]
    _, document = written(tmp_path, examined(splits, network, mistakes=mistakes))
    items = document["where"]["items"]
    assert [item["path"] for item in items] == list(splits.test.paths[:12])
    assert {item["predicted"] for item in items} == {splits.classes[1]}
    assert len(list((tmp_path / "pictures").glob("where-*.jpg"))) == 12


def test_what_there_is_no_time_for_is_told(tmp_path, splits, network):
    said, document = written(tmp_path, examined(splits, network), seconds=0.0)
    assert document["wrong_labels"] is None
    assert document["look_alikes"] is None
    assert "there was no time" in said
    assert len(document["left_out"]) >= 2


@pytest.mark.slow
def test_a_picture_that_has_gone_has_no_thumbnail(tmp_path, network):
    channels = make_channels(tmp_path / "data", train=30, valid=8, test=8)
    splits = read_splits(channels)
    for split in (splits.train, splits.valid, splits.test):
        for path in split.paths:
            (split.folder / path).unlink()
    _, document = written(tmp_path / "out", examined(splits, network))
    assert document["wrong_labels"]["count"] >= 3
    assert {item["file"] for item in document["wrong_labels"]["items"]} == {""}
    assert document["where"]["items"] == []


def test_the_file_is_bounded(tmp_path, splits, network):
    found = examined(splits, network)
    for name, rows in found.features.items():
        # All pictures are alike, and of one hundred classes nobody can tell apart.
        rows[:] = torch.from_numpy(np.random.default_rng(len(name)).normal(100, 1e-3, rows.shape))
    _, document = written(tmp_path, found)
    assert len(document["look_alikes"]["items"]) <= 30
    assert document["wrong_labels"]["items"] == []
    assert document["knows"] is False
