"""The list of runs: what each was about and what came of it, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.browse.frame import link, run_address, served_page
from dashboards.page.markup import Block, Section, paragraph, text
from sm_entrypoints.contract.sentences import counted

_COLUMNS = ("", "run", "state", "started (UTC)", "data", "network", "test accuracy", "USD", "")
_NAMED = ("started (UTC)", "data", "network", "test accuracy", "USD")
# How a state is coloured: a class of page.css.
_STATES = {
    **dict.fromkeys(("running", "waiting"), "stop"),
    **dict.fromkeys(("failed", "crashed"), "issues"),
    "completed": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in the list.

    Attributes:
        state: as the run's record has it (``completed``, ``waiting`` for a person, …), or
            ``unreadable``.
        started: as it is shown; empty when it is not known.
        accuracy: of the test pictures, 0 to 1; None without a test.
        usd: what it cost, as it is shown; ``bills`` says whether anybody was billed for it.
        verdict: the verdict's sentence, or why the run failed.
        endpoint: the endpoint that it made, if it made one.
        report: whether there is a report to open.
    """

    name: str
    state: str
    started: str = ""
    data: str = ""
    network: str = ""
    platform: str = "local"
    accuracy: float | None = None
    usd: str = ""
    bills: bool = False
    verdict: str = ""
    endpoint: str = ""
    report: bool = False

    def matches(self, words: str) -> bool:
        """Say whether every word occurs in what is shown of the run, whatever its case."""
        shown = (self.name, self.state, self.started, self.data, self.network, self.platform)
        whole = " ".join((*shown, self.verdict, self.endpoint)).casefold()
        return all(word in whole for word in words.casefold().split())


def runs_page(lines: Sequence[RunLine], words: str = "", state: str = "") -> str:
    """Return the list, of the runs that match ``words`` and are in ``state``; empty: any."""
    shown = [each for each in lines if each.matches(words) and state in ("", each.state)]
    states = sorted({each.state for each in lines} | ({state} if state else set()))
    total = counted(len(lines), "run")
    subtitle = total if len(shown) == len(lines) else f"{len(shown)} of {total}"
    blocks = [_filter(words, state, states), _table(shown) if shown else _nothing(lines)]
    return served_page("Runs", subtitle, [Section(anchor="runs", title="", blocks=blocks)])


def _nothing(lines: Sequence[RunLine]) -> Block:
    if lines:
        return paragraph("No run matches: change the words, or choose another state.", "empty")
    return paragraph("There are no runs yet: start one with `whippet run --data DIR`.", "empty")


def _filter(words: str, state: str, states: Sequence[str]) -> Block:
    choices = "".join(
        f'<option value="{text(each)}"{" selected" if each == state else ""}>'
        f"{text(each or 'any state')}</option>"
        for each in ("", *states)
    )
    return Block(
        markup='<form class="filter" action="/" method="get" role="search">'
        f'<label>Words <input type="search" name="q" value="{text(words)}" '
        'placeholder="name, data set, network, verdict …"></label>'
        f'<label>State <select name="state">{choices}</select></label>'
        "<button>Filter</button></form>"
    )


def _table(lines: Sequence[RunLine]) -> Block:
    head = "".join(f"<th>{text(column)}</th>" for column in _COLUMNS)
    rows = "".join(map(_row, lines))
    button = (
        '<p class="act"><button>Compare two runs</button> '
        "<small>Tick two of them first.</small></p>"
        if len(lines) > 1
        else ""
    )
    return Block(
        markup='<form action="/compare" method="get"><div class="scroll"><table class="runs">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{button}</form>"
    )


def _row(line: RunLine) -> str:
    tick = (
        f'<input type="checkbox" name="run" value="{text(line.name)}" '
        f'aria-label="compare {text(line.name)}">'
    )
    unreadable = line.state == "unreadable"
    name = text(line.name) if unreadable else link(run_address(line.name), line.name)
    told = f"<small>{text(line.verdict)}</small>" if line.verdict else ""
    accuracy = "—" if line.accuracy is None else f"{line.accuracy:.1%}"
    cells = (
        "" if unreadable else tick,
        f"{name}{told}",
        chip(line.state),
        text(line.started),
        text(line.data),
        text(line.network),
        accuracy,
        text(line.usd) + ("" if line.bills or not line.usd else "<small>not billed</small>"),
        link(f"{run_address(line.name)}/report", "report") if line.report else "",
    )
    return f"<tr>{''.join(map(_cell, _COLUMNS, cells))}</tr>"


def _cell(column: str, cell: str) -> str:
    """Return a cell; on a narrow page, where there is no head, those that need it show its name."""
    name = f' data-name="{text(column)}"' if column in _NAMED and cell else ""
    return f"<td{name}>{cell}</td>"


def chip(state: str) -> str:
    """Return a run's state as coloured markup."""
    kind = _STATES.get(state, "none")
    return f'<span class="chip {kind}">{text(state)}</span>'
