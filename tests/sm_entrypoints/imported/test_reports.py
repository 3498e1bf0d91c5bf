"""SageMaker's own ProfilerReport, told from those that the local platform leaves in its place."""

from __future__ import annotations

import json
from pathlib import Path

from sm_entrypoints.imported.reports import sagemaker_rules

REPORT = {
    "RuleTriggered": 1,
    "Violations": 1,
    "Details": {},
    "Datapoints": 9,
    "RuleParameters": "patience:1000",
}


def test_reports_of_the_local_platform_are_not_taken_for_sagemakers(tmp_path: Path) -> None:
    (tmp_path / "BatchSize.json").write_text(json.dumps(REPORT))
    (tmp_path / "Dataloader.json").write_text(json.dumps({**REPORT, "EvaluatedBy": "whippet"}))
    assert [rule.rule for rule in sagemaker_rules([tmp_path])] == ["BatchSize"]
