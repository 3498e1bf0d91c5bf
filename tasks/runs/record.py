"""The record of a run: ``$WHIPPET_HOME/runs/<flow run name>/run.json`` and its neighbours.

Every stage adds what it knows as soon as it knows it, so a run that died shows how far it got. A
run is found by its root flow run id, so subflows and retries share one folder.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import JsonValue

from platforms import Settings
from platforms.errors import ParameterError
from platforms.files import point_to, read_json, write_json
from platforms.locks import held
from platforms.privacy import make_home
from sm_entrypoints.contract.kill_points import reach
from sm_entrypoints.contract.sentences import clause
from tasks.runs.names import RunIdentity, folder_name, run_token
from tasks.runs.record_model import VERSION, RunFacts, RunRecord, read_record
from tasks.runs.record_parts import Json

RUN_FILE = "run.json"
REPORT_FILE = "report.html"
PDF_FILE = "report.pdf"
TRIALS_FILE = "trials.csv"
METRICS_FILE = "metrics.csv"
PREDICTIONS_FILE = "predictions.csv"
TRIALS_JSON = "trials.json"
DATA_FILE = "data.json"
# Of the data check: files left out, by path and reason; all problems, where there are many.
SKIPPED_FILE = "skipped.csv"
PROBLEMS_FILE = "data-problems.txt"
# The files of the final training job.
OUTPUT_FOLDER = "training"
# The files of a packed search.
SEARCH_FOLDER = "search"
# Of a run that fine-tunes: the output of the job that trained the head.
HEAD_FOLDER = "head"
_PACKAGES = ("prefect", "boto3", "obstore", "optuna", "pandas", "plotly")


def run_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the run of that name."""
    return settings.runs / name


def open_run(
    settings: Settings,
    flow_run_id: str,
    name: str,
    parameters: Mapping[str, JsonValue],
    *,
    resume: bool,
) -> RunIdentity:
    """Return the identity of a root flow run; its folder and record exist afterwards.

    The same flow run id always gets the same identity. Another flow run of the same name gets its
    own folder, unless it is meant to ``resume``: then it takes over identity and folder, also those
    of the run that ``latest`` points to.

    Raises:
        NewerRun: the run that is to go on was made by a newer version.
    """
    pointer = settings.runs / ".by-flow-run" / f"{flow_run_id}.json"
    make_home(settings.home)
    with held(settings.runs / ".lock", make_folder=True):
        if pointer.exists():
            return RunIdentity(**read_json(pointer))
        run = _new_identity(settings, flow_run_id, name, resume=resume)
        _start_record(settings, run, parameters)
        write_json(pointer, asdict(run))
        point_to(settings.runs / "latest", run_folder(settings, run.name))
    return run


def find_run(settings: Settings, flow_run_id: str) -> RunIdentity | None:
    """Return the identity that :func:`open_run` gave to a root flow run, if it did."""
    pointer = settings.runs / ".by-flow-run" / f"{flow_run_id}.json"
    return RunIdentity(**read_json(pointer)) if pointer.exists() else None


def settings_of(run: RunIdentity | None) -> Settings:
    """Return the settings under which a run was started: its platform, not this process's own.

    A worker calls the hooks of its runs, and ``recover-runs`` ends them, for every platform.
    """
    settings = Settings()
    run_record = None if run is None else _run_here(settings, run.name)
    if run_record is None:
        return settings
    return settings.model_copy(update={"platform": run_record.platform})


def _new_identity(settings: Settings, flow_run_id: str, name: str, *, resume: bool) -> RunIdentity:
    token = run_token(flow_run_id)
    earlier = _run_here(settings, name if resume else folder_name(name))
    if resume and earlier is not None:
        return RunIdentity(name=earlier.name, token=earlier.token, flow_run_id=flow_run_id)
    # A record of this very flow run: it died before its pointer was written.
    taken = earlier is not None and earlier.flow_run_id != flow_run_id
    own = folder_name(name)
    return RunIdentity(
        name=f"{own}-{token}" if taken else own, token=token, flow_run_id=flow_run_id
    )


