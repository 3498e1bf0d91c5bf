"""Who goes on after each round, and what that costs: networks whose answers are written here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import nn

from sm_entrypoints.choosing.candidate import Candidate
from sm_entrypoints.choosing.choice import Choice
from sm_entrypoints.choosing.probe import NoHeadLearned, Prober
from sm_entrypoints.choosing.progress import ChoiceProgress
from sm_entrypoints.choosing.standing import Standing
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.networks import Network, NetworksDocument
from sm_entrypoints.contract.search import SearchPlan
from sm_entrypoints.features.backbone import Built, Compute
from sm_entrypoints.features.features import FeatureFolders, FeatureUse
from sm_entrypoints.images.channels import Split, Splits
from sm_entrypoints.models.model import ModelCard
from sm_entrypoints.searching.request import SearchRequest

# Cheapest first.
NAMES = (
    "squeezenet1_1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "regnet_y_800mf",
    "resnet18",
    "resnet50",
    "convnext_tiny",
)
RANGES = {"lr": {"type": "continuous", "min": 1e-3, "max": 1e-1}}


def splits(folder: Path, train: int, valid: int) -> Splits:
    def split(name: str, count: int) -> Split:
        paths = tuple(f"{label}/{place}" for label in "ab" for place in range(count))
        for path in paths:
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).touch()
        labels = tuple(0 if path.startswith("a") else 1 for path in paths)
        return Split(name=name, folder=folder / name, paths=paths, labels=labels)

    classes = ("a", "b")
    return Splits(
        classes=classes, train=split("train", train), valid=split("valid", valid), test=None
    )


@dataclass(frozen=True)
class Scripted(Prober):
    """Answers as it was told: a share of right answers for each network; never computes."""

    accuracies: Mapping[str, float] = field(default_factory=dict)
    seen: list[tuple[str, int]] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)

    def probe(
        self, built: Built, parts: Sequence[Split], request: SearchRequest
    ) -> tuple[Standing, FeatureUse]:
        name, count = request.fixed.model, sum(map(len, parts))
        if self.accuracies[name] < 0:
            raise NoHeadLearned("none of 8 heads learned: the training loss is nan")
        self.seen.append((name, count))
        new = count - self.kept.get(name, 0)
        self.kept[name] = count
        answers = len(parts[1])
        right = round(self.accuracies[name] * answers)
        standing = Standing(
            train_pictures=len(parts[0]),
            right="1" * right + "0" * (answers - right),
            loss=1.0,
            loss_error=0.1,
        )
        seconds = 0.001 * new * (NAMES.index(name) + 1)
        return standing, FeatureUse(kept=count - new, computed=new, seconds=seconds)


def built_of(width: int) -> Built:
    model = nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Built(
        model=model,
        card=ModelCard(architecture="resnet18", classes=("a", "b"), image_size=16),
        compute=Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False),
        frozen=True,
        pretrained=True,
    )


def choose(
    folder: Path, accuracies: Mapping[str, float], *, train: int = 500, valid: int = 200
) -> tuple[Scripted, NetworksDocument]:
    plan = SearchPlan.from_document(
        {"trials": 4, "ranges": RANGES, "networks": list(accuracies)[::-1]}
    )
    prober = Scripted(
        request=SearchRequest(plan=plan, fixed=TrainingArguments()),
        folders=FeatureFolders(),
        stopped=lambda: False,
        train_pictures=train,
        accuracies=accuracies,
    )
    choice = Choice(
        prober,
        splits(folder, train, valid),
        build=lambda network: built_of(2 * (NAMES.index(network.architecture) + 1)),
        progress=ChoiceProgress(None, print),
    )
    assert choice.run().architecture in accuracies
    choice.write(folder)
    document: NetworksDocument = json.loads((folder / "networks.json").read_text())
    return prober, document


def test_eight_alike_networks_cost_less_than_half(tmp_path: Path) -> None:
    prober, found = choose(tmp_path, dict.fromkeys(NAMES, 0.8))
    first, second, whole = 2 * (50 + 20), 2 * (150 + 60), 2 * (500 + 200)
    assert prober.seen == [
        *((name, first) for name in NAMES),
        *((name, second) for name in NAMES[:4]),
        *((name, whole) for name in NAMES[:2]),
    ]
    cost = found["cost"]
    assert cost["pictures"] == cost["computed"] == 4 * first + 2 * second + 2 * whole
    assert cost["all_pictures"] == 8 * whole
    assert cost["flops_ratio"] is not None
    assert cost["flops_ratio"] < 0.5
    # A network's k-th part of 36: eight tenths of shares by their sizes.
    spent = 0.1 * (5 + 6 + 7 + 8) + 0.3 * (3 + 4) + (1 + 2)
    assert cost["seconds_ratio"] == pytest.approx(spent / 36)
    reasons = {row["network"]: row["dropped"] for row in found["networks"]}
    assert reasons["convnext_tiny"] == "not among the best 4 of 8 after 100 pictures"
    assert reasons["efficientnet_b0"] == "not among the best 2 of 4 after 300 pictures"
    assert reasons["mobilenet_v2"] == ""


def test_the_dearest_networks_may_win_and_the_choice_costs_half(tmp_path: Path) -> None:
    accuracies = {name: 0.6 + 0.02 * place for place, name in enumerate(NAMES)}
    prober, found = choose(tmp_path, accuracies)
    assert found["winner"] == "convnext_tiny"
    # Without a budget the two dearest would be shown all, which is 0.54 of everything.
    assert found["cost"]["flops_ratio"] is not None
    assert 0.49 < found["cost"]["flops_ratio"] <= 0.5
    assert [name for name, _ in prober.seen[-2:]] == ["resnet50", "convnext_tiny"]
    first, second, third = [row["share"] for row in found["networks"][:3]]
    assert first == second > third
    assert 0.8 < first < 1


@pytest.mark.parametrize("best", [NAMES[0], NAMES[5], NAMES[7]])
@pytest.mark.parametrize(("train", "valid"), [(160, 20), (180, 30), (300, 200)])
def test_a_choice_never_costs_more_than_half(
    best: str, train: int, valid: int, tmp_path: Path
) -> None:
    accuracies = {name: 0.7 - 0.01 * (name != best) for name in NAMES}
    _, found = choose(tmp_path, accuracies, train=train, valid=valid)
    assert found["cost"]["flops_ratio"] is not None
    assert 0.1 < found["cost"]["flops_ratio"] <= 0.5


def test_what_can_no_longer_win_is_dropped_at_once(tmp_path: Path) -> None:
    prober, found = choose(tmp_path, {"squeezenet1_1": 0.3, "resnet50": 0.95})
    assert len(prober.seen) == 2
    loser = found["networks"][1]
    assert loser["dropped"].startswith("it can no longer win: 65.0 ± ")
    assert loser["dropped"].endswith("points behind resnet50 on the same 40 pictures")
    assert loser["behind"] == pytest.approx(0.65)
    assert found["networks"][0]["share"] == pytest.approx(0.1)


def test_two_that_stay_close_are_shown_all(tmp_path: Path) -> None:
    prober, found = choose(tmp_path, {"squeezenet1_1": 0.8, "resnet50": 0.82})
    assert [count for _, count in prober.seen] == [140, 140, 420, 420, 1400, 1400]
    assert all(row["share"] == 1 for row in found["networks"])
    assert found["winner"] == "resnet50"
    assert found["networks"][1]["behind"] == pytest.approx(0.02)


def test_a_network_whose_heads_all_diverge_is_left_out(tmp_path: Path) -> None:
    _, found = choose(tmp_path, {"squeezenet1_1": 0.5, "resnet50": -1})
    assert found["winner"] == "squeezenet1_1"
    assert found["networks"][1]["dropped"] == (
        "it cannot be used: none of 8 heads learned: the training loss is nan"
    )


def test_the_file_of_progress_may_be_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "networks.json").write_text('{"resnet50": {"identity": 3}}')
    progress = ChoiceProgress(tmp_path, print)
    plan = SearchPlan.from_document({"trials": 4, "ranges": RANGES, "networks": ["resnet50"]})
    request = SearchRequest(plan=plan, fixed=TrainingArguments())
    prober = Scripted(
        request=request,
        folders=FeatureFolders(),
        stopped=lambda: False,
        train_pictures=40,
        accuracies={"resnet50": 1.0},
    )
    for text in ('{"resnet50": {}}', "[]", "{", '{"resnet50": {"identity": 3}}'):
        (tmp_path / "networks.json").write_text(text)
        choice = Choice(
            prober,
            splits(tmp_path / str(len(text)), 20, 20),
            build=lambda network: built_of(2),
            progress=progress,
        )
        assert str(choice.run()) == "resnet50"
    assert "the progress of the choice is ignored" in capsys.readouterr().out


def test_a_standing_of_another_part_is_not_taken_over(tmp_path: Path) -> None:
    candidate = Candidate(network=Network.parse("resnet18"), identity="same")
    standing = Standing(train_pictures=10, right="1" * 8, loss=1.0, loss_error=0.1)
    candidate.standings = {0: standing, 1: standing}
    again = Candidate(network=Network.parse("resnet18"), identity="same")
    again.take_over(candidate.document())
    # Until a round takes them over, they count for nothing, and a second kill loses none of them.
    assert (again.pictures, again.last) == (0, None)
    assert again.document()["standings"] == candidate.document()["standings"]
    assert again.remembers(0, train=10, valid=8)
    assert again.standings == {0: standing}
    assert not again.remembers(1, train=11, valid=8)
    assert again.standings == {0: standing}
