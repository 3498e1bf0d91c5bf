"""Regexes of metrics: their groups, and how long they may take."""

from __future__ import annotations

import time

import pytest

from platforms.metric_regexes import MetricRegex, MetricRegexError


def test_every_match_gives_its_first_group_and_its_place() -> None:
    found = list(MetricRegex("loss=([0-9.]+)|acc=([0-9.]+)").matches("loss=1.5 acc=2 loss=3"))
    assert found == [("1.5", 5, 8), ("3", 20, 21)]
    assert MetricRegex("LOSS (.)", ignore_case=True).searched("loss 1")


@pytest.mark.parametrize(
    ("text", "words"), [("(", "is not a valid regex"), ("a", "no group"), ("(?:a)", "no group")]
)
def test_what_is_no_metric_regex(text: str, words: str) -> None:
    with pytest.raises(MetricRegexError, match=words):
        MetricRegex(text)


@pytest.mark.slow
def test_a_match_without_end_is_given_up() -> None:
    regex, began = MetricRegex("(a+)+$"), time.monotonic()
    for _ in range(100):
        assert list(regex.matches("a" * 15_000 + "!")) == []
    assert regex.given_up
    assert time.monotonic() - began < 120  # a second and a half on a free machine


@pytest.mark.parametrize("text", ["(a+)+$", r"(\w+\s?)*$"])
def test_a_line_that_a_regex_cannot_be_done_with(text: str) -> None:
    assert MetricRegex(text).runaway_line() is not None


@pytest.mark.parametrize(
    "text",
    ["loss: ([0-9.]+)", r".*valid.*loss:\s*([-+0-9.eE]+).*", "(.*?);", '"valid:loss": ([^,}]+)'],
)
def test_sound_regexes_are_done_with_every_line(text: str) -> None:
    assert MetricRegex(text).runaway_line() is None
