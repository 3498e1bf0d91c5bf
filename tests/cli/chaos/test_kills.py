"""Which processes `whippet chaos` kills, and when: drawn, told, and the same for a seed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from cli.chaos.kills import TARGETS, ChaosError, Moment, choose, moments
from cli.chaos.verdict import all_killed, no_doubled_job
from dashboards.chaos_page import Check, Event, Span, Story, write_chaos_page


def seen() -> list[Moment]:
    """Return the moments of a made-up run: data, a search, a training, an endpoint."""
    found = [Moment("runner", f"write data {n}", 1, 7) for n in range(30)]
    found.append(Moment("runner", "create_training_job asked", 1, 7))
    found += [Moment("runner", "describe_training_job answered", n, 7) for n in range(1, 21)]
    found += [Moment("training supervisor", f"job: {n}", 1, 8) for n in range(12)]
    found += [Moment("training supervisor", f"job: {n}", 1, 9) for n in range(12)]
    found.append(Moment("runner", "create_endpoint answered", 1, 7))
    found += [Moment("runner", f"write report {n}", 1, 7) for n in range(20)]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_each_target_dies_once_at_a_moment_that_comes_again(seed):
    kills = choose(seen(), seed, 5)
    assert sorted(kill.target for kill in kills) == sorted(TARGETS)
    for kill in kills:
        assert "data" not in kill.point  # a second run finds them in the bucket
        if kill.target == "model server":
            assert kill.point in (
                "create_endpoint answered",
                *(f"write report {n}" for n in range(20)),
            )
        if kill.target == "job supervisor":
            assert kill.role == "training supervisor"
            assert kill.point not in ("job: 0", "job: 3")  # hardly begun
        assert kill.count <= 10  # of 20 looks; another run may need fewer
    assert len({(kill.role, kill.point) for kill in kills}) == 5
    assert choose(seen(), seed, 5) == kills
    assert str(kills[0]).startswith(f"{kills[0].target}: when ")


def test_seeds_differ_and_fewer_and_more_kills_can_be_asked_for():
    assert len({str(choose(seen(), seed, 5)) for seed in range(30)}) > 20
    assert len(choose(seen(), 1, 2)) == 2
    assert len(choose(seen(), 1, 8)) == 8
    with pytest.raises(ChaosError, match="ask for fewer kills"):
        choose(seen(), 1, 40)
    with pytest.raises(ChaosError, match="no moment is left to kill the"):
        choose([], 1, 1)


def test_moments_are_read_as_they_are_noted(tmp_path):
    assert moments(tmp_path) == ([], 0)
    line = {"role": "runner", "point": "write x", "count": 2, "pid": 5}
    file = tmp_path / "reached.jsonl"
    file.write_text(json.dumps(line) + "\n" + '{"half": ')
    found, place = moments(tmp_path)
    assert found == [Moment("runner", "write x", 2, 5)]
    file.write_text(json.dumps(line) + "\n" + json.dumps({**line, "count": 3}) + "\n")
    assert moments(tmp_path, place)[0] == [Moment("runner", "write x", 3, 5)]


@pytest.mark.parametrize(
    ("after", "holds"),
    [
        ({"tune": ["Completed"], "train": ["Completed"]}, True),
        ({"tune": ["Completed"], "train": ["Failed", "Completed"]}, True),
        ({"tune": ["Completed"], "train": ["Completed", "Completed"]}, False),
        ({"tune": ["Completed"], "train": ["InProgress", "Completed"]}, False),
        ({"tune": ["Completed"], "train": ["Failed"]}, False),
        ({"train": ["Completed"]}, False),
    ],
)
def test_a_doubled_job_is_seen(after, holds):
    needed = {"tune": ["Completed"], "train": ["Completed"]}
    assert no_doubled_job(needed, after).holds is holds


def test_a_kill_that_did_not_happen_is_seen():
    kill = Event(at=1.0, lane="worker", kind="kill", what="killed")
    assert all_killed([kill, kill], 2).holds
    assert not all_killed([kill, Event(at=2.0, lane="engine", kind="note", what="none")], 2).holds


def test_the_page_shows_kills_recoveries_and_what_did_not_hold(tmp_path):
    story = Story(
        seed=7,
        began=datetime(2026, 11, 26, tzinfo=UTC),
        seconds=90.0,
        unharmed_seconds=40.0,
        lanes=("worker", "engine"),
        spans=[Span(lane="worker", begin=0, end=30), Span(lane="worker", begin=32, end=90)],
        events=[
            Event(at=30.0, lane="worker", kind="kill", what="killed at “<b>”"),
            Event(at=32.0, lane="worker", kind="recovery", what="lives again"),
        ],
        checks=[
            Check(question="it completes", found="yes", holds=True),
            Check(question="no job runs twice", found="two did", holds=False),
        ],
        settings="small",
    )
    assert not story.right
    write_chaos_page(tmp_path / "page.html", story)
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count("<rect ") == 2
    assert "killed at “&lt;b&gt;”" in html
    assert "<b>”" not in html
    assert "Something did not hold" in html
    assert "whippet chaos --seed 7" in html
    assert "http://" not in html.replace("http://www.w3.org", "")[: html.index("<script")]
