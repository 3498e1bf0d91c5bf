"""The artifact that a person sees first in Prefect: verdict, rules, three charts."""

from __future__ import annotations

import dataclasses

import pytest

from dashboards.files.findings import Findings, Mark
from dashboards.files.frames import empty_training_output, read_training_output
from sm_entrypoints.contract import STEP_PHASES
from tasks.report.profiler import profiler_markdown
from tests.worlds.sample_output import write_output


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("l'été") / "output"
    return read_training_output(write_output(folder, samples=40, steps=60, mistakes=1, seconds=5))


def test_the_verdict_comes_first_then_rules_then_three_charts(output):
    text = profiler_markdown(output)
    verdict, rules = text.index("## Verdict: advice (DataWaitShare)"), text.index("## Rules")
    assert verdict < rules < text.index("## Where the time went")
    assert "**The network waits for its data 38%" in text
    assert "Change: **num\\_workers=2**" in text
    assert "Expected gain: 1.42 times as fast" in text
    # Text from the job is text, not markup.
    assert "&lt;b&gt;2 cores&lt;/b&gt; are there" in text
    assert text.index("| Overfit |") < text.index("| DataWaitShare |") < text.index("| DeadRelu |")
    assert "1 rule had nothing" in text
    assert "LowGPUUtilization" not in text
    assert text.count("data:image/svg+xml;base64,") == 3
    for word in (*STEP_PHASES, "TRAIN", "EVAL"):
        assert word.replace("_", "\\_") in text


def test_a_stopped_job_says_so_before_anything_else(output):
    mark = Mark(rule="Overfit", step=9, epoch=2, mode="TRAIN", subject="", message="too | wide")
    stopped = dataclasses.replace(output.findings, stopped_by=mark)
    text = profiler_markdown(dataclasses.replace(output, findings=stopped))
    assert "**Stopped by the rule Overfit at TRAIN step 9 of epoch 2: too \\| wide**" in text
    assert text.index("Stopped by") < text.index("## Verdict")


def test_a_job_that_left_nothing_has_a_summary():
    text = profiler_markdown(empty_training_output())
    assert "No rules were applied to this job." in text
    assert text.count("data:image/svg+xml;base64,") == 3
    assert "not judged" not in profiler_markdown(
        dataclasses.replace(empty_training_output(), findings=Findings(judged=True))
    )
