"""``whippet doctor``: real archives, real handlers, the real model server."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

from cli.doctor.archive import Source
from cli.doctor.checks import Check, failed, passed, print_checks, print_verdict, warning
from cli.doctor.doctor import rehearse
from cli.doctor.program import Patience
from cli.doctor.server import started
from cli.main import main
from platforms.archives import write_archive
from platforms.settings import PROJECT_ROOT, Settings
from tests.worlds.job_environment import JOB_PYTHON, needs_job_environment
from tests.worlds.run_records import record_values, trained
from tests.worlds.waiting import wait_for

GOOD = """
import json
class BadRequest(Exception):
    def __init__(self, status_code, message):
        super().__init__(message)
        self.status_code = status_code
def model_fn(model_dir):
    return open(model_dir + '/weights.txt').read()
def input_fn(data, content_type):
    if content_type not in ('image/jpeg', None):
        raise BadRequest(415, 'send image/jpeg')
    if data[:2] != b'\\xff\\xd8':
        raise BadRequest(400, 'this is not a JPEG image')
    return data
def predict_fn(data, model):
    return [{'label': model, 'probability': 0.75}]
def output_fn(prediction, accept):
    return json.dumps({'predictions': prediction})
"""

Run = Callable[..., list[Check]]


def _archive(folder: Path, source: str, *, inside: str = "") -> Path:
    content = folder / "content"
    code = content / inside / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(source)
    (content / inside / "weights.txt").write_text("a hound")
    write_archive(content, folder / "model.tar.gz")
    return folder / "model.tar.gz"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that holds all temporary folders."""
    folder = tmp_path / "temporary, l'été"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def run(tmp_path: Path, temporary: Path) -> Run:
    """Return a function that rehearses a program and checks that nothing stays behind."""

    def checks(source: str, **patience: float) -> list[Check]:
        settings = Settings(home=tmp_path / "home", job_python=JOB_PYTHON)
        file = _archive(tmp_path, source)
        found = list(rehearse(Source(file=file), settings, None, Patience(**patience)))
        assert list(temporary.iterdir()) == []
        return found

    return checks


