"""No sentence of a verdict may contradict the evidence: all sentences against many kinds of job.

Jobs are made up along what tells one from another (how right, how many pictures, which losses, how
it ended, what rules said), in thousands of combinations. What a phrase claims is checked against
how the job was made up, not against the code that chose the phrase.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sm_entrypoints.contract.arguments import parse_arguments
from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.catalogue import RULES
from sm_entrypoints.rules.evidence import Evidence, ForeignRule
from sm_entrypoints.rules.result import Mark, RuleResult, not_applicable
from sm_entrypoints.rules.verdict.claims import CONDITIONS
from sm_entrypoints.rules.verdict.finding import Finding
from sm_entrypoints.rules.verdict.guessing import better_than_guessing
from sm_entrypoints.rules.verdict.verdict import Verdict, reach_verdict
from tests.punctuation import doubled
from tests.sm_entrypoints.rules.cases import issue, job, series, steps

# Every phrase over thousands of made-up trainings.
pytestmark = pytest.mark.slow

_COMBINATIONS = 5_000
_LOSSES: dict[str, Callable[[float, int], list[float]]] = {
    "falls": lambda guess, n: [guess * (1 - 0.85 * i / max(n - 1, 1)) for i in range(n)],
    "flat": lambda guess, n: [guess * (1 + 0.01 * (i % 2)) for i in range(n)],
    "equal": lambda guess, n: [guess] * n,
    "rises": lambda guess, n: [guess * (1 + 2 * i / max(n - 1, 1)) for i in range(n)],
    "huge": lambda guess, n: [guess] * (n - 1) + [1e9],
    "nan": lambda guess, n: [guess] * (n - 1) + [math.nan],
    "none": lambda guess, n: [],
}
_DETAILS: dict[str, dict[str, Any]] = {
    "BatchSizeThroughput": {
        **{"batch_size": 1, "better_batch_size": 16, "factor": 5.0, "fixed_percent": 80.0},
        **{"fixed_seconds": 0.08, "image_seconds": 0.02, "method": "…"},
    },
    "ThreadOversubscription": {
        **{"threads": 8, "workers": 0, "cores": 2, "waiting_percent": 60.0},
        "involuntary_switches": 9,
    },
    "LowCPUUtilization": {"percent": 40.0, "measured": "the machine"},
    "Dataloader": {"percent": 50.0, "processes": 1.0, "problem": "too few"},
    "DataWait": {"median_wait_seconds": 0.06},
    "MemoryGrowth": {
        "megabytes_per_epoch": 80.0, "first_megabytes": 500.0, "last_megabytes": 800.0,
    },
    "StepOutlier": {
        "TRAIN forward": {
            "outliers": 12, "max_seconds": 1.0, "median_seconds": 0.03, "excess_seconds": 2.0,
        }
    },
}  # fmt: skip
_MARK = Mark(step=17, epoch=2, mode="TRAIN", subject="conv1.weight", message="it is odd")


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a job was made up."""

    ours: bool
    classes: int
    balance: str
    pictures: int
    right: str
    own_right: str
    losses: str
    valid_losses: str
    steps: int
    stopped: str | None
    rule: str | None
    theirs: bool
    timed: bool
    settings: dict[str, Any]

    @property
    def share(self) -> float:
        """Of the most frequent class."""
        return 1.0 if self.classes == 1 else 0.9 if self.balance == "skewed" else 1 / self.classes

    def accuracy(self, kind: str) -> float | None:
        return {"guessed": self.share, "better": 0.99, "worse": 0.5 * self.share}.get(kind)

    @property
    def diverged(self) -> bool:
        broke = self.losses in ("huge", "nan") and self.steps > 0
        said = self.stopped == "diverged" and self.ours
        return broke or said or self.rule == "ExplodingTensor"

    @property
    def judged(self) -> bool | None:
        """Whether new pictures are answered better than by guessing."""
        accuracy = self.accuracy(self.right)
        if accuracy is None or not self.pictures or self.steps == 0:
            return None
        return better_than_guessing(accuracy, self.pictures, self.share)

    @property
    def found(self) -> bool:
        return self.rule is not None or self.theirs


