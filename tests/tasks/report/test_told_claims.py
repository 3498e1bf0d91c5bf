"""No sentence of the lint or of an artifact may contradict its evidence, or another sentence.

Evidence is made up at random in thousands of combinations. What a phrase claims is checked against
how the evidence was made up, not against the code that chose the phrase; the verdict's own
sentences are checked in tests/sm_entrypoints/rules/verdict/test_claims.py.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

import pytest

from dashboards.files.findings import ISSUES, NOT_APPLICABLE, Findings, Mark, RuleOutcome, Verdict
from dashboards.files.frames import empty_training_output
from dashboards.files.trials import Trials, read_trials
from dashboards.sections.judgement import rules_section, verdict_section
from dashboards.sections.quality import curves_section
from sm_entrypoints.contract.sentences import counted
from tasks.costs.ledger import cost_sentence, ledger_rows
from tasks.costs.still_billing import Billing, total_sentence
from tasks.dataset.document import DataDocument, SplitCounts
from tasks.dataset.findings import DataWarning, warning
from tasks.dataset.markdown import data_markdown
from tasks.lint.findings import LintFinding, lint_markdown
from tasks.lint.log_metrics import Series
from tasks.lint.search import lint_search
from tasks.lint.trials import merge_trials
from tasks.lint.values import Measured, lint_values
from tasks.report.content import run_markdown, training_markdown
from tasks.report.profiler import profiler_markdown
from tasks.requests.tuning import best_markdown
from tasks.runs.record_parts import BestTrial, Deployment, LedgerEntry
from tasks.transform.answers import Answer, transform_markdown
from tests.punctuation import doubled
from tests.worlds.run_records import deployed, run_record

# Nobody writes these, whatever the evidence is.
_NEVER = re.compile(
    r"\b0 of 0\b|\bNone\b|\bof -|[Aa]ll well|\$-|(?<![\d.,])1 (?!of\b)(?:\w+ )?(?:rules|trials"
    r"|images|jobs|epochs|files|pictures|classes|values|datapoints|triggers|batches|findings)\b"
)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
_MANY = 2_000
_CHANCE = random.Random


def odd(text: str) -> list[str]:
    """Return what no text may say."""
    plain = re.sub(r"data:image\S+|<[^>]*>", " ", text)
    percents = [
        each for each in _PERCENT.findall(plain.replace("above 100%", "")) if float(each) > 100
    ]
    return [*doubled(plain), *_NEVER.findall(plain), *percents]


# --- the lint of values -------------------------------------------------------------------------

_VALUES: dict[str, Callable[[random.Random, int], list[float]]] = {
    "falls": lambda r, n: [2.0 * 0.7**i for i in range(n)],
    "tiny": lambda r, n: [0.01 / (i + 1) for i in range(n)],
    "guessing": lambda r, n: [math.log(r.choice([2, 10])) * r.choice([1, 1 + 1e-9, 1.0004])] * n,
    "huge": lambda r, n: [r.uniform(3, 900) for _ in range(n)],
    "whole": lambda r, n: [float(r.randrange(4)) for _ in range(n)],
    "negative": lambda r, n: [-r.uniform(0, 3) for _ in range(n)],
    "nan": lambda r, n: [0.5] * (n - 1) + [math.nan],
    "infinite": lambda r, n: [math.inf] * n,
    "shares": lambda r, n: [r.random() for _ in range(n)],
    "zero": lambda r, n: [0.0] * n,
    "passes one": lambda r, n: [0.8] * (n - 1) + [r.uniform(1.1, 1.9)],
    "per cent": lambda r, n: [r.uniform(3, 100) for _ in range(n)],
    "above 100": lambda r, n: [r.uniform(50, 100)] * (n - 1) + [r.uniform(101, 300)],
}  # fmt: skip
_NAMES = (
    "train:loss",
    "valid:loss",
    "test:loss",
    "train:accuracy",
    "valid:accuracy",
    "val_top5_acc",
)


def _measured(chance: random.Random) -> Measured:
    names = chance.sample(_NAMES, chance.randint(1, 4))
    series = []
    for name in names:
        values = _VALUES[chance.choice(list(_VALUES))](chance, chance.choice([1, 2, 3, 6]))
        digits = chance.choice(["{!r}", "{!r}", "{:.2f}", "{:.0f}"])
        series.append(Series(name=name, texts=[digits.format(value) for value in values]))
    objective = chance.choice([None, *names])
    return Measured(series=series, objective=objective, classes=chance.choice([None, 1, 2, 10]))


@dataclass(frozen=True)
class Linted:
    """Made-up metrics of a job and what the lint said of them."""

    measured: Measured
    findings: Sequence[LintFinding]

    def series(self, finding: LintFinding) -> Series:
        """The first series that a finding names."""
        named = re.search(r"'([^']+)'", finding.message)
        assert named, finding
        return next(each for each in self.measured.series if each.name == named[1])


@pytest.fixture(scope="module")
def linted() -> list[Linted]:
    chance = _CHANCE(8)
    made = [_measured(chance) for _ in range(_MANY)]
    return [Linted(each, lint_values(each)) for each in made]


def _least(each: Linted, finding: LintFinding) -> float:
    return min(each.series(finding).finite)


def _most(each: Linted, finding: LintFinding) -> float:
    return max(each.series(finding).finite)


_CLAIMS: dict[str, Callable[[Linted, LintFinding], bool]] = {
    "is not a finite number": lambda e, f: len(e.series(f).finite) < len(e.series(f).texts),
    "above 100%": lambda e, f: _most(e, f) > 100,
    "exceeds 1": lambda e, f: 1 < _most(e, f) <= 2,
    "always exactly 0": lambda e, f: set(e.series(f).finite) == {0.0},
    "is a share of 0 to 1": lambda e, f: _most(e, f) <= 1,
    "is always a whole number": lambda e, f: all(v == int(v) for v in e.series(f).finite),
    "worse than guessing": lambda e, f: _least(e, f) > 1.001 * math.log(e.measured.classes or 0),
    "too small for its mistakes": lambda e, f: e.series(f).finite[-1] < math.log(2) / 2,
}


@pytest.mark.parametrize("phrase", _CLAIMS)
def test_the_lint_says_a_phrase_only_where_it_is_true(linted: list[Linted], phrase: str) -> None:
    said = [(each, f) for each in linted for f in each.findings if phrase in f.message]
    assert said, "nobody says this any more: take it out of the table"
    assert [(f, each.measured) for each, f in said if not _CLAIMS[phrase](each, f)][:3] == []


def test_the_lint_says_nothing_odd_and_each_thing_once(linted: list[Linted]) -> None:
    for each in linted:
        assert len(set(each.findings)) == len(each.findings), each
        for finding in each.findings:
            assert finding.message.endswith("."), finding
            assert finding.advice.endswith("."), finding
            said = f"{finding.message} {finding.advice}"
            assert odd(said) + odd(finding.evidence) == [], finding


def test_two_sentences_about_one_metric_do_not_exclude_each_other(linted: list[Linted]) -> None:
    exclusive = [
        {"accuracy-above-100", "accuracy-above-1", "accuracy-always-0"},
        {"worse-than-chance", "loss-scales-with-batch"},
    ]
    for each in linted:
        by_name: dict[str, set[str]] = {}
        for finding in each.findings:
            by_name.setdefault(each.series(finding).name, set()).add(finding.code)
        for codes in by_name.values():
            assert all(len(codes & group) < 2 for group in exclusive), (codes, each.measured)


def test_nothing_found_is_said_only_of_a_stage_without_findings(linted: list[Linted]) -> None:
    for before, each in pairwise(linted[:400]):
        stages = {"request": before.findings, "training": each.findings}
        text = lint_markdown({k: [f.to_dict() for f in v] for k, v in stages.items()})
        assert text.count("Nothing found.") == sum(not found for found in stages.values())


def test_what_trials_show_is_counted_right(linted: list[Linted]) -> None:
    for start in range(0, 600, 3):
        some = {f"t-{n}": linted[start + n].findings for n in range(1 + start % 3)}
        merged = merge_trials(some)
        for finding in merged:
            showing = sum(any(f.code == finding.code for f in found) for found in some.values())
            assert finding.evidence.startswith(f"{showing} of {counted(len(some), 'trial')}")
            assert odd(finding.message) == [], finding


# --- the lint of a search, the best trial -------------------------------------------------------


def _trials(chance: random.Random) -> Trials:
    summaries = []
    constant = chance.random() < 0.3
    for number in range(chance.choice([0, 1, 2, 3, 7])):
        value = 0.5 if constant else chance.choice([None, chance.uniform(0.1, 3)])
        final = {} if value is None else {"MetricName": "valid:loss", "Value": value}
        summaries.append(
            {
                "TrainingJobName": f"t-{number}",
                "TrainingJobStatus": chance.choice(
                    ["Completed", "Completed", "Failed", "Stopped", "InProgress"]
                ),
                "TunedHyperParameters": {"lr": str(chance.choice([0.1, 0.01, 0.001]))},
                "FinalHyperParameterTuningJobObjectiveMetric": final,
            }
        )
    return read_trials(summaries)


@pytest.mark.slow
def test_what_is_said_of_a_search_is_true_of_its_trials() -> None:
    chance, said = _CHANCE(9), set()
    for _ in range(300):
        trials = _trials(chance)
        frame = trials.frame
        for finding in lint_search(trials, edges={"lr": "upper"}):
            said.add(finding.code)
            assert odd(f"{finding.message} {finding.advice} {finding.evidence}") == [], finding
            if found := re.match(r"(\d+) of (\d+) trials? ended without", finding.message):
                ended = frame[frame["status"].isin(["Completed", "Failed"])]
                assert int(found[2]) == len(ended)
                assert 0 < int(found[1]) == ended["objective"].isna().sum()
                assert (finding.severity == "error") == (found[1] == found[2])
            if found := re.match(r"All (\d+) trials have the same", finding.message):
                assert trials.measured["objective"].nunique() == 1
                assert int(found[1]) == len(trials.measured) > 1
    assert said == {"objective-missing", "objective-constant", "optimum-at-edge"}


def test_the_best_trials_notes_are_about_what_was_searched() -> None:
    best = BestTrial(
        tuning_job="s", training_job="s-1", objective=0.25, tuned=["lr"], edges={"lr": "upper"},
        hyperparameters={"lr": 0.1, "epochs": 3},
    )  # fmt: skip
    text = best_markdown(best)
    assert odd(text) == []
    assert re.search(r"lr .*searched .*upper edge", text)
    assert "edge" not in best_markdown(replace_edges(best))


def replace_edges(best: BestTrial) -> BestTrial:
    """Return a best trial in the middle of its ranges."""
    return best.model_copy(update={"edges": {}})


# --- what the rules said: the artifact and the report -------------------------------------------


def _rule(chance: random.Random, number: int) -> RuleOutcome:
    status = chance.choice([ISSUES, "NoIssuesFound", "NoIssuesFound", NOT_APPLICABLE])
    points = 0 if status == NOT_APPLICABLE else chance.choice([0, 1, 2, 900])
    violations = chance.randint(1, max(points, 1)) if status == ISSUES else 0
    return RuleOutcome(
        rule=f"Rule{number}", kind="tensor", status=status,
        triggered=min(violations, 2), violations=violations, datapoints=max(points, violations),
        description="It looks.", threshold="Above 3.", recommendation="Do less.", action="warn",
        reason="nothing to look at" if status == NOT_APPLICABLE else "", parameters={}, details={},
        marks=[],
    )  # fmt: skip


def _findings(chance: random.Random) -> Findings:
    rules = [_rule(chance, number) for number in range(chance.choice([0, 1, 2, 5]))]
    verdict = Verdict(
        sentence="It learns.", severity=chance.choice(["error", "warning", "ok", "note"]), rule="",
        evidence=["it is so"], change={}, advice="Leave it.", others=(),
        gain=chance.choice(["", "1.40 times as fast"]), reasoning=chance.choice(["", "so it is."]),
    )  # fmt: skip
    mark = Mark(step=3, epoch=1, mode="TRAIN", subject="w", message="It is odd.", rule="Rule0")
    return Findings(
        judged=True,
        verdict=chance.choice([verdict, verdict, None]),
        rules=rules,
        stopped_by=chance.choice([None, None, mark]),
    )


def _shown(findings: Findings) -> Iterator[str]:
    yield profiler_markdown(replace(empty_training_output(), findings=findings))
    for section in (verdict_section(findings, []), rules_section(findings)):
        yield " ".join(block.markup for block in section.blocks)


@pytest.mark.slow
def test_artifact_and_report_say_of_the_rules_what_they_found() -> None:
    chance = _CHANCE(10)
    for _ in range(60):
        findings = _findings(chance)
        artifact, verdict, rules = _shown(findings)
        assert odd(artifact) + odd(verdict) + odd(rules) == [], findings
        found = sum(rule.status == ISSUES for rule in findings.rules)
        absent = sum(rule.status == NOT_APPLICABLE for rule in findings.rules)
        assert artifact.count("found issues") == rules.count(">found issues<") == found
        assert ("had nothing to examine" in artifact) == (absent > 0)
        assert (f"{counted(absent, 'rule')} had nothing" in artifact) == (absent > 0)
        assert ("No rules were evaluated" in rules) == (not findings.rules)
        stopped = findings.stopped_by is not None
        assert ("Stopped by" in artifact) == ("Stopped by" in verdict) == stopped
        assert ("not judged" in artifact) is False


# --- training, run, cost, data, pictures --------------------------------------------------------


@pytest.mark.parametrize("stopped", [None, "sigterm", "rule", "diverged", "early_stopping"])
@pytest.mark.parametrize(("epochs", "best"), [(0, 0), (1, 1), (3, 2), (2, None)])
def test_a_training_is_told_as_it_ended(stopped: str | None, epochs: int, best: int | None) -> None:
    training = {"epochs_run": epochs, "best_epoch": best, "stopped": stopped}
    output = replace(empty_training_output(), training=training)
    text = " ".join(block.markup for block in curves_section(output).blocks)
    assert odd(text) + odd(training_markdown(output)) == []
    assert ("delivered is epoch" in text) == bool(epochs and best)
    words = {"sigterm": "from outside", "rule": "by a rule", "diverged": "diverged"}
    for name, word in words.items():
        assert (word in text) == (stopped == name and epochs > 0), text


@pytest.mark.parametrize("samples", [None, 0, 1, 40])
@pytest.mark.parametrize("endpoint", [None, deployed("e"), deployed("e", "soon")])
def test_a_run_is_told_as_far_as_it_came(samples: int | None, endpoint: Deployment | None) -> None:
    tested = {} if samples is None else {"accuracy": 0.75, "samples": samples}
    text = run_markdown(run_record(evaluation=tested, endpoint=endpoint))
    assert odd(text) == []
    assert ("test accuracy 75" in text) == bool(samples)
    assert ("no test was run" in text) == (not samples)
    assert ("- endpoint:" in text) == bool(endpoint)


def _entry(chance: random.Random, number: int) -> LedgerEntry:
    usd = chance.choice([None, Decimal("0.5")])
    lives = number > 0 and chance.random() < 0.3
    return LedgerEntry(
        job=f"j-{number}", stage="deploy" if lives else "train", status="Completed",
        instance_type="ml.m5.large", instance_count=1, billable_seconds=chance.choice([1, 60]),
        spot_saving=chance.choice([0, 0.7, 1]), usd=usd,
        price="price table" if usd is not None else "its price is not known",
        usd_per_hour=Decimal("0.1") if lives else None, billing=lives,
        since="2026-01-01T00:00:00" if lives else None,
    )  # fmt: skip


def test_costs_name_no_amount_that_is_not_known() -> None:
    chance = _CHANCE(11)
    for count in [0, 1, 2, 4] * 50:
        entries = [_entry(chance, number) for number in range(count)]
        record = run_record(ledger={each.job: each for each in entries})
        text = cost_sentence(record) or ""
        assert odd(text) == [], text
        assert odd(" ".join(" ".join(row.values()) for row in ledger_rows(record))) == []
        known = [each for each in entries if each.usd is not None]
        assert ("$" in text) == bool(known), text
        assert ("nothing here" in text) == bool(known), "no amount, so nothing that it would be"
        assert bool(text) == bool(entries)


@pytest.mark.parametrize("known", [0, 1, 2])
@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_what_bills_is_no_zero_where_no_price_is_known(known: int, unknown: int) -> None:
    if not known + unknown:
        return
    rest = {"name": "e", "run": "r", "instances": "1 x ml.t3.medium", "until": "-"}
    costs = [Decimal("0.25")] * known + [None] * unknown
    found = [Billing(kind="endpoint", usd_per_hour=each, price="table", **rest) for each in costs]
    text = total_sentence(found, bills=True)
    assert odd(text) == []
    assert ("USD" in text) == bool(known)
    assert "0.0000" not in text
    assert ("not known" in text) == bool(unknown)


@pytest.mark.parametrize("warnings", [[], [warning("odd", "1 image is odd.")]])
def test_data_have_no_warnings_only_where_there_are_none(warnings: list[DataWarning]) -> None:
    found = DataDocument(
        name="d",
        root="/d",
        fingerprint="f" * 64,
        classes=["cat"],
        splits={"train": SplitCounts(images=1, per_class={"cat": 1})},
        warnings=warnings,
    )
    text = data_markdown(found)
    assert odd(text) == []
    assert ("No warnings." in text) == (not warnings)


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_pictures_are_counted(count: int) -> None:
    answers = [Answer(image=f"{number}.jpg", answer="cat") for number in range(count)]
    text = transform_markdown(answers, "out.csv")
    assert text.startswith(f"# {counted(count, 'picture')}\n")
    shown = text.count(".jpg")
    assert (f"and {count - shown} more in" in text) == (shown < count)
