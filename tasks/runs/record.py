"""The record of a run: ``$WHIPPET_HOME/runs/<flow run name>/run.json`` and its neighbours.

Every stage adds what it knows as soon as it knows it, so a run that died shows how far it got. A
run is found by its root flow run id, so subflows and retries share one folder.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from platforms import Settings
from platforms.files import point_to, read_json, write_json
from platforms.locks import held
from tasks.runs.names import RunIdentity, folder_name, run_token

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
_PACKAGES = ("prefect", "boto3", "obstore", "optuna", "pandas", "plotly")


def run_folder(settings: Settings, name: str) -> Path:
    """Return the folder of the run of that name."""
    return settings.runs / name


def open_run(
    settings: Settings, flow_run_id: str, name: str, parameters: Mapping[str, Any], *, resume: bool
) -> RunIdentity:
    """Return the identity of a root flow run; its folder and record exist afterwards.

    The same flow run id always gets the same identity. Another flow run of the same name gets a
    folder of its own, unless it means to ``resume``: then it takes over identity and folder, also
    those of the run that ``latest`` points to.
    """
    pointer = settings.runs / ".by-flow-run" / f"{flow_run_id}.json"
    with held(settings.runs / ".lock", make_folder=True):
        if pointer.exists():
            return RunIdentity(**read_json(pointer))
        run = _new_identity(settings, flow_run_id, name, resume=resume)
        _start_record(settings, run, parameters)
        write_json(pointer, {"name": run.name, "token": run.token, "flow_run_id": flow_run_id})
        point_to(settings.runs / "latest", run_folder(settings, run.name))
    return run


def find_run(settings: Settings, flow_run_id: str) -> RunIdentity | None:
    """Return the identity that :func:`open_run` gave to a root flow run, if it did."""
    pointer = settings.runs / ".by-flow-run" / f"{flow_run_id}.json"
    return RunIdentity(**read_json(pointer)) if pointer.exists() else None


def note_improvement(settings: Settings, flow_run_id: str, run: RunIdentity) -> None:
    """Write down which run a flow run improves, before it starts a job for that run."""
    values = {"name": run.name, "token": run.token, "flow_run_id": run.flow_run_id}
    write_json(_improvement_pointer(settings, flow_run_id), values)


def find_improvement(settings: Settings, flow_run_id: str) -> RunIdentity | None:
    """Return the identity of the run that a flow run improves, None when it improves none."""
    pointer = _improvement_pointer(settings, flow_run_id)
    return RunIdentity(**read_json(pointer)) if pointer.exists() else None


def forget_improvement(settings: Settings, flow_run_id: str) -> None:
    """Remove what :func:`note_improvement` wrote: nothing of the improvement is left."""
    _improvement_pointer(settings, flow_run_id).unlink(missing_ok=True)


def _improvement_pointer(settings: Settings, flow_run_id: str) -> Path:
    return settings.runs / ".improved-by-flow-run" / f"{flow_run_id}.json"


def _new_identity(settings: Settings, flow_run_id: str, name: str, *, resume: bool) -> RunIdentity:
    token = run_token(flow_run_id)
    path = run_folder(settings, name if resume else folder_name(name)) / RUN_FILE
    known = read_json(path) if path.exists() else {}
    if resume and known:
        return RunIdentity(name=known["name"], token=known["token"], flow_run_id=flow_run_id)
    # A record of this very flow run: it died before its pointer was written.
    taken = known and known["flow_run_id"] != flow_run_id
    own = folder_name(name)
    return RunIdentity(
        name=f"{own}-{token}" if taken else own, token=token, flow_run_id=flow_run_id
    )


def _start_record(settings: Settings, run: RunIdentity, parameters: Mapping[str, Any]) -> None:
    path = run_folder(settings, run.name) / RUN_FILE
    record = read_json(path) if path.exists() else {"seconds": {}, "jobs": {}}
    record |= {
        "name": run.name,
        "token": run.token,
        "flow_run_id": run.flow_run_id,
        "status": "running",
        "started": record.get("started") or _now(),
        "ended": None,
        "error": None,
        "platform": settings.platform,
        "parameters": dict(parameters),
        "versions": package_versions(),
    }
    write_json(path, record)


def record(settings: Settings, run: RunIdentity, values: Mapping[str, Any]) -> None:
    """Merge ``values`` into the run's record; mappings are merged one level deep."""
    folder = run_folder(settings, run.name)
    with held(folder / ".lock", make_folder=True):
        path = folder / RUN_FILE
        known = read_json(path) if path.exists() else {}
        for key, value in values.items():
            if isinstance(value, Mapping) and isinstance(known.get(key), dict):
                known[key] = {**known[key], **value}
            else:
                known[key] = value
        write_json(path, known)


def finish(settings: Settings, run: RunIdentity, status: str, error: str | None = None) -> None:
    """Write how the run ended: ``completed``, ``failed`` or ``cancelled``."""
    record(settings, run, {"status": status, "ended": _now(), "error": error})


def read_run(settings: Settings, name: str) -> dict[str, Any]:
    """Return the record of the run of that name (``latest`` is one)."""
    found: dict[str, Any] = read_json(run_folder(settings, name) / RUN_FILE)
    return found


def recorded_jobs(settings: Settings, run: RunIdentity) -> dict[str, Any]:
    """Return the names of the jobs that a run launched, by step; none without a record here."""
    path = run_folder(settings, run.name) / RUN_FILE
    found: dict[str, Any] = read_json(path).get("jobs", {}) if path.exists() else {}
    return found


def known_run(settings: Settings, name: str) -> RunIdentity | None:
    """Return the identity of the run of that name, None when its record is not here."""
    path = run_folder(settings, name) / RUN_FILE
    if not path.exists():
        return None
    found = read_json(path)
    return RunIdentity(**{key: found[key] for key in ("name", "token", "flow_run_id")})


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