_DIMENSIONS: dict[str, tuple[Any, ...]] = {
    "ours": (True, False),
    "classes": (1, 2, 3, 10),
    "balance": ("even", "skewed"),
    "pictures": (0, 2, 12, 200),
    "right": ("guessed", "better", "worse", "unknown"),
    "own_right": ("guessed", "better"),
    "losses": tuple(_LOSSES),
    "valid_losses": ("falls", "flat", "rises", "equal"),
    "steps": (0, 1, 2, 12, 80),
    "stopped": (None, None, "sigterm", "diverged", "rule", "early_stopping"),
    "rule": (None, None, *(rule.name for rule in RULES)),
    "theirs": (False, False, True),
    "timed": (True, False),
    "settings": (
        *({}, {}),
        {"lr": 100.0, "batch_size": 65_536, "epochs": 100_000, "cache_features": "true"},
        {"lr": 1e-12, "cache_features": "true"},
    ),
}


def _jobs() -> Iterator[Made]:
    chance = random.Random(8)
    for _ in range(_COMBINATIONS):
        yield Made(**{name: chance.choice(values) for name, values in _DIMENSIONS.items()})


def _evidence(made: Made) -> Evidence:
    guess = math.log(max(made.classes, 2))
    labels = [f"class {number}" for number in range(made.classes)]
    rest = (1000 - round(1000 * made.share)) // max(made.classes - 1, 1)
    counts = {label: rest for label in labels} | {labels[0]: round(1000 * made.share)}
    losses = _LOSSES[made.losses](guess, made.steps) if made.steps else []
    records = [
        TensorRecord(
            step=step, epoch=1, mode="TRAIN", collection="losses", name="loss",
            mean=loss if math.isfinite(loss) else None, nan=int(math.isnan(loss)),
        )
        for step, loss in enumerate(losses)
    ]  # fmt: skip
    stop = {"rule": made.rule or "DeadRelu", "step": 7, "epoch": 2, "mode": "TRAIN",
            "subject": "conv1", "message": "odd"}  # fmt: skip
    facts = job(
        arguments={"epochs": 3, **made.settings},
        model={"classes": labels, "trainable": "head" if made.settings else "all"},
        stopped=made.stopped,
        stopped_by=stop if made.stopped == "rule" else None,
        epochs_run=3 if made.steps else 0,
        best_epoch=3 if made.steps else 0,
        class_counts=counts,
        class_counts_valid=counts,
    )
    theirs = ForeignRule(rule="CPUBottleneck", triggered=2602, violations=2602, datapoints=3754)
    return Evidence(
        records=records,
        epochs=_epochs(made, guess) if made.steps else [],
        steps=steps(epochs=1, per_epoch=made.steps) if made.timed and made.steps else {},
        system=[series("cpu0", "CPUUtilization", 90.0)],
        class_counts=counts if made.ours else {},
        job=facts if made.ours else {},
        summary={"workers": 0, "cores": 2} if made.ours else {},
        cores=2,
        theirs=[theirs] if made.theirs else [],
    )


def _epochs(made: Made, guess: float) -> list[dict[str, Any]]:
    if not made.ours or made.losses in ("none", "nan"):
        return []
    rows = []
    trained = _LOSSES[made.losses](guess, 3)
    validated = _LOSSES[made.valid_losses](guess, 3)
    for epoch in (1, 2, 3):
        train = {"loss": trained[epoch - 1], "accuracy": made.accuracy(made.own_right)}
        valid = {"loss": validated[epoch - 1], "accuracy": made.accuracy(made.right)}
        rows.append({"epoch": epoch, "split": "train", "samples": 1000, "seconds": 2.0, **train})
        if made.pictures:
            count = {"samples": made.pictures, "seconds": 1.0}
            rows.append({"epoch": epoch, "split": "valid", **count, **valid})
    return rows


def _results(made: Made, evidence: Evidence) -> dict[str, RuleResult]:
    """Return what the rules about losses really say, and that one rule triggered."""
    results = {}
    for rule in RULES:
        if rule.name in ("LossNotDecreasing", "ExplodingTensor"):
            results[rule.name] = rule.evaluate(evidence, dict(rule.parameters))
        else:
            quiet = RuleResult(rule=rule.name, status="NoIssuesFound", datapoints=made.steps)
            nothing = not_applicable(rule.name, "nothing to look at")
            results[rule.name] = quiet if made.steps else nothing
    if made.rule is not None:
        results[made.rule] = issue(made.rule, _MARK, **_DETAILS.get(made.rule, {}))
    return results


