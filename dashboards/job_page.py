"""Render the page of one judged training job: ``python -m dashboards.job_page FOLDER ABOUT PAGE``.

It is a separate program, because the platform that keeps a job's ``rule-output`` does not import
dashboards. FOLDER has the layout of a job's output, with rules and verdict; ABOUT is a JSON file
with ``parts`` and ``notes`` (what the evaluation found and left out) and ``job``: its name, status,
times and the rules that its request names. If a file is malformed, the exit code is 1, with one
line on stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboards.files.frames import TrainingOutput, read_training_output
from dashboards.report import Report, write_report


def write_job_page(folder: Path, about: Mapping[str, Any], page: Path) -> None:
    """Write the page of the job whose output lies in ``folder``.

    Raises:
        ValueError: a file of the output is not in its format; names it.
        OSError: a file cannot be read or written.
    """
    output = read_training_output(folder)
    job = about["job"]
    rules = {each["name"]: _rule_text(each) for each in job["rules"]}
    report = Report(
        title="Profiler report",
        run_name=job["name"],
        generated_at=datetime.now(UTC),
        overview=_overview(job, output),
        warnings=about["notes"],
        training=output,
        configuration={"Rules of the request": rules, "Found": about["parts"]},
    )
    write_report(page, report)


def _overview(job: Mapping[str, Any], output: TrainingOutput) -> list[tuple[str, object]]:
    steps = output.summary.get("steps") or {}
    rows = [
        ("Training job", job["name"]),
        ("Start", _moment(job.get("start"))),
        ("End", _moment(job.get("end"))),
        ("Seconds", _seconds(job.get("start"), job.get("end"))),
        ("Training steps seen", steps.get("TRAIN")),
        ("Validation steps seen", steps.get("EVAL")),
        ("Saved tensors", len(output.saved_tensors.get("tensors") or []) or None),
        ("System samples", len(output.system) or None),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _rule_text(rule: Mapping[str, Any]) -> str:
    parameters = {
        key: value for key, value in rule["parameters"].items() if key != "rule_to_invoke"
    }
    changed = ", ".join(f"{key}={value}" for key, value in sorted(parameters.items()))
    return f"{rule['rule']} ({changed})" if changed else str(rule["rule"])


def _moment(text: str | None) -> str | None:
    return None if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def _seconds(start: str | None, end: str | None) -> int | None:
    if start is None or end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def main(folder: str, about: str, page: str) -> int:
    """Run the command; return its exit code."""
    try:
        write_job_page(Path(folder), json.loads(Path(about).read_text("utf-8")), Path(page))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
