"""Whether a harmed run gave what an unharmed one gives, once, and left nothing behind."""

from __future__ import annotations

import time

from cli.chaos.world import World
from dashboards.chaos_page import Check, Event
from platforms import Platform
from platforms.job_status import TERMINAL
from tasks.requests.pages import pages
from tasks.runs.names import step_of
from tasks.runs.record import PREDICTIONS_FILE, read_run, run_folder
from tasks.runs.record_model import RunRecord

_LEAVE_SECONDS = 15.0


def same_answer(world: World, unharmed: str, harmed: str) -> list[Check]:
    """Compare what two runs found: hyperparameters, metrics, predictions."""
    one, other = (read_run(world.settings, name) for name in (unharmed, harmed))
    checks = [
        Check(
            question="the run completes",
            found=f"its record says {other.status}",
            holds=other.status == "completed",
        )
    ]
    for question, before, after in (
        ("it finds the same hyperparameters", _best(one), _best(other)),
        ("its model has the same metrics", _metrics(one), _metrics(other)),
        ("its endpoint gives the same answer", _answer(one), _answer(other)),
    ):
        same = before == after and before is not None
        found = "the same" if same else f"unharmed {before}, harmed {after}"
        checks.append(Check(question=question, found=found, holds=same))
    texts = [_predictions(world, name) for name in (unharmed, harmed)]
    same = texts[0] == texts[1] and bool(texts[0])
    checks.append(
        Check(
            question="it labels every test picture the same",
            found="the same" if same else "other labels",
            holds=same,
        )
    )
    return checks


def _best(run: RunRecord) -> object:
    return None if run.best is None else run.best.hyperparameters


def _metrics(run: RunRecord) -> object:
    if run.training is None:
        return None
    # A job that goes on from its last checkpoint trains no epoch, and prints none of its metrics.
    judged = ("valid:", "test:")
    return {key: value for key, value in run.training.metrics.items() if key.startswith(judged)}


def _answer(run: RunRecord) -> object:
    return None if run.query is None else [each.label for each in run.query.predictions]


def _predictions(world: World, name: str) -> str:
    path = run_folder(world.settings, name) / PREDICTIONS_FILE
    return path.read_text(encoding="utf-8") if path.exists() else ""


def jobs_of(platform: Platform, world: World, name: str) -> dict[str, list[str]]:
    """Return the statuses of a run's training jobs by step; trials count for their search."""
    run = read_run(world.settings, name).identity
    answers = pages(
        lambda paging: platform.sagemaker.list_training_jobs(NameContains=run.prefix, **paging)
    )
    found: dict[str, list[str]] = {}
    for summary in [each for page in answers for each in page["TrainingJobSummaries"]]:
        step = step_of(run, summary["TrainingJobName"], trials=True)
        if step is not None:
            found.setdefault(step, []).append(summary["TrainingJobStatus"])
    return found


def no_doubled_job(before: dict[str, list[str]], after: dict[str, list[str]]) -> Check:
    """Every job that the unharmed run needed, completed once; others only because one failed."""
    need = {step: statuses.count("Completed") for step, statuses in before.items()}
    have = {step: statuses.count("Completed") for step, statuses in after.items()}
    killed = sum(statuses.count("Failed") for statuses in after.values())
    rest = f"; {killed} ended with the supervisor that was killed" if killed else ""
    others = [
        s for statuses in after.values() for s in statuses if s not in ("Completed", "Failed")
    ]
    return Check(
        question="no job runs twice",
        found=f"{sum(have.values())} completed, {sum(need.values())} are needed{rest}",
        holds=need == have and not others,
    )


def all_killed(events: list[Event], wanted: int) -> Check:
    """All kills found their moment."""
    done = sum(event.kind == "kill" for event in events)
    return Check(question="all kills happen", found=f"{done} of {wanted}", holds=done == wanted)


def nothing_bills(platform: Platform) -> Check:
    """After the clean-up: no endpoint, no job in progress."""
    endpoints = platform.sagemaker.list_endpoints()["Endpoints"]
    jobs = platform.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    running = [each for each in jobs if each["TrainingJobStatus"] not in TERMINAL]
    return Check(
        question="nothing bills after `whippet clean-up --all`",
        found=f"{len(endpoints)} endpoints, {len(running)} jobs in progress",
        holds=not endpoints and not running,
    )


def no_process_left(world: World) -> Check:
    """After `whippet down`: no process works in the home; waits a moment for those that end."""
    until = time.monotonic() + _LEAVE_SECONDS
    while (left := world.left()) and time.monotonic() < until:
        time.sleep(0.5)
    return Check(
        question="no process is left after `whippet down`",
        found="; ".join(left) or "none",
        holds=not left,
    )
