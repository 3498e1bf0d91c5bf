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
FUSED = replace(LAST, fused=True)
BFLOAT16 = replace(LAST, dtype=torch.bfloat16)
RUN = module._run
COARSE_FIRST = replace(BFLOAT16, channels_last=False)


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
    monkeypatch.setattr(module, "_run", lambda b, p: (RUN(b, p)[0], speed[b.built.compute]))


def chosen(train: Split, open_ways: list[Compute], told: list[str] | None = None) -> Compute | None:
    say = (told if told is not None else []).append
    made = replace(built(), compute=open_ways[0])
    backbone = probe(made, list(every_place([train])), open_ways, say)
    return None if backbone is None else backbone.built.compute


@pytest.mark.parametrize(
    ("arguments", "default", "able", "open_ways"),
    [
        ({}, LAST, False, {FIRST, LAST, FUSED}),
        ({}, LAST, True, {FIRST, LAST, FUSED, BFLOAT16, COARSE_FIRST}),
        ({"precision": "float32"}, LAST, True, {FIRST, LAST, FUSED}),
        ({"precision": "bfloat16", "channels_last": "true"}, BFLOAT16, True, {BFLOAT16}),
        ({"precision": "bfloat16"}, BFLOAT16, True, {BFLOAT16, COARSE_FIRST}),
        ({"channels_last": "true"}, LAST, True, {BFLOAT16, LAST}),
        ({}, replace(LAST, device=torch.device("cuda")), False, "on a GPU no graph"),
    ],
)
def test_only_what_is_left_to_us_is_tried(
    arguments: dict[str, str],
    default: Compute,
    able: bool,
    open_ways: set[Compute] | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: able)
    found = ways(TrainingArguments(**arguments), default)  # type: ignore[arg-type]
    assert found[0] == default
    if isinstance(open_ways, str):
        assert not any(way.fused for way in found)
    else:
        assert set(found) == open_ways


@pytest.mark.slow
def test_the_fastest_that_agrees_is_chosen(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    rates(monkeypatch, {LAST: 2.0, FUSED: 3.0})
    assert chosen(train, [LAST, FUSED]) == FUSED  # 12 pictures take 6 s
    rates(monkeypatch, {LAST: 4.4, FUSED: 6.0})
    assert chosen(train, [LAST, FUSED]) is None  # 2.7 s
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)
    assert chosen(train, [LAST, FUSED], told) == FUSED
    assert told == [
        "tried 2 ways on 8 images: float32, fused layers computes 6 a second, float32, channels "
        "last 4"
    ]
    rates(monkeypatch, {LAST: 2.7, FUSED: 3.0})  # within the noise: the default
    assert chosen(train, [LAST, FUSED]) == LAST


def test_of_a_short_pass_what_is_seldom_the_fastest_is_not_tried(
    train: Split, monkeypatch: pytest.MonkeyPatch, worth_it: None
) -> None:
    rates(monkeypatch, {LAST: 1.0, FUSED: 1.0})  # another would be a KeyError
    assert chosen(train, [LAST, FUSED, FIRST, BFLOAT16]) == LAST
    monkeypatch.setattr(module, "MANY_PICTURES", 12)
    rates(monkeypatch, {LAST: 1.0, FUSED: 1.0, FIRST: 2.0})
    assert chosen(train, [LAST, FUSED, FIRST]) == FIRST


@pytest.mark.parametrize("way", [FUSED, FIRST])
def test_what_is_faster_but_wrong_is_not_chosen(
    train: Split, monkeypatch: pytest.MonkeyPatch, worth_it: None, way: Compute
) -> None:
    run = module._run

    def wrong(backbone: Backbone, pixels: torch.Tensor) -> tuple[torch.Tensor, float]:
        rows, _ = run(backbone, pixels)
        return (rows.flip(0), 9.0) if backbone.built.compute == way else (rows, 1.0)

    monkeypatch.setattr(module, "_run", wrong)
    monkeypatch.setattr(module, "MANY_PICTURES", 1)
    assert chosen(train, [LAST, way]) == LAST


@pytest.mark.parametrize(("least", "expected"), [(0.995, LAST), (0.3, BFLOAT16)])
def test_coarse_numbers_are_taken_only_if_they_give_the_same_classes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    worth_it: None,
    least: float,
    expected: Compute,
) -> None:
    """Random pictures of no classes: what a classifier makes of them hangs on a hair."""
    many = read_splits(make_channels(tmp_path / "data", train=40, valid=1, test=1)).train
    told: list[str] = []
    monkeypatch.setattr(module, "MANY_PICTURES", 120)
    monkeypatch.setattr(module, "LEAST_AGREEMENT", least)
    rates(monkeypatch, {LAST: 1.0, BFLOAT16: 1.1})
    assert chosen(many, [LAST, BFLOAT16], told) == LAST
    assert "same class" not in told.pop()  # not faster: nobody asks how good it is
    rates(monkeypatch, {LAST: 1.0, BFLOAT16: 9.0})
    run = Backbone.features

    def rougher(self: Backbone, pixels: torch.Tensor) -> torch.Tensor:
        rows = run(self, pixels)
        if self.built.compute == BFLOAT16:
            rows = rows * (1 + 0.5 * torch.randn(rows.shape, generator=noise))
        return rows

    noise = torch.Generator().manual_seed(0)
    monkeypatch.setattr(Backbone, "features", rougher)
    assert chosen(many, [LAST, BFLOAT16], told) == expected
    assert "bfloat16, channels last gives" in told[0]


def test_a_choice_is_kept_and_taken_by_whoever_comes_later(
    train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth_it: None
) -> None:
    made, kept = replace(built(), compute=LAST), tmp_path / "kept"
    rates(monkeypatch, {FUSED: 2.0, LAST: 1.0})
    first = features_of([train], made, AUTO, folders=FeatureFolders(write=kept))
    assert first.use.numbers == "float32, fused layers"
    (about,) = [json.loads(file.read_text()) for file in kept.glob("*/about.json")]
    assert (about["probed"], about["key"]["compiled"]) == (2, True)
    rates(monkeypatch, {})  # trying again would fail
    again = features_of([train], made, AUTO, folders=FeatureFolders(read=(kept,)))
    assert (again.use.kept, again.use.numbers) == (12, "float32, fused layers")
    assert torch.equal(again.by_split["train"], first.by_split["train"])
    said = replace(AUTO, channels_last="true")
    other = features_of([train], made, said, folders=FeatureFolders(read=(kept,)))
    assert (other.use.kept, other.use.numbers) == (0, "float32, channels last")
    # The first probe wrote `true`; what it chose is not trusted any more.
    (file,) = kept.glob("*/about.json")
    file.write_text(json.dumps({**about, "probed": True}))
    before = features_of([train], made, AUTO, folders=FeatureFolders(read=(kept,)))
    assert before.use.numbers == "float32, channels last"
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


@pytest.mark.parametrize("way", [LAST, FUSED, BFLOAT16])
def test_every_way_makes_similar_features(way: Compute) -> None:
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    rows = Backbone(replace(built(), compute=way)).features(pixels).float().flatten(1)
    reference = Backbone(built()).features(pixels).flatten(1)
    assert torch.nn.functional.cosine_similarity(rows, reference).min() > 0.999
