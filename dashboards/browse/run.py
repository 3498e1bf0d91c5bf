"""One run: how far it came, what it found out, and the files that it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboards.browse.frame import file_address, link, run_address, served_page
from dashboards.browse.runs import RunLine, chip
from dashboards.page.markup import Block, Section, facts, heading, paragraph


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as its page shows it.

    Attributes:
        facts: names and values, the most important first.
        parameters: by the names of their groups.
        seconds: how long each stage took.
        error: why it failed; empty when it did not.
        files: names of the files that may be opened.
    """

    line: RunLine
    facts: Sequence[tuple[str, object]] = ()
    parameters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    files: Sequence[str] = ()


def run_page(view: RunView) -> str:
    """Return the page of one run."""
    line = view.line
    sections = [
        Section(anchor="outcome", title="What came of it", blocks=_outcome(view)),
        Section(anchor="parameters", title="Parameters", blocks=_parameters(view.parameters)),
    ]
    return served_page(
        line.name,
        f"started {line.started or 'at an unknown time'}, platform {line.platform}",
        sections,
    )


def _outcome(view: RunView) -> list[Block]:
    line = view.line
    links = [link(f"{run_address(line.name)}/report", "Report")] if line.report else []
    links += [link(file_address(line.name, file), file) for file in view.files]
    if line.endpoint:
        links.append(link(f"/try?endpoint={line.endpoint}", "Try its endpoint"))
    stages = [(name, f"{seconds:.0f} s") for name, seconds in view.seconds.items()]
    return [
        Block(markup=f"<p>{chip(line.state)}</p>"),
        *([paragraph(view.error, "empty")] if view.error else []),
        facts(view.facts),
        Block(markup=f'<p class="links">{" ".join(links)}</p>' if links else ""),
        *([heading("How long each stage took"), facts(stages, "list")] if stages else []),
    ]


def _parameters(groups: Mapping[str, Mapping[str, object]]) -> list[Block]:
    blocks: list[Block] = []
    for title, values in groups.items():
        if values:
            blocks += [heading(title), facts(values.items(), "list")]
    return blocks or [paragraph("Every parameter had its default.", "empty")]
