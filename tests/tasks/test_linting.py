"""What a run does with the lint's findings: it tells them after a job."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from prefect import flow

from flows.hooks import FLOW_POLICY
from platforms import Settings
from sm_entrypoints import contract
from tasks.lint.findings import LintFinding
from tasks.linting import (
    lint_finished_training,
    publish_findings,
)
from tasks.report.content import collect_report
from tasks.runs.record import OUTPUT_FOLDER, read_run, run_folder
from tasks.runs.stages import stage
from tests.tasks.artifacts import artifacts
from tests.worlds.sample_output import write_output

pytestmark = pytest.mark.slow

FINDING = LintFinding(
    code="rounded", severity="error", message="It is rounded.", evidence="1.0", advice="Do not."
)


@flow(**FLOW_POLICY)
def after(spoil: bool):
    with stage("report") as run:
        publish_findings(run, "search", [FINDING] if spoil else [])
        folder = run_folder(Settings(), run.name) / OUTPUT_FOLDER
        write_output(folder, samples=40, steps=40, mistakes=2)
        if spoil:
            path = folder / contract.METRICS_FILE
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            lines = [json.dumps({**row, "accuracy": 101.5}) + "\n" for row in rows]
            path.write_text("".join(lines), encoding="utf-8")
        lint_finished_training(run)
    return SimpleNamespace(record=read_run(Settings(), run.name), folder=folder.parent)


def test_a_clean_training_leaves_nothing_to_look_at(prefect_server, whippet_home):
    found = after.with_options(flow_run_name="clean")(spoil=False)
    assert found.record.lint == {"search": [], "training": []}
    assert collect_report(found.folder, found.record).warnings == []


def test_findings_of_every_stage_reach_record_artifact_and_report(prefect_server, whippet_home):
    found = after.with_options(flow_run_name="é 1")(spoil=True)
    lint = found.record.lint
    assert [each["code"] for each in lint["search"]] == ["rounded"]
    assert {each["code"] for each in lint["training"]} == {"accuracy-above-100"}
    text = artifacts("objective-lint")[0]
    assert text.index("It is rounded") < text.index("accuracy-above-100")
    warnings = collect_report(found.folder, found.record).warnings
    assert warnings[0] == "It is rounded. Do not."
    assert any("above 100%" in warning for warning in warnings)
