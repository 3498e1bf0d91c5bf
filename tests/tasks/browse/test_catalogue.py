"""The runs of a home as pages show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from platforms import Settings
from platforms.errors import ParameterError
from tasks.browse.catalogue import list_runs, parameter_groups, run_names, view_run
from tasks.browse.compared import compared_run
from tests.worlds.browsed_runs import FIRST, SECOND, make_runs
from tests.worlds.run_records import run_record


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    found = Settings(home=tmp_path_factory.mktemp("hôme"))
    make_runs(found)
    return found


def test_the_newest_run_comes_first_and_an_unreadable_one_last(settings: Settings) -> None:
    lines = list_runs(settings)
    assert [line.name for line in lines] == ["third", SECOND, FIRST, "broken"]
    failed, second, first, broken = lines
    assert (first.state, first.accuracy, first.usd, first.bills) == (
        "completed",
        0.735,
        "0.01",
        False,
    )
    assert (first.data, first.network, first.started) == (
        "pets",
        "mobilenet_v2",
        "2026-11-20 10:00",
    )
    assert first.verdict == "The learning rate is too high."
    assert (second.endpoint, second.report) == ("new", True)
    assert (failed.verdict, failed.report) == ("no such folder", False)
    assert broken.state == "unreadable"
    assert "cannot be read" in broken.verdict


def test_a_home_without_runs_has_none(tmp_path: Path) -> None:
    assert list_runs(Settings(home=tmp_path / "nothing")) == []


def test_latest_is_no_run_of_its_own(settings: Settings) -> None:
    assert run_names(settings) == sorted([FIRST, SECOND, "third", "broken"])


def test_a_run_with_its_files(settings: Settings) -> None:
    view = view_run(settings, FIRST)
    assert dict(view.facts)["Test accuracy"] == "73.5%"
    assert view.files == ["run.json"]
    assert view.parameters["tuning"] == {"max_jobs": 64}
    assert view_run(settings, "third").error == "no such folder"


@pytest.mark.parametrize("name", ["nothing", "..", "../../etc", "latest", ".by-flow-run", ""])
def test_only_the_name_of_a_run_opens_one(settings: Settings, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="there is no run"):
        view_run(settings, name)


def test_a_run_that_cannot_be_read_says_so(settings: Settings) -> None:
    with pytest.raises(ParameterError, match=r"broken.run\.json cannot be read"):
        view_run(settings, "broken")


def test_parameters_outside_of_groups_are_the_runs_own() -> None:
    groups = parameter_groups(run_record(parameters={"resume": True, "data": {"path": "x"}}))
    assert groups == {"run": {"resume": True}, "data": {"path": "x"}}


def test_a_side_of_a_comparison(settings: Settings) -> None:
    side = compared_run(settings, FIRST)
    assert side.parameters == {"model.architecture": "mobilenet_v2", "tuning.max_jobs": 64}
    assert (side.data, side.verdict) == ("aaa", "The learning rate is too high.")
    assert "Verdict" not in side.facts
    assert len(side.output.metrics)
