"""``whippet explain``: its errors, and the run that it judges again."""

from __future__ import annotations

import json

import pytest

from cli.main import main
from platforms import Settings
from platforms.files import write_json
from tasks.runs.record import OUTPUT_FOLDER, RUN_FILE, run_folder
from tests.worlds.run_records import record_values
from tests.worlds.sample_output import write_output


def test_what_does_not_exist_is_refused_in_one_line(whippet_home, capsys):
    assert main(["explain", "heron"]) == 1
    captured = capsys.readouterr()
    assert "'heron' does not exist: give a folder" in captured.err
    assert captured.out == ""


@pytest.mark.job
def test_a_run_is_judged_again_by_its_name(whippet_home, capsys):
    path = run_folder(Settings(), "été-1")
    path.mkdir(parents=True)
    write_output(path / OUTPUT_FOLDER, samples=40, steps=40, mistakes=1, layers=2, seconds=5)
    write_json(path / RUN_FILE, record_values("été-1"))
    target = whippet_home / "my report"
    assert main(["explain", "été-1", "--output", str(target), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["sentence"]
    page = (target / "report.html").read_text("utf-8")
    assert "Training explained" in page
    assert "été-1" in page
    broken = path / OUTPUT_FOLDER / "instrumentation" / "reductions.jsonl"
    broken.write_text("not json\n")
    assert main(["explain", "été-1", "--output", str(whippet_home / "second")]) == 1
    said = capsys.readouterr().err
    assert "'été-1' is malformed: instrumentation/reductions.jsonl, line 1" in said
    assert not (whippet_home / "second").exists()