@dataclass(frozen=True)
class Told:
    """A job, its verdict, and what the rules about losses found by themselves."""

    made: Made
    evidence: Evidence
    verdict: Verdict
    triggered: frozenset[str]

    def sentences(self) -> Iterator[tuple[str, Finding]]:
        for finding in (self.verdict.finding, *self.verdict.others):
            texts = (finding.sentence, finding.advice, finding.gain.reasoning, *finding.evidence)
            yield from ((text, finding) for text in texts)

    @property
    def found(self) -> bool:
        return bool(self.triggered) or self.made.theirs


@pytest.fixture(scope="module")
def told() -> list[Told]:
    found = []
    for made in _jobs():
        evidence = _evidence(made)
        results = _results(made, evidence)
        triggered = frozenset(n for n, r in results.items() if r.status == "IssuesFound")
        found.append(Told(made, evidence, reach_verdict(evidence, results), triggered))
    return found


def _falls(each: Told) -> bool:
    return each.made.losses == "falls" and each.made.steps > 1 and not each.made.diverged


def _sound(each: Told) -> bool:
    made = each.made
    stopped = made.ours and made.stopped in ("sigterm", "diverged", "rule")
    guessed = made.ours and made.judged is False and made.losses not in ("none", "nan")
    return not (_diverged(each) or stopped or guessed)


def _diverged(each: Told) -> bool:
    made = each.made
    said = made.stopped == "diverged" and made.ours
    alone = made.losses == "huge" and made.steps == 1 and not made.ours
    broke = made.losses in ("huge", "nan") and made.steps > 0 and not alone
    return said or broke or "ExplodingTensor" in each.triggered


def _stopped(each: Told) -> bool:
    return each.made.ours and each.made.stopped is not None


def _validation(each: Told, *kinds: str) -> bool:
    return each.made.ours and each.made.pictures > 0 and each.made.valid_losses in kinds


# What a phrase claims, and when that is true.
_CLAIMS: dict[str, Callable[[Told], bool]] = {
    r"\b(?<!what )learns(?! nothing| its training)": lambda e: _falls(e) and e.made.judged is True,
    r"its training loss falls": _falls,
    r"no better than guessing|only guesses": lambda e: e.made.judged is False,
    r"better than guessing(?! after)|told right": lambda e: e.made.judged is not False
    or e.made.own_right == "better",
    r"images by heart but": lambda e: e.made.own_right == "better" and e.made.judged is False,
    r"network learns nothing|stays where guessing is": lambda e: e.made.judged is not True
    and e.made.losses != "falls",
    r"[Nn]o rule found|no rule triggered": lambda e: not e.found,
    r"Nothing to change": lambda e: not e.found and _sound(e),
    r"Nothing worth a change|Leave it as it is": _sound,
    r"exploded|diverged|not finite|not a finite number": _diverged,
    r"was stopped|stopped the training": _stopped,
    r"still fell": lambda e: _validation(e, "falls"),
    r"over-fits": lambda e: e.made.own_right == "better" and e.made.right in ("guessed", "worse"),
    r"loss rose": lambda e: e.made.losses == "rises",
    r"updates are too large": lambda e: e.made.losses in ("rises", "huge")
    or _validation(e, "rises"),
    r"all \d+ training images are of": lambda e: e.made.classes == 1,
    r"SageMaker's own rule": lambda e: e.made.theirs,
    r"No verdict|Too little was": lambda e: e.made.steps < 10,
    r"time goes into the network": lambda e: e.made.timed and e.made.steps > 0,
    r"cut off|[Aa]ll well": lambda e: False,
}  # fmt: skip
_NEVER = {r"cut off|[Aa]ll well", r"updates are too large"}


@pytest.mark.parametrize("phrase", _CLAIMS, ids=lambda phrase: phrase)
def test_a_phrase_is_said_only_where_it_is_true(told: list[Told], phrase: str) -> None:
    said = [
        (each, text) for each in told for text, _ in each.sentences() if re.search(phrase, text)
    ]
    false = [(text, each.made) for each, text in said if not _CLAIMS[phrase](each)]
    assert false[:3] == []
    assert said or phrase in _NEVER, "nobody says this any more: take it out of the table"


