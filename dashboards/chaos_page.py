"""The page of ``whippet chaos``: what was killed when, and how the run came through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from dashboards.page.markup import Block, Section, facts, table, text
from dashboards.page.page import render_page
from sm_entrypoints.contract.files import write_atomically

_WIDTH, _LABEL, _ROW, _TOP = 1000.0, 130.0, 34.0, 18.0
_COLOURS = {"kill": "var(--bad)", "recovery": "var(--good)", "note": "var(--soft)"}
_SIGNS = {"kill": "✕", "recovery": "↻", "note": "•"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened ``at`` seconds after the start, in the lane of a process."""

    at: float
    lane: str
    kind: Literal["kill", "recovery", "note"]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A process that lived, in seconds after the start."""

    lane: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold in the end: the question, what was found, whether it holds."""

    question: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that the page shows; ``seconds`` are those of the harmed run, to its end."""

    seed: int
    began: datetime
    seconds: float
    unharmed_seconds: float
    lanes: Sequence[str]
    spans: Sequence[Span]
    events: Sequence[Event]
    checks: Sequence[Check]
    settings: str

    @property
    def right(self) -> bool:
        """Whether everything holds."""
        return all(check.holds for check in self.checks)

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(event.kind == "kill" for event in self.events)


def write_chaos_page(path: Path, story: Story) -> None:
    """Write the page: one file that shows itself without a network.

    Raises:
        OSError: it cannot be written.
    """
    outcome = "The run ended right." if story.right else "Something did not hold: see below."
    kind = "ok" if story.right else "error"
    sections = [
        Section(
            anchor="outcome",
            title="Outcome",
            blocks=[
                Block(markup=f'<div class="verdict {kind}"><h3>{text(outcome)}</h3></div>'),
                facts(_facts(story)),
                table(
                    ["it must hold that", "found", ""],
                    [[c.question, c.found, "yes" if c.holds else "NO"] for c in story.checks],
                ),
            ],
        ),
        Section(anchor="timeline", title="What happened", blocks=[_timeline(story)]),
        Section(
            anchor="events",
            title="In words",
            blocks=[
                table(
                    ["second", "who", "", "what"],
                    [[round(e.at, 1), e.lane, _SIGNS[e.kind], e.what] for e in story.events],
                )
            ],
        ),
    ]
    page = render_page(
        f"Chaos: {story.kills} kills, seed {story.seed}",
        f"{story.began:%Y-%m-%d %H:%M} UTC; {story.settings}",
        f"The same kills again: whippet chaos --seed {story.seed}",
        sections,
    )
    write_atomically(path, page.encode())


def _facts(story: Story) -> list[tuple[str, object]]:
    recoveries = sum(event.kind == "recovery" for event in story.events)
    return [
        ("Seed", str(story.seed)),
        ("Kills", story.kills),
        ("Recoveries", recoveries),
        ("Seconds, unharmed", round(story.unharmed_seconds, 1)),
        ("Seconds, with kills", round(story.seconds, 1)),
    ]


def _timeline(story: Story) -> Block:
    """Return the picture: a lane a kind of process, bars while one lived, marks above them."""
    end = max([story.seconds, *(span.end for span in story.spans), 1.0])

    def x(second: float) -> float:
        return _LABEL + (_WIDTH - _LABEL - 30) * min(max(second, 0.0), end) / end

    height = _TOP + _ROW * len(story.lanes) + 24
    parts = [_ticks(end, height, x(0), x(end))]
    for row, lane in enumerate(story.lanes):
        middle = _TOP + _ROW * (row + 0.5)
        parts.append(_words(0, middle + 4, lane, "start", "var(--ink)"))
        for span in story.spans:
            if span.lane == lane:
                parts.append(_bar(x(span.begin), x(span.end), middle))
        for event in story.events:
            if event.lane == lane and event.kind != "note":
                parts.append(_mark(x(event.at), middle, event))
    key = "✕ killed, ↻ brought back; a bar is a process that lives. Point at a mark for its story."
    return Block(
        markup=f'<figure><figcaption>{text(key)}</figcaption><div class="scroll">'
        f'<svg role="img" aria-label="timeline of kills and recoveries" viewBox="0 0 {_WIDTH:.0f} '
        f'{height:.0f}" width="100%">{"".join(parts)}</svg></div></figure>'
    )


def _ticks(end: float, height: float, left: float, right: float) -> str:
    step = next(each for each in (5, 10, 20, 30, 60, 120, 300, 600, 10**9) if end / each <= 12)
    marks = []
    for number in range(int(end // step) + 1):
        at = left + (right - left) * number * step / end
        marks.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 6:.0f}" y2="{height - 22:.0f}" '
            f'style="stroke:var(--line)"/>'
        )
        marks.append(_words(at, height - 6, f"{number * step} s", "middle", "var(--soft)"))
    return "".join(marks)


def _bar(left: float, right: float, middle: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{middle - 6:.1f}" width="{max(right - left, 1.5):.1f}" '
        f'height="12" rx="3" style="fill:var(--bar)"/>'
    )


def _mark(at: float, middle: float, event: Event) -> str:
    up = -9 if event.kind == "kill" else 13
    title = f"<title>{text(f'{event.at:.1f} s: {event.what}')}</title>"
    return (
        f'<g>{title}<line x1="{at:.1f}" x2="{at:.1f}" y1="{middle - 9:.1f}" y2="{middle + 9:.1f}" '
        f'style="stroke:{_COLOURS[event.kind]};stroke-width:2"/>'
        + _words(at, middle + up, _SIGNS[event.kind], "middle", _COLOURS[event.kind])
        + "</g>"
    )


def _words(x: float, y: float, words: str, anchor: str, colour: str) -> str:
    style = f"fill:{colour};font-size:13px;font-family:inherit"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{text(words)}</text>'
    )
