"""The question itself: what a person sees before they say yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from dashboards.artifacts.tables import markdown_table, markdown_text
from sm_entrypoints.contract.sentences import clause, counted, joined
from tasks.approval.comparison import sentence_of
from tasks.approval.in_service import Answered
from tasks.runs.approval_parts import NOT_DEPLOYED, Comparison
from tasks.runs.record_model import RunRecord

_MOST_SAMPLES = 8
_COLUMNS = {
    "path": "test picture",
    "label": "is",
    "new": "the new model says",
    "probability": "sure by",
    "old": "the model in service says",
}


class Cost(NamedTuple):
    """What the endpoint would cost; ``bills`` is False where it is only what AWS would charge."""

    hour_usd: Decimal | None
    worst_usd: Decimal | None
    hours_to_live: float
    instances: str
    bills: bool


class Question(NamedTuple):
    """What is asked of a person: a sentence, all that speaks for and against, and until when."""

    run: str
    sentence: str
    markdown: str
    until: datetime


class Reply(NamedTuple):
    """A person's answer, and what they said with it."""

    answer: Literal["yes", "no"]
    reason: str = ""


def refused_sentence(sentence: str, reply: Reply) -> str:
    """Return what the state of a refused run says."""
    why = f"{NOT_DEPLOYED}: {clause(reply.reason)}" if reply.reason else NOT_DEPLOYED
    return joined(why, sentence)


def accuracy_sentence(record: RunRecord) -> str:
    """Return how good the new model is, as a clause."""
    tested = record.evaluation
    if tested is None or tested.accuracy is None or not tested.samples:
        return "no test was run"
    return f"{tested.accuracy:.1%} of {counted(tested.samples, 'test picture')} right"


def question_of(
    record: RunRecord,
    comparison: Comparison | str,
    cost: Cost,
    pictures: list[Answered],
    until: datetime,
) -> Question:
    """Return the question; ``comparison`` may be why there is none."""
    beside = comparison if isinstance(comparison, str) else sentence_of(comparison)
    lines = [
        f"### Deploy the model of run {markdown_text(record.name)}?",
        "",
        f"- **New model**: {accuracy_sentence(record)}",
        f"- **Beside the model in service**: {markdown_text(beside)}",
        f"- **Cost**: {cost_sentence(cost)}",
        *_verdict(record),
        *([f"- **Report**: `{record.report}`"] if record.report else []),
        f"- **Answer by {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC**: no answer is a no. Nothing "
        "bills in the meantime.",
        "",
        *_table(comparison),
        *_samples(pictures),
    ]
    sentence = joined(accuracy_sentence(record), beside)
    return Question(record.name, sentence, "\n".join(lines), until)


def cost_sentence(cost: Cost) -> str:
    """Return what the endpoint costs an hour, and at most."""
    if cost.hour_usd is None:
        return f"{cost.instances}; billed by use, or its price is not known"
    most = "" if cost.worst_usd is None else f", at most {cost.worst_usd:.2f} USD"
    here = "" if cost.bills else " (what AWS would charge: here it is free)"
    return (
        f"{cost.hour_usd:.4f} USD an hour for {cost.instances}, for {cost.hours_to_live:g} h"
        f"{most}{here}"
    )


def _verdict(record: RunRecord) -> Iterable[str]:
    if record.verdict is not None:
        yield f"- **Verdict**: {markdown_text(record.verdict.sentence)}"


def _table(found: Comparison | str) -> Iterator[str]:
    if isinstance(found, str):
        return
    rows = [
        {"test pictures": "both models right", "count": found.both_right},
        {"test pictures": "only the new model right", "count": found.only_new_right},
        {"test pictures": "only the model in service right", "count": found.only_old_right},
        {"test pictures": "both wrong", "count": found.both_wrong},
    ]
    yield f"#### Beside endpoint {markdown_text(found.endpoint)} of run {markdown_text(found.run)}"
    yield ""
    yield markdown_table(rows, ["test pictures", "count"])
    yield f"McNemar's exact test of whether they differ: p = {found.p_value:.2g}."
    if found.note:
        yield markdown_text(found.note)
    yield ""


def _samples(pictures: list[Answered]) -> Iterator[str]:
    """Show first where the models differ, then where the new one is wrong, then the rest."""
    if not pictures:
        return

    def rank(each: Answered) -> tuple[bool, bool]:
        return each.old is None or each.old == each.new, each.new == each.label

    shown = sorted(pictures, key=rank)[:_MOST_SAMPLES]
    known = any(each.old is not None for each in shown)
    columns = {name: title for name, title in _COLUMNS.items() if known or name != "old"}
    rows = [{**each._asdict(), "probability": f"{each.probability:.0%}"} for each in shown]
    yield "#### Sample answers, those in doubt first"
    yield ""
    yield markdown_table(rows, columns)
