"""``whippet report``: a run's report again, without a server and without the job."""

from __future__ import annotations

import pytest

from cli.main import main
from platforms import Settings
from platforms.files import point_to, write_json
from tasks.runs.record import OUTPUT_FOLDER, RUN_FILE, run_folder
from tests.worlds.run_records import record_values
from tests.worlds.sample_output import write_output


@pytest.fixture
def folder(whippet_home):
    """A run that has its job's output and no report yet."""
    path = run_folder(Settings(), "été-1")
    path.mkdir(parents=True)
    write_output(path / OUTPUT_FOLDER, samples=40, steps=40, mistakes=1, layers=2, seconds=5)
    parameters = {"tuning": None, "model": {"architecture": "mobilenet_v2"}}
    write_json(path / RUN_FILE, record_values("été-1", parameters=parameters))
    point_to(path.parent / "latest", path)
    return path


def test_the_report_of_the_latest_run_is_written_again(folder, capsys):
    assert main(["report"]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    page = (folder / "report.html").read_text("utf-8")
    assert "whippet improve 'été-1'" in page.replace("&#x27;", "'")
    assert "whippet run --model mobilenet_v2 --set num_workers=2" in page


def test_a_pdf_on_request(folder, tmp_path, monkeypatch, capsys):
    program = tmp_path / "chromium"
    program.write_text(
        '#!/bin/sh\nfor w in "$@"; do case "$w" in --print-to-pdf=*) printf %%PDF- > "${w#*=}";; '
        "esac; done\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("WHIPPET_CHROMIUM", str(program))
    assert main(["report", "été-1", "--pdf"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == str(folder / "report.pdf")
    assert (folder / "report.pdf").read_bytes() == b"%PDF-"
    # The next report is another one: an old PDF must not pass for it.
    assert main(["report", "été-1"]) == 0
    assert "report.pdf belonged to the previous report" in capsys.readouterr().err
    assert not (folder / "report.pdf").exists()


def test_without_a_browser_there_is_no_pdf_and_a_way_on(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WHIPPET_CHROMIUM")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["report", "--pdf"]) == 1
    assert "WHIPPET_CHROMIUM" in capsys.readouterr().err
    assert not (folder / "report.html").exists(), "nothing is done before the check"


def test_an_unknown_run_names_those_that_there_are(folder, capsys):
    assert main(["report", "heron"]) == 1
    message = capsys.readouterr().err
    assert "there is no run 'heron'" in message
    assert "été-1" in message