# One of a kind is not told in the plural, and no share is above all.
_ODD = re.compile(
    r"(?<![\d.,])1 (?:training )?(?:steps|epochs|images|times|rules|losses|datapoints)\b"
    r"|\b0 of 0\b|\bNone\b"
)


def test_no_sentence_ends_twice_or_miscounts(told: list[Told]) -> None:
    texts = {text for each in told for text, _ in each.sentences()}
    assert [text for text in texts if doubled(text)][:3] == []
    assert [text for text in texts if _ODD.search(text)][:3] == []
    # A rule's threshold may be about several cores.
    measured = [text for text in texts if not text.startswith("it triggers when: ")]
    shares = {text: re.findall(r"(\d+(?:\.\d+)?) ?%", text) for text in measured}
    assert [text for text, found in shares.items() if any(float(x) > 100 for x in found)] == []


def test_all_is_called_well_only_where_all_is(told: list[Told]) -> None:
    for each in told:
        if each.verdict.finding.severity == "ok":
            assert _sound(each), each.made
            assert each.made.steps >= 10 or each.evidence.epochs, each.made
    assert Counter(each.verdict.finding.severity for each in told).keys() == {
        *("error", "warning", "ok", "note")
    }


def test_a_broken_training_is_never_anything_else(told: list[Told]) -> None:
    broken = [each for each in told if _diverged(each) and each.made.stopped != "rule"]
    assert len(broken) > 500
    for each in broken:
        assert each.verdict.finding.severity == "error", each.made


def test_what_triggered_is_told_and_nothing_else_has_a_rules_name(told: list[Told]) -> None:
    for each in told:
        findings = (each.verdict.finding, *each.verdict.others)
        names = {finding.rule for finding in findings}
        text = " ".join(text for text, _ in each.sentences())
        stop = {"DeadRelu", each.made.rule} if each.made.stopped == "rule" else set()
        known = each.triggered | ({"CPUBottleneck"} if each.made.theirs else set())
        assert names <= known | stop | {None}, each.made
        for rule in known if len(findings) <= 5 else ():
            assert rule in names or rule in text or rule in _TOLD_OTHERWISE, (rule, each.made)


# A finding of another name is about the same, or there is nothing to count it by.
_TOLD_OTHERWISE = {"Dataloader", "LossNotDecreasing"}


def test_every_claim_of_a_finding_holds_and_every_claim_is_made(told: list[Told]) -> None:
    made = Counter(
        claim
        for each in told
        for finding in (each.verdict.finding, *each.verdict.others)
        for claim in finding.claims
    )
    assert set(CONDITIONS) >= set(made)
    assert [claim for claim in CONDITIONS if claim not in made] == []


def test_a_gain_is_a_gain(told: list[Told]) -> None:
    for each in told:
        for finding in (each.verdict.finding, *each.verdict.others):
            gain = finding.gain
            assert gain.factor is None or gain.factor >= 1, finding
            assert gain.seconds is None or gain.seconds > 0, finding
            assert gain.kind != "speed" or gain.reasoning, finding


def test_a_stopped_job_keeps_its_reason_whatever_else_is_found(told: list[Told]) -> None:
    stopped = [each for each in told if each.made.ours and each.made.stopped == "rule"]
    for each in stopped:
        text = " ".join(text for text, _ in each.sentences())
        assert "stopped the training" in text, each.made
    by_hand = [each for each in told if each.made.ours and each.made.stopped == "sigterm"]
    for each in by_hand:
        text = " ".join(text for text, _ in each.sentences())
        assert "stopped from outside" in text, each.made


def test_the_next_job_takes_every_change(told: list[Told]) -> None:
    made = Counter[str]()
    for each in told:
        arguments = each.evidence.job.get("arguments") or {}
        for finding in (each.verdict.finding, *each.verdict.others):
            change = finding.change or {}
            made.update(change.keys())
            # As it is passed: refused if the job would be, by bounds or by what excludes what.
            parse_arguments(
                [f"--{name}={value}" for name, value in {**arguments, **change}.items()]
            )
            assert all(arguments.get(name) != value for name, value in change.items()), change
    assert {"lr", "batch_size", "epochs", "augmentation", "cache_features"} <= made.keys()
