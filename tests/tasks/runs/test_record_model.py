"""Records as earlier versions wrote them, one that a newer version wrote, and files that are none.

``earlier/`` holds the record of a run that completed and of one that was killed while it searched,
as the version before this model wrote them, their folders renamed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from platforms import Settings
from platforms.errors import ParameterError
from platforms.files import read_json, write_json
from tasks.costs.ledger import cost_sentence
from tasks.parameters.recorded import recorded_parameters
from tasks.parameters.run import RUN_PARAMETERS
from tasks.plan.requests import RunChoices
from tasks.plan.search_ways import choose
from tasks.report.content import collect_report, run_markdown
from tasks.runs.names import RunIdentity
from tasks.runs.record import every_run, open_run, read_run, record, recorded_jobs, run_folder
from tasks.runs.record_model import VERSION, NewerRun, RunFacts, RunRecord, read_record
from tasks.runs.record_parts import DataFacts, TrainedModel
from tests.worlds.run_records import record_values, run_record

EARLIER = Path(__file__).parent / "earlier"


def earlier(name: str) -> dict[str, Any]:
    values: dict[str, Any] = read_json(EARLIER / f"{name}.json")
    return values


@pytest.mark.parametrize("name", ["completed", "killed"])
def test_an_earlier_record_means_what_it_says_and_is_written_as_it_was(name: str) -> None:
    values = earlier(name)
    assert "version" not in values
    opened = read_record(values, "here")
    assert opened.version == VERSION == 1
    assert opened.as_json() == values, "nothing is lost, renamed or told in another way"
    assert set(recorded_parameters(opened)) == set(RUN_PARAMETERS)
    assert opened.identity.prefix + "-tune" == opened.jobs["tuning"]


def test_a_run_of_an_earlier_version_is_reported(tmp_path: Path) -> None:
    completed = read_record(earlier("completed"), "here")
    overview = dict(collect_report(tmp_path, completed).overview)
    assert overview["Best trial"] == "old-done-d8b060-tune-001-9dc3b1de"
    assert overview["Time so far"] == "52 s"
    assert "68.4% of 117 images" in run_markdown(completed)
    assert "for 35 s of ml.m5.xlarge; endpoint old-done" in str(cost_sentence(completed))
    killed = read_record(earlier("killed"), "here")
    assert killed.best is killed.training is killed.endpoint is None
    assert cost_sentence(killed) is None
    assert "no test was run" in run_markdown(killed)


def test_a_run_of_an_earlier_version_goes_on(whippet_home: Path) -> None:
    settings, values = Settings(), earlier("killed")
    write_json(run_folder(settings, "old-half") / "run.json", values)
    run = open_run(settings, "id-2", "old-half", values["parameters"], resume=True)
    assert (run.name, run.token) == ("old-half", "628290")
    assert recorded_jobs(settings, run) == values["jobs"]
    again = read_run(settings, "old-half")
    assert (again.version, again.flow_run_id, again.started) == (1, "id-2", values["started"])
    assert again.plan == read_record(values, "").plan
    record(settings, run, RunFacts(data=DataFacts(uploaded=0), seconds={"tune": 1.5}))
    data = read_run(settings, "old-half").data
    assert (data.uploaded, data.uri, data.scheme) == (0, values["data"]["uri"], 2)
    assert read_run(settings, "old-half").seconds == {**values["seconds"], "tune": 1.5}


@pytest.mark.parametrize("name", ["completed", "killed"])
@pytest.mark.parametrize("given", ["all", "nothing"])
def test_a_search_of_an_earlier_version_goes_on_as_a_tuning_job(name: str, given: str) -> None:
    """Also that of a deployment, which records only what it was given."""
    values = earlier(name)
    if given == "nothing":
        values["parameters"] = {**values["parameters"], "tuning": {}, "model": {}}
    opened = read_record(values, "here")
    groups: dict[str, Any] = dict(recorded_parameters(opened))
    search = choose(RunChoices(**groups), opened)
    assert search is not None
    assert search.strategy == "Bayesian"
    trials = search.settle(groups["tuning"]).trials()
    assert trials == opened.group("tuning").get("max_jobs", 6)


NEWER = {**record_values("from the future"), "version": VERSION + 1, "jobs": [{"new": "form"}]}


def test_a_newer_record_is_refused_in_a_sentence(whippet_home: Path, capsys) -> None:
    settings = Settings()
    path = run_folder(settings, "from the future") / "run.json"
    write_json(path, NEWER)
    before = path.read_bytes()
    for command in ("report", "improve"):
        assert main([command, "from the future"]) == 1
        said = capsys.readouterr().err
        assert "run 'from the future' was made by a newer version of Whippet" in said, command
        assert "version 2, this one reads 1" in said
    assert main(["run", "--resume", "from the future"]) == 1
    assert "made by a newer version of Whippet" in capsys.readouterr().err
    with pytest.raises(NewerRun):
        open_run(settings, "id-9", "from the future", {}, resume=True)
    assert path.read_bytes() == before
    assert list(every_run(settings)) == [], "whoever looks for earlier runs passes it over"


def test_parameters_that_this_version_does_not_know_are_of_a_newer_one(
    whippet_home: Path, capsys
) -> None:
    parameters = {"data": {"path": "x", "path_of_tomorrow": {"text": "x"}}, "model": {"size": 1}}
    values = record_values("future options", parameters=parameters)
    write_json(run_folder(Settings(), "future options") / "run.json", values)
    assert main(["run", "--resume", "future options"]) == 1
    said = capsys.readouterr().err
    assert "run 'future options' was made by a newer version of Whippet" in said
    assert "it has the parameters data.path_of_tomorrow, model.size" in said
    assert "Extra inputs" not in said


def test_what_another_version_wrote_beside_is_kept(whippet_home: Path) -> None:
    settings = Settings()
    path = run_folder(settings, "r") / "run.json"
    write_json(path, record_values(weather="fine", data={"uri": "u", "colour": "red"}))
    run = RunIdentity(name="r", token="abc123", flow_run_id="id-1")
    record(settings, run, RunFacts(data=DataFacts(uploaded=3)))
    values = read_json(path)
    assert values["weather"] == "fine"
    assert values["data"] == {"uri": "u", "colour": "red", "uploaded": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is not the record of a run"),
        ('{"name": "x"}', "is not the record of a run: token"),
        (json.dumps(record_values(ledger=["x"])), "is not the record of a run: ledger"),
        ('"\\ud800', "cannot be read"),
        (json.dumps({**record_values(), "version": "two"}), "is not the record of a run: version"),
    ],
)
def test_a_file_that_is_no_record_is_said_in_a_sentence(
    whippet_home: Path, capsys, text: str, said: str
) -> None:
    path = run_folder(Settings(), "odd") / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=said):
        read_run(Settings(), "odd")
    assert main(["report", "odd"]) == 1
    assert said in capsys.readouterr().err
    assert list(every_run(Settings())) == []


def test_only_what_a_stage_gives_is_written() -> None:
    assert RunFacts().as_json() == {}
    assert RunFacts(error=None, report="r").as_json() == {"error": None, "report": "r"}
    facts = RunFacts(data=DataFacts(uri="u"))
    assert facts.as_json() == {"data": {"uri": "u"}}
    trained = TrainedModel(
        job="j",
        model_data_uri="m",
        output_uri="o",
        test_uri="t",
        metrics={"valid:loss": float("nan")},
        billable_seconds=1,
    )
    metrics = RunFacts(training=trained).as_json()["training"]
    assert "NaN" in json.dumps(metrics), "a number that is none stays one"


def test_groups_of_parameters_that_were_not_given_are_empty() -> None:
    given: RunRecord = run_record(parameters={"data": {"seed": 1}, "deployment": None, "name": "x"})
    assert given.group("data") == {"seed": 1}
    assert given.group("deployment") == given.group("name") == given.group("tuning") == {}
