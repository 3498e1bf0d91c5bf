from __future__ import annotations

import json
from pathlib import Path

from platforms.local.job_tree import JobTree
from platforms.local.metrics import LogFollower
from sm_entrypoints.contract import format_metrics, metric_definitions


def write(tree: JobTree, text: str) -> None:
    with tree.log.open("a", encoding="utf-8") as log:
        log.write(text)


def test_the_last_value_wins_and_all_are_kept(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    follower = LogFollower(tree, metric_definitions())
    assert not follower.follow()
    write(tree, format_metrics({"epoch": 1, "valid:loss": 0.5, "train:loss": 1e-9}) + "\n")
    assert follower.follow()
    write(tree, "noise é\n" + format_metrics({"valid:loss": 0.25})[:20])
    assert not follower.follow()
    write(tree, format_metrics({"valid:loss": 0.25})[20:] + "\n")
    assert follower.follow()
    final = {each["MetricName"]: each["Value"] for each in follower.final_metrics()}
    assert final["valid:loss"] == 0.25
    assert final["train:loss"] == 1e-9
    points = [json.loads(line) for line in tree.metrics.read_text().splitlines()]
    assert [each["value"] for each in points if each["name"] == "valid:loss"] == [0.5, 0.25]
    times = [each["timestamp"] for each in points]
    assert times == sorted(times)


def test_a_last_line_without_an_end(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    follower = LogFollower(tree, metric_definitions())
    write(tree, format_metrics({"valid:loss": 3.0}))
    assert not follower.follow()
    assert follower.follow(ended=True)
    assert follower.final_metrics()[0]["Value"] == 3.0


def test_what_is_no_number_is_no_value(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    follower = LogFollower(tree, [{"Name": "a", "Regex": "a=(\\S+)"}])
    write(tree, "a=nan\na=inf\na=abc\n")
    assert not follower.follow()
    assert follower.final_metrics() == []
    assert not tree.metrics.exists()
