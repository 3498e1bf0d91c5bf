from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features import features as pass_module
from sm_entrypoints.features import probe as module
from sm_entrypoints.features.backbone import Backbone, Compute
from sm_entrypoints.features.compute import every_place
from sm_entrypoints.features.features import FeatureFolders, features_of
from sm_entrypoints.features.probe import laid_out, probe, ways
from sm_entrypoints.images.channels import Split, read_splits
from tests.sm_entrypoints.features.worlds import CPU, built
from tests.sm_entrypoints.pictures import make_channels

AUTO = TrainingArguments()
FIRST = Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False)
LAST = replace(FIRST, channels_last=True)
BFLOAT16 = replace(LAST, dtype=torch.bfloat16)


@pytest.fixture
def train(tmp_path: Path) -> Split:
    return read_splits(make_channels(tmp_path / "data", train=4, valid=1, test=1)).train


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few tiny pictures are worth a choice."""
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(pass_module, "LEAST_PICTURES", 1)


def rates(monkeypatch: pytest.MonkeyPatch, speed: dict[Compute, float]) -> None:
    """Let each way run for real, at a rate of ours."""
    run = module._run
    monkeypatch.setattr(module, "_run", lambda b, way, p: (run(b, way, p)[0], speed[way]))


@pytest.mark.parametrize(
    ("arguments", "default", "open_ways"),
    [
        ({}, LAST, {FIRST, LAST}),
        ({}, BFLOAT16, {FIRST, LAST, BFLOAT16, replace(BFLOAT16, channels_last=False)}),
        ({"precision": "float32"}, LAST, {FIRST, LAST}),
        ({"precision": "bfloat16", "channels_last": "true"}, BFLOAT16, {BFLOAT16}),
        ({"channels_last": "true"}, BFLOAT16, {BFLOAT16, LAST}),
    ],
)
def test_only_what_is_left_to_us_is_tried(
    arguments: dict[str, str], default: Compute, open_ways: set[Compute]
) -> None:
    given = TrainingArguments(**arguments)  # type: ignore[arg-type]
    assert set(ways(given, default)) == open_ways


def test_the_fastest_that_agrees_is_chosen(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    rates(monkeypatch, {FIRST: 1.0, LAST: 2.0, BFLOAT16: 3.0})
    places = list(every_place([train]))
    assert probe(built(), places[:12], [FIRST, LAST, BFLOAT16], told.append) is None  # 12 s
    monkeypatch.setattr(module, "LEAST_SECONDS", 10.0)
    assert probe(built(), places, [FIRST, LAST, BFLOAT16], told.append) == BFLOAT16
    assert "bfloat16, channels last computes 3 a second, float32 as it stands 1" in told[0]
    rates(monkeypatch, {FIRST: 1.0, LAST: 0.9, BFLOAT16: 0.8})
    assert probe(built(), places, [FIRST, LAST, BFLOAT16], told.append) == FIRST
    rates(monkeypatch, {FIRST: 1.0, LAST: 1.1, BFLOAT16: 1.1})  # within the noise: the default
    assert probe(built(), places, [FIRST, LAST, BFLOAT16], told.append) == FIRST


def test_what_is_faster_but_wrong_is_not_chosen(
    train: Split, monkeypatch: pytest.MonkeyPatch, worth_it: None
) -> None:
    run = module._run

    def wrong(made: object, way: Compute, pixels: torch.Tensor) -> tuple[torch.Tensor, float]:
        rows, _ = run(made, way, pixels)  # type: ignore[arg-type]
        return (rows.flip(0), 9.0) if way == BFLOAT16 else (rows, 1.0 + way.channels_last)

    monkeypatch.setattr(module, "_run", wrong)
    places = list(every_place([train]))
    assert probe(built(), places, [FIRST, LAST, BFLOAT16], lambda _: None) == LAST


def test_a_choice_is_kept_and_taken_by_whoever_comes_later(
    train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth_it: None
) -> None:
    made, kept = replace(built(), compute=LAST), tmp_path / "kept"
    rates(monkeypatch, {FIRST: 2.0, LAST: 1.0})
    first = features_of([train], made, AUTO, folders=FeatureFolders(write=kept))
    assert first.use.numbers == "float32, channels first"
    (about,) = [json.loads(file.read_text()) for file in kept.glob("*/about.json")]
    assert (about["probed"], about["key"]["channels_last"]) == (True, False)
    rates(monkeypatch, {})  # trying again would fail
    again = features_of([train], made, AUTO, folders=FeatureFolders(read=(kept,)))
    assert (again.use.kept, again.use.numbers) == (12, "float32, channels first")
    assert torch.equal(again.by_split["train"], first.by_split["train"])
    said = replace(AUTO, channels_last="true")
    other = features_of([train], made, said, folders=FeatureFolders(read=(kept,)))
    assert (other.use.kept, other.use.numbers) == (0, "float32, channels last")
    other_network = replace(built(seed=1), compute=LAST)
    theirs = features_of([train], other_network, AUTO, folders=FeatureFolders(read=(kept,)))
    assert theirs.use.numbers == "float32, channels last"


@pytest.mark.parametrize("case", ["nowhere to keep it", "several processes", "few pictures"])
def test_nothing_is_tried_where_two_runs_could_differ_or_it_does_not_pay(
    train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    if case != "few pictures":
        monkeypatch.setattr(pass_module, "LEAST_PICTURES", 1)
    rates(monkeypatch, {})
    folders = FeatureFolders(
        write=None if case == "nowhere to keep it" else tmp_path / "kept",
        may_probe=case != "several processes",
    )
    made = replace(built(), compute=LAST)
    assert features_of([train], made, AUTO, folders=folders).use.numbers.endswith("channels last")


def test_the_model_is_laid_out_as_before_afterwards() -> None:
    made = built()
    weight = made.model.state_dict()["features.3.expand3x3.weight"]
    with laid_out(made.model, LAST, back=CPU):
        inside = made.model.state_dict()["features.3.expand3x3.weight"]
        assert inside.is_contiguous(memory_format=torch.channels_last)
        assert not inside.is_contiguous()
    after = made.model.state_dict()["features.3.expand3x3.weight"]
    assert after.is_contiguous()
    assert torch.equal(after, weight)


@pytest.mark.parametrize("way", [LAST, BFLOAT16])
def test_every_way_makes_similar_features(way: Compute) -> None:
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    rows = Backbone(replace(built(), compute=way)).features(pixels).float().flatten(1)
    reference = Backbone(built()).features(pixels).flatten(1)
    assert torch.nn.functional.cosine_similarity(rows, reference).min() > 0.999