def _is_gone(pid: int) -> bool:
    """Tell whether a process ended; who reaps an orphan's child, and when, is not our matter."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _only_failure(checks: list[Check]) -> Check:
    bad = [check for check in checks if check.outcome == "failed"]
    assert len(bad) == 1, bad
    assert bad[0].advice
    assert checks[-1] is bad[0]
    return bad[0]


@pytest.mark.job
@needs_job_environment
def test_a_good_program_passes_everything(run: Run) -> None:
    checks = run(GOOD)
    assert {check.outcome for check in checks} == {"passed"}, checks
    found = {check.name: check.found for check in checks}
    assert found["good image"] == "image/jpeg → 200, 'a hound' with probability 0.750"
    assert found["wrong type"] == "text/plain → 415: send image/jpeg"
    assert found["empty body"].startswith("an empty image/jpeg → 400")
    assert found["not an image"].endswith("400: this is not a JPEG image")
    assert found["no Content-Type"].startswith("→ 200")


@pytest.mark.job
@needs_job_environment
@pytest.mark.parametrize(
    ("source", "name", "found", "detail"),
    [
        ("def model_fn(model_dir)\n", "import", "SyntaxError", "def model_fn(model_dir)"),
        ("import timmm\n" + GOOD, "import", "No module named 'timmm'", "import timmm"),
        (GOOD.replace("model_fn", "load"), "model_fn", "defines no model_fn: add", ""),
        (GOOD.replace("/weights", "/w8"), "model_fn", "FileNotFoundError", "in model_fn"),
        (
            GOOD.replace("'label': model", "'label': 1/0"),
            "predict_fn",
            "ZeroDivision",
            "in predict",
        ),
        (
            GOOD + "def transform_fn(m, d, c, a): ...\n",
            "signatures",
            "keep either transform_fn",
            "",
        ),
        (
            "import os\n" + GOOD.replace("return open", "os.abort(); open"),
            "model_fn",
            "SIGABRT",
            "",
        ),
    ],
)
def test_a_broken_program_is_seen_with_its_cause(
    run: Run, source: str, name: str, found: str, detail: str
) -> None:
    failure = _only_failure(run(source))
    assert failure.name == name
    assert found in failure.found
    assert detail in "\n".join(failure.detail)


@pytest.mark.job
@needs_job_environment
def test_what_only_works_here_is_said(run: Run) -> None:
    # It forgets to return the model, leaves a file where SageMaker lets it only read, answers NaN.
    sloppy = GOOD.replace("return open", "print(model_dir, file=open(model_dir + '/é', 'w')); open")
    checks = run(sloppy.replace("0.75", "float('nan')"))
    bad = {check.name: check for check in checks if check.outcome != "passed"}
    assert {name: check.outcome for name, check in bad.items()} == {
        "model_fn": "warning",
        "read-only model": "warning",
        "good image": "failed",
    }
    assert bad["model_fn"].found == "model_fn returns None"
    assert "wrote é into" in bad["read-only model"].found
    assert "NaN is not a JSON number" in bad["good image"].found


def test_a_slow_start_is_a_warning() -> None:
    quick, slow = started(59.9), started(60.0)
    assert (quick.outcome, slow.outcome) == ("passed", "warning")
    assert slow.found.startswith("200 after 60.0 seconds: each added instance waits")


@pytest.mark.job
@needs_job_environment
def test_a_handler_that_hangs_is_ended_with_its_children(run: Run, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    hanging = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        + GOOD.replace("return data", "time.sleep(300)")
    )
    failure = _only_failure(run(hanging, handlers=8))
    assert failure.found == "input_fn did not return within 8 seconds"
    assert _is_gone(int(pid_file.read_text()))


@pytest.mark.job
@needs_job_environment
def test_errors_of_the_client_must_not_be_errors_of_the_server(run: Run) -> None:
    careless = (
        GOOD.replace("raise BadRequest(415,", "raise ValueError(")
        .replace("raise BadRequest(400,", "raise ValueError(")
        .replace("'image/jpeg', None", "'image/jpeg',")
    )
    checks = run(careless)
    bad = {check.name: check for check in checks if check.outcome == "failed"}
    assert set(bad) == {"wrong type", "empty body", "not an image", "no Content-Type"}
    assert "500: ValueError: send image/jpeg" in bad["wrong type"].found
    assert "status_code = 415 in input_fn" in bad["wrong type"].advice
    assert any("in input_fn" in line for line in bad["empty body"].detail)
    assert "content_type may be None" in bad["no Content-Type"].advice


@pytest.mark.job
@needs_job_environment
def test_a_server_that_dies_while_it_loads_is_reported(run: Run) -> None:
    # The handlers' process sees no SM_MODEL_DIR: this program breaks in the server only.
    broken = (
        "import os\nif 'SM_MODEL_DIR' in os.environ: raise RuntimeError('no GPU here')\n" + GOOD
    )
    failure = _only_failure(run(broken))
    assert failure.name == "/ping"
    assert failure.found == "the server ended, exit status 1"
    assert failure.detail[-1] == "RuntimeError: no GPU here"


@pytest.mark.job
@needs_job_environment
def test_an_answer_of_another_shape_is_a_warning(run: Run) -> None:
    checks = run(GOOD.replace("{'predictions': prediction}", "[[0.25, 0.75]]"))
    odd = next(check for check in checks if check.outcome != "passed")
    assert (odd.name, odd.outcome) == ("good image", "warning")
    assert "[[0.25, 0.75]]" in odd.found


@pytest.mark.job
@needs_job_environment
def test_terminated_it_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    pid_file = tmp_path / "pid"
    slow = (
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(300)\n"
    )
    script = (
        "import sys; from pathlib import Path; from cli.doctor.doctor import rehearse\n"
        "from cli.doctor.archive import Source; from platforms import Settings\n"
        "list(rehearse(Source(file=Path(sys.argv[1])), Settings(), None))"
    )
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "WHIPPET_HOME": str(tmp_path / "home"),
        "WHIPPET_JOB_PYTHON": str(JOB_PYTHON),
    }
    doctor = subprocess.Popen(
        [sys.executable, "-c", script, str(_archive(tmp_path, slow))],
        cwd=PROJECT_ROOT,
        env=environment,
    )
    wait_for(lambda: pid_file.exists() and pid_file.read_text(), "handler")
    doctor.send_signal(signal.SIGTERM)
    assert doctor.wait(120) == 128 + signal.SIGTERM
    assert _is_gone(int(pid_file.read_text()))
    assert list(temporary.iterdir()) == []


def _layout(source: Source, home: Path) -> list[Check]:
    """Rehearse with an interpreter that has nothing: enough for what comes before the handlers."""
    return list(rehearse(source, Settings(home=home, job_python=Path(sys.executable)), None))


@pytest.mark.usefixtures("temporary")
def test_an_archive_packed_from_outside_is_recognised(tmp_path: Path) -> None:
    file = _archive(tmp_path, GOOD, inside="my model")
    failure = _only_failure(_layout(Source(file=file), tmp_path))
    assert "everything is below the folder my model/" in failure.found
    assert "tar -C 'my model' -czf model.tar.gz ." in failure.advice


@pytest.mark.usefixtures("temporary")
def test_a_program_at_the_wrong_place_and_pickles_are_named(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    (content / "inference.py").write_text(GOOD)
    (content / "model.PTH").write_bytes(b"weights")
    write_archive(content, tmp_path / "model.tar.gz")
    checks = _layout(Source(file=tmp_path / "model.tar.gz"), tmp_path)
    assert _only_failure(checks).advice == "move inference.py there"
    pickle = next(check for check in checks if check.name == "pickle")
    assert (pickle.outcome, "model.PTH" in pickle.found) == ("warning", True)


@pytest.mark.usefixtures("temporary")
def test_hostile_and_broken_archives_are_a_sentence(tmp_path: Path) -> None:
    climbing = tmp_path / "climbing.tar.gz"
    with tarfile.open(climbing, "w:gz") as tar:
        member = tarfile.TarInfo("../../evil.py")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    text = tmp_path / "text.tar.gz"
    text.write_text("no archive at all")
    assert "'../../evil.py'" in _only_failure(_layout(Source(file=climbing), tmp_path)).found
    assert "not a readable tar.gz" in _only_failure(_layout(Source(file=text), tmp_path)).found
    assert not list(tmp_path.rglob("evil.py"))


@pytest.mark.usefixtures("temporary")
def test_a_run_without_a_model_is_a_sentence(tmp_path: Path) -> None:
    unknown = _only_failure(_layout(Source(run="no-run"), tmp_path))
    assert "there is no run 'no-run'" in unknown.found
    (tmp_path / "runs" / "young").mkdir(parents=True)
    (tmp_path / "runs" / "young" / "run.json").write_text(json.dumps(record_values("young")))
    assert "no trained model" in _only_failure(_layout(Source(run="young"), tmp_path)).found


@pytest.mark.job
@pytest.mark.usefixtures("temporary")
@needs_job_environment
def test_the_model_of_a_run_with_the_users_own_code(tmp_path: Path) -> None:
    uri = "s3://whippet-local/whippet/jobs/a/output/model.tar.gz"
    stored = tmp_path / "s3" / uri.removeprefix("s3://")
    stored.parent.mkdir(parents=True)
    _archive(tmp_path, "raise RuntimeError('replaced')").rename(stored)
    (tmp_path / "runs" / "done").mkdir(parents=True)
    (tmp_path / "runs" / "done" / "run.json").write_text(
        json.dumps(record_values("done", training=trained(uri).model_dump()))
    )
    code = tmp_path / "my code"
    code.mkdir()
    (code / "inference.py").write_text("import sm_entrypoints.contract\n" + GOOD)
    (code / "requirements.txt").write_text("no-such-package>=3\n")
    settings = Settings(home=tmp_path, job_python=JOB_PYTHON)
    checks = list(rehearse(Source(run="done", code=code), settings, None))
    assert uri in checks[0].found
    lacking = next(check for check in checks if check.outcome == "warning")
    assert "no-such-package>=3 (not installed)" in lacking.found
    assert "sm_entrypoints.contract, which is not in code/" in _only_failure(checks).found


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--model-data", "no such.tar.gz"],
            "--model-data 'no such.tar.gz': no such file",
        ),
        (["--code", "no such"], "--code 'no such': no such folder"),
        (["--code", "."], "--code '.' has no inference.py: give the folder that has one"),
        (["--image", "no.jpg"], "--image 'no.jpg': no such file"),
        (["--image", "notes.txt"], "--image 'notes.txt' is not a JPEG or PNG by its name"),
        (["--model", "resnet19"], "--model: unknown model 'resnet19': did you mean"),
    ],
)
def test_bad_options_stop_it_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("not an image")
    assert main(["doctor", *options]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"whippet: error: {sentence}")


def test_checks_are_printed_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [
        passed("one", "is fine"),
        warning("two", "is odd", "look at it"),
        failed("three", "raises", "mend it", [f"line {number}" for number in range(40)]),
    ]
    print_verdict(print_checks("Things", iter(checks)))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Things:"
    assert [line[0] for line in lines[1:5]] == ["✓", "!", "→", "✗"]
    assert lines[-3:] == ["| line 39", "→ mend it", "1 passed, 1 warned, 1 failed"]
    assert len(lines) == 19


@pytest.mark.job
@pytest.mark.slow
@needs_job_environment
def test_the_whole_command_on_a_fresh_archive(
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WHIPPET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(JOB_PYTHON))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    Image.new("L", (200, 120), 90).save(tmp_path / "grey image.png")
    argv = ["doctor", "--model", "squeezenet1_1", "--image", str(tmp_path / "grey image.png")]
    status = main(argv)
    output = capsys.readouterr().out
    assert status == 0, output
    assert output.splitlines()[-1].endswith(" 0 failed")
    assert "✓ good image            image/png → 200" in output
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "home").exists()
