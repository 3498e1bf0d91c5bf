from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from platforms.local.job_tree import JobTree
from platforms.local.training.metrics import LogFollower, last_text, logged_points
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


def test_lines_that_were_cut_short_are_passed_over(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    assert logged_points(tree) == []
    point = {"name": "valid:loss", "value": 0.5, "timestamp": 1.0}
    tree.metrics.write_text(f'{{"name": "v}}\n{json.dumps(point)}\n{{"name": "valid:lo')
    assert logged_points(tree) == [point]


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


def test_a_progress_bars_rewrites_are_lines(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    follower = LogFollower(tree, [{"Name": "a", "Regex": "^a=([0-9.]+)$"}])
    write(tree, "a=1.5\ra=2.5\rb=7\r\na=3.")
    assert follower.follow()
    assert follower.final_metrics()[0]["Value"] == 2.5


def test_what_the_platform_says_is_no_output(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    write(tree, "[whippet] warning: a=1\n")
    follower = LogFollower(tree, [{"Name": "a", "Regex": "a=([0-9.]+)"}])
    assert not follower.follow(ended=True)
    assert last_text(tree, "a=([0-9.]+)") is None


@pytest.mark.slow
def test_a_regex_that_backtracks_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    definitions = [{"Name": "bad", "Regex": "(a+)+$"}, {"Name": "good", "Regex": "loss=([0-9.]+)"}]
    follower = LogFollower(tree, definitions)
    write(tree, ("a" * 9_000 + "! loss=0.25\n") * 300)
    looks, longest = 0, 0.0
    while not any(follower.complaints()):
        before = time.monotonic()
        follower.follow()
        longest, looks = max(longest, time.monotonic() - before), looks + 1
        assert looks < 50
    assert longest < 5  # half a second on a machine with nothing else to do
    follower.follow(ended=True)
    assert not list(follower.complaints()), "once is enough"
    assert [each["MetricName"] for each in follower.final_metrics()] == ["good"]
    assert len(tree.metrics.read_text().splitlines()) == 300
