"""``whippet lint`` on logs and requests in files, and on jobs of a real home."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands.lint import command as lint
from cli.main import main
from cli.parser import build_parser
from platforms.errors import ParameterError
from tests.worlds.local.jobs import local_jobs
from tests.worlds.logs import NOTEBOOK_ACCURACY, NOTEBOOK_LOSS
from tests.worlds.requests import whippet_request

ROOT = Path(__file__).resolve().parents[3]
TEST_LOSS = "test:loss=Testing Loss: ([0-9.]+)"


@pytest.fixture
def notebook(awkward_path) -> str:
    path = awkward_path / "notebook.log"
    path.write_text(f"épôque 1\n{NOTEBOOK_LOSS}\n{NOTEBOOK_ACCURACY}\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def clean(awkward_path) -> str:
    path = awkward_path / "clean.log"
    path.write_text("Valid loss: 0.8312, Accuracy: 412/836 (49%)\n", encoding="utf-8")
    return str(path)


def lint_with(*argv: str) -> int:
    return lint(build_parser().parse_args(["lint", *argv]))


def found(out: str) -> dict[str, str]:
    """Return severity by code, from the printed table."""
    rows = [line.split() for line in out.splitlines()[1:] if line and not line.startswith(" ")]
    return {row[1]: row[0] for row in rows if row[0] in ("error", "warning")}


def test_the_notebooks_log(notebook, capsys):
    given = ["--log", notebook, "--metric", TEST_LOSS, "--objective", "test:loss"]
    assert lint_with(*given, "--classes", "133") == 1
    out = capsys.readouterr().out
    assert found(out) == {
        "rounded": "error",
        "worse-than-chance": "error",
        "percentage-is-wrong": "error",
        "objective-is-test": "warning",
    }
    assert f"seen: {NOTEBOOK_ACCURACY}" in out
    assert "do: Compute 100.0 * hits / images" in out
    assert out.endswith("errors: 3, warnings: 1\n")


def test_a_clean_log(clean, capsys):
    metric = "valid:loss=Valid loss: ([0-9.]+)"
    assert lint_with("--log", clean, "--metric", metric, "--classes", "10") == 0
    assert capsys.readouterr().out == "nothing found\n"


def test_warnings_alone_are_no_failure(clean, capsys):
    metrics = ["--metric", "valid:loss=Valid loss: ([0-9.]+)", "--metric", "f1=F1=([0-9.]+)"]
    assert lint_with("--log", clean, *metrics) == 0
    assert found(capsys.readouterr().out) == {"regex-matches-nothing": "warning"}


def test_a_log_that_is_not_utf8_is_read(awkward_path, capsys):
    path = awkward_path / "latin.log"
    path.write_bytes(b"\xe9poque\nloss: nan\n")
    assert lint_with("--log", str(path)) == 1
    assert found(capsys.readouterr().out) == {"not-finite": "error"}


def test_a_request_before_it_is_sent(awkward_path, clean, capsys):
    path = awkward_path / "request.json"
    request = whippet_request()
    path.write_text(json.dumps(request), encoding="utf-8")
    assert lint_with("--request", str(path)) == 0
    assert capsys.readouterr().out == "nothing found\n"

    assert lint_with("--request", str(path), "--log", clean) == 1
    assert found(capsys.readouterr().out) == {"regex-matches-nothing": "error"}

    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    objective["Type"] = "Maximize"
    path.write_text(json.dumps(request), encoding="utf-8")
    assert lint_with("--request", str(path)) == 1
    assert found(capsys.readouterr().out) == {"objective-direction": "error"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "nothing to lint"),
        (["job", "--log", "LOG"], "its own request and log"),
        (["job", "--objective", "a"], "its own request and log"),
        (["--request", "LOG", "--metric", "a=(b)"], "leave out the other options"),
        (["--metric", "a=(b)"], "nothing to lint"),
        (["--log", "no such é.log"], "no such é.log' cannot be read: No such file"),
        (["--log", "."], "Is a directory"),
        (["--log", "/dev/null"], "is empty"),
        (["--log", "LOG", "--metric", "a"], "write NAME=REGEX"),
        (["--log", "LOG", "--metric", "=(b)"], "write NAME=REGEX"),
        (["--log", "LOG", "--metric", "a=(b"], "is not a valid regex: missing \\)"),
        (["--log", "LOG", "--metric", "a=b"], "has no group"),
        (["--log", "LOG", "--classes", "1"], "2 or more"),
        (["--request", "LOG"], "is not JSON"),
        (["--request", "LIST"], "must be a JSON object"),
    ],
)
def test_mistakes(argv, message, clean, awkward_path):
    (awkward_path / "list.json").write_text("[]", encoding="utf-8")
    paths = {"LOG": clean, "LIST": str(awkward_path / "list.json")}
    with pytest.raises(ParameterError, match=message):
        lint_with(*(paths.get(word, word) for word in argv))


def test_a_request_that_sagemaker_would_refuse(awkward_path, capsys):
    path = awkward_path / "request.json"
    path.write_text('{"TrainingJobName": 1}', encoding="utf-8")
    assert main(["lint", "--request", str(path)]) == 1
    said = capsys.readouterr().err
    assert "TrainingJobName" in said
    assert "Traceback" not in said


def test_a_log_needs_no_prefect_and_no_boto3(clean):
    script = (
        "import sys; from cli.main import main; code = main(sys.argv[1:]);"
        "print(sorted({'prefect', 'boto3', 'torch'} & sys.modules.keys()), file=sys.stderr);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "lint", "--log", clean],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing found\n", "[]\n")


@pytest.mark.slow
def test_a_job_of_a_home(tmp_path, monkeypatch, capsys):
    jobs = local_jobs(tmp_path / "the home's é")
    script = f"print({NOTEBOOK_LOSS!r})\nprint({NOTEBOOK_ACCURACY!r})"
    assert jobs.run("notebook", script)["TrainingJobStatus"] == "Completed"
    monkeypatch.setenv("WHIPPET_HOME", str(jobs.platform.settings.home))
    monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(jobs.platform.settings.job_python))
    assert main(["lint", "notebook"]) == 1
    said = capsys.readouterr().out
    assert found(said) == {"percentage-is-wrong": "error", "regex-matches-nothing": "error"}

    assert main(["lint", "no-such-job"]) == 1
    assert "no training or tuning job 'no-such-job'" in capsys.readouterr().err
