"""The runs of this home as lines of a list, and one run as a page shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from dashboards.browse.run import RunView
from dashboards.browse.runs import RunLine
from platforms import Settings
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import clause
from tasks.costs.ledger import cost_sentence, endpoint_so_far_usd, spent_usd
from tasks.costs.worst_case import cents
from tasks.parameters.typed_path import with_typed
from tasks.runs.moments import moment
from tasks.runs.record import (
    METRICS_FILE,
    PDF_FILE,
    PREDICTIONS_FILE,
    REPORT_FILE,
    RUN_FILE,
    SKIPPED_FILE,
    TRIALS_FILE,
    read_run,
)
from tasks.runs.record_model import RunRecord

# What a page may hand out of a run's folder, and as what.
FILES = {
    REPORT_FILE: "text/html; charset=utf-8",
    PDF_FILE: "application/pdf",
    TRIALS_FILE: "text/csv; charset=utf-8",
    METRICS_FILE: "text/csv; charset=utf-8",
    PREDICTIONS_FILE: "text/csv; charset=utf-8",
    SKIPPED_FILE: "text/csv; charset=utf-8",
    RUN_FILE: "application/json",
}

_PREFECTS_WORDS = re.compile(r"^(Flow run encountered an exception: )(\w+: )?")


def list_runs(settings: Settings) -> list[RunLine]:
    """Return every run, the newest first; one whose record cannot be read says so, and is last."""
    lines = [_line(settings, path.parent.name) for path in _records(settings)]
    return sorted(lines, key=lambda line: (line.started, line.name), reverse=True)


def run_names(settings: Settings) -> list[str]:
    """Return the names of the runs, in alphabetical order."""
    return sorted(path.parent.name for path in _records(settings))


def view_run(settings: Settings, name: str) -> RunView:
    """Return a run as its page shows it.

    Raises:
        FileNotFoundError: there is no such run.
        ParameterError: its record cannot be read, or is a newer version's.
    """
    require_run(settings, name)
    record = read_run(settings, name)
    folder = settings.runs / name
    here = [file for file in FILES if (folder / file).is_file()]
    return RunView(
        line=_line_of(record, folder),
        facts=run_facts(record),
        parameters=parameter_groups(record),
        seconds=record.seconds,
        error=_own_words(record.error),
        files=[file for file in here if file != REPORT_FILE],
    )


def require_run(settings: Settings, name: str) -> None:
    """Check that this is the name of a run: a name from an address may be anything.

    Raises:
        FileNotFoundError: there is no such run.
    """
    if name not in run_names(settings):
        raise FileNotFoundError(f"there is no run {name!r} in {settings.runs}")


def run_facts(record: RunRecord) -> list[tuple[str, object]]:
    """Return what came of a run: names and values, without what it has not got."""
    tested, best, endpoint = record.evaluation, record.best, record.endpoint
    facts: list[tuple[str, object]] = [
        ("Test accuracy", _share(tested.accuracy) if tested else None),
        ("Test pictures", tested.samples if tested else None),
        ("Test loss", tested.loss if tested else None),
        ("Network", _network(record) or None),
        ("Best validation loss of the search", best.objective if best else None),
        ("Time", f"{sum(record.seconds.values()):.0f} s" if record.seconds else None),
        ("Verdict", record.verdict.sentence if record.verdict else None),
        ("Cost", _sentence(cost_sentence(record))),
        (
            "Endpoint",
            f"{endpoint.endpoint}, until {moment(endpoint.expires)}" if endpoint else None,
        ),
    ]
    return [(name, value) for name, value in facts if value is not None]


def parameter_groups(record: RunRecord) -> Mapping[str, Mapping[str, object]]:
    """Return a run's parameters by group, as they were typed."""
    groups: dict[str, Mapping[str, object]] = {}
    alone: dict[str, object] = {}
    for name, value in record.parameters.items():
        if isinstance(value, dict):
            groups[name] = dict(with_typed(value)[0])
        else:
            alone[name] = value
    return {**({"run": alone} if alone else {}), **groups}


def _records(settings: Settings) -> list[Path]:
    found = settings.runs.glob(f"[!.]*/{RUN_FILE}")
    return [path for path in found if not path.parent.is_symlink()]


def _line(settings: Settings, name: str) -> RunLine:
    try:
        return _line_of(read_run(settings, name), settings.runs / name)
    except (OSError, ParameterError) as error:
        return RunLine(name=name, state="unreadable", verdict=clause(error))


def _line_of(record: RunRecord, folder: Path) -> RunLine:
    tested = record.evaluation
    usd = spent_usd(record.ledger.values()) + endpoint_so_far_usd(record)
    return RunLine(
        name=folder.name,
        state=record.status,
        started=_moment(record.started),
        data=record.data.name or record.data.dataset or "",
        network=_network(record),
        platform=record.platform,
        accuracy=tested.accuracy if tested else None,
        usd=f"{cents(usd)}" if record.ledger else "",
        bills=record.bills,
        verdict=record.verdict.sentence if record.verdict else _own_words(record.error),
        endpoint=record.endpoint.endpoint if record.endpoint else "",
        report=(folder / REPORT_FILE).is_file(),
    )


def _own_words(error: str | None) -> str:
    """Return why a run failed without what Prefect says before it."""
    return _PREFECTS_WORDS.sub("", error or "")


def _network(record: RunRecord) -> str:
    chosen = record.network.network if record.network else None
    return str(chosen or record.group("model").get("architecture") or "")


def _moment(started: str | None) -> str:
    try:
        return f"{datetime.fromisoformat(started or '').astimezone(UTC):%Y-%m-%d %H:%M}"
    except ValueError:
        return ""


def _sentence(words: str | None) -> str | None:
    return words and words[0].upper() + words[1:]


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"
