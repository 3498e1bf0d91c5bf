"""``whippet improve``: measure the change that a run's verdict proposes."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from cli.options import add_options as add_rows
from cli.table import print_facts, print_table
from tasks.parameters.options import IMPROVE_OPTIONS

if TYPE_CHECKING:
    from tasks.improve.documents import Improvement
    from tasks.improve.plan import ImprovementPlan
    from tasks.runs.record_model import RunRecord

HELP = "measure the change that a run's verdict proposes, and keep it only if it is better"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "run", nargs="?", default="latest", help="name of the run (default: latest)"
    )
    add_rows(parser, IMPROVE_OPTIONS)


def command(arguments: argparse.Namespace) -> int:
    """Run ``improve_training`` in this process; print what it found. Ctrl-C stops its job."""
    from cli.console import quiet_console
    from cli.preflight import require_room
    from cli.server.choosing import ui_and_password, use_server
    from platforms import Settings, connect
    from tasks.improve.plan import plan_improvement
    from tasks.parameters.command_line import parameters_of
    from tasks.parameters.improvement import ImprovementParameters

    settings = Settings()
    chosen = parameters_of(IMPROVE_OPTIONS, vars(arguments))["improvement"]
    parameters = ImprovementParameters.model_validate({**chosen, "run": arguments.run})
    # A mistake must not cost a server, let alone a job.
    plan = plan_improvement(settings, parameters)
    if not plan.change:
        print(f"nothing to change: {plan.sentence or 'the verdict proposes no change'}")
        return 0
    require_room(settings.home)
    connect(settings).require_ready()
    api_url = use_server(settings)
    # Prefect reads its settings when it is imported.
    from cli.billing import print_billing
    from cli.flow_run import run_improvement

    if not arguments.debug:
        quiet_console()
    print(f"Prefect UI: {ui_and_password(settings, api_url)}", file=sys.stderr)
    # `latest` may be another run's by the time that the flow looks.
    named = parameters.model_copy(update={"run": plan.name})
    try:
        improvement = run_improvement(settings, named, plan.run)
    finally:
        print_billing(settings)  # of one that failed, too
    print_improvement(plan, improvement)
    return 0


def print_improvement(plan: ImprovementPlan, found: Improvement) -> None:
    """Print the variants as a table, then what was decided and what it saves."""
    from platforms import Settings
    from tasks.costs.ledger import cost_sentence
    from tasks.improve.result import IMPROVEMENT_FILE, facts, rows
    from tasks.runs.record import read_run, run_folder

    print(flush=True)
    print_table(rows(found), empty="nothing was measured")
    print()
    run = read_run(Settings(), plan.name)
    others = {
        "job": found["job"],
        "cost so far": cost_sentence(run) or "-",
        "everything": str(run_folder(Settings(), plan.name) / IMPROVEMENT_FILE),
    }
    print_facts({**facts(found), **others})
    if found["options"]:
        print(f"\n{_advice(run, found)}")


def _advice(record: RunRecord, found: Improvement) -> str:
    """Return how to use a change that was kept: the run's own command, where it has one."""
    from tasks.report.rerun import next_run

    again = next_run(record, found["change"])
    if again is None:
        return f"Give it to the next run:\n  whippet run … {shlex.join(found['options'])}"
    return f"{again[0]}:\n  {again[1]}"
