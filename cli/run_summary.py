"""What ``whippet run`` prints at its end."""

from __future__ import annotations

import shlex

from cli.server.notes import ui_url
from cli.table import print_facts, print_table
from platforms import Settings
from tasks.costs.ledger import cost_sentence, stage_rows
from tasks.runs.moments import moment
from tasks.runs.record import run_folder
from tasks.runs.record_model import RunRecord


def print_summary(settings: Settings, record: RunRecord, api_url: str) -> None:
    """Print what a user wants to know at the end of a run, one line each.

    The run completed: every stage has given its part of the record.
    """
    best, query, tested, deployed = record.best, record.query, record.evaluation, record.endpoint
    assert best is not None
    assert query is not None
    assert tested is not None
    assert deployed is not None
    tuned = {name: best.hyperparameters[name] for name in best.tuned}
    answers = ", ".join(f"{p.label} {p.probability:.2f}" for p in query.predictions[:3])
    lines = {
        "run": record.name,
        "Prefect UI": f"{ui_url(api_url)}/runs/flow-run/{record.flow_run_id}",
        "best": ", ".join(f"{name}={value}" for name, value in tuned.items())
        + f"  ({best.training_job}, valid:loss {best.objective:.4f})",
        "test accuracy": f"{tested.accuracy:.1%} of {tested.samples} images",
        **_left_out(record),
        "verdict": _verdict(record),
        "report": str(record.report),
        "endpoint": f"{deployed.endpoint}, until {moment(deployed.expires)}",
        "answer": f"{query.image} → {answers}",
        "cost": cost_sentence(record) or "-",
        "seconds": ", ".join(f"{name} {value:.0f}" for name, value in record.seconds.items()),
        "everything": str(run_folder(settings, record.name)),
    }
    print(flush=True)
    print_facts(lines)
    print("\nWhat it used" + ("" if record.bills else ", at the prices of AWS"))
    print_table(stage_rows(record), empty="nothing")
    print(f"\nQuery it yourself:\n  {query.command}", flush=True)


def print_refusal(settings: Settings, record: RunRecord, api_url: str) -> None:
    """Print what is left of a run whose model was not to be deployed, and how to do so later."""
    approval, tested = record.approval, record.evaluation
    lines = {
        "run": record.name,
        "Prefect UI": f"{ui_url(api_url)}/runs/flow-run/{record.flow_run_id}",
        "refused": (approval.reason if approval else "") or "the answer was no",
        **({"model": approval.sentence} if approval else {}),
        "test accuracy": "-"
        if tested is None or tested.accuracy is None
        else f"{tested.accuracy:.1%} of {tested.samples} images",
        "verdict": _verdict(record),
        "report": str(record.report),
        "cost": cost_sentence(record) or "-",
        "everything": str(run_folder(settings, record.name)),
    }
    print(flush=True)
    print_facts(lines)
    resume = shlex.join(["whippet", "run", "--resume", record.name, "--yes"])
    print(f"\nDeploy it after all:\n  {resume}", flush=True)


def _left_out(record: RunRecord) -> dict[str, str]:
    data = record.data
    if data.left_out is None:
        return {}
    files = "1 bad file" if data.left_out == 1 else f"{data.left_out} bad files"
    return {"left out": f"{files}, listed in {data.left_out_list}"}


def _verdict(record: RunRecord) -> str:
    verdict = record.verdict
    if verdict is None:
        return "-"
    advice = f"  (measure it: {_improve(record.name)})" if verdict.change else ""
    return f"{verdict.sentence}{advice}"


def _improve(name: str) -> str:
    return shlex.join(["whippet", "improve", name])