def _start_record(
    settings: Settings, run: RunIdentity, parameters: Mapping[str, JsonValue]
) -> None:
    path = run_folder(settings, run.name) / RUN_FILE
    earlier = read_json(path) if path.exists() else {"seconds": {}, "jobs": {}}
    start = RunRecord(
        version=VERSION,
        **asdict(run),
        status="running",
        started=earlier.get("started") or _now(),
        ended=None,
        error=None,
        platform=settings.platform,
        parameters=dict(parameters),
        versions=package_versions(),
    )
    write_json(path, {**earlier, **start.as_json()})


def record(settings: Settings, run: RunIdentity, facts: RunFacts) -> None:
    """Add what a stage found out to the run's record; mappings are merged one level deep."""
    folder = run_folder(settings, run.name)
    with held(folder / ".lock", make_folder=True):
        path = folder / RUN_FILE
        values: Json = read_json(path) if path.exists() else {"version": VERSION, **asdict(run)}
        for key, value in facts.as_json().items():
            before = values.get(key)
            if isinstance(value, dict) and isinstance(before, dict):
                value = {**before, **value}
            values[key] = value
        reach(f"record {'+'.join(sorted(facts.as_json()))}")
        write_json(path, values)
        reach(f"recorded {'+'.join(sorted(facts.as_json()))}")


def finish(settings: Settings, run: RunIdentity, status: str, error: str | None = None) -> None:
    """Write how the run ended: ``completed``, ``failed`` or ``cancelled``."""
    record(settings, run, RunFacts(status=status, ended=_now(), error=error))


def read_run(settings: Settings, name: str) -> RunRecord:
    """Return the record of the run of that name (``latest`` is one).

    Raises:
        FileNotFoundError: there is no such run.
        NewerRun: a newer version of Whippet made it.
        ParameterError: its file is not the record of a run.
    """
    return _read(run_folder(settings, name) / RUN_FILE)


def every_run(settings: Settings) -> Iterator[RunRecord]:
    """Yield the record of each run; what is no record, or a newer version's, is passed over."""
    for path in settings.runs.glob(f"*/{RUN_FILE}"):
        if path.parent.is_symlink():  # latest
            continue
        try:
            yield _read(path)
        except (OSError, ParameterError):  # somebody else's folder is no reason to fail
            continue


def recorded_jobs(settings: Settings, run: RunIdentity) -> dict[str, str]:
    """Return the names of the jobs that a run launched, by step; none without a record here."""
    run_record = _run_here(settings, run.name)
    return {} if run_record is None else run_record.jobs


def redone_jobs(settings: Settings, run: RunIdentity) -> list[str]:
    """Return the jobs of a run whose steps are done again; none without a record here."""
    run_record = _run_here(settings, run.name)
    return [] if run_record is None else run_record.redone


def forget(settings: Settings, run: RunIdentity, parts: Collection[str], facts: RunFacts) -> None:
    """Remove parts of a run's record, ``jobs.NAME`` for one of a mapping, and add ``facts``: both
    or nothing.
    """
    folder = run_folder(settings, run.name)
    with held(folder / ".lock"):
        values: Json = read_json(folder / RUN_FILE)
        for part in parts:
            name, _, key = part.partition(".")
            inner = values.get(name)
            if not key:
                values.pop(name, None)
            elif isinstance(inner, dict):
                inner.pop(key, None)
        write_json(folder / RUN_FILE, {**values, **facts.as_json()})


def known_run(settings: Settings, name: str) -> RunIdentity | None:
    """Return the identity of the run of that name, None when its record is not here."""
    run_record = _run_here(settings, name)
    return None if run_record is None else run_record.identity


def _run_here(settings: Settings, name: str) -> RunRecord | None:
    path = run_folder(settings, name) / RUN_FILE
    return _read(path) if path.exists() else None


def _read(path: Path) -> RunRecord:
    try:
        values = read_json(path)
    except ValueError as error:
        raise ParameterError(f"{path} cannot be read: {clause(error)}") from error
    return read_record(values, str(path))


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
