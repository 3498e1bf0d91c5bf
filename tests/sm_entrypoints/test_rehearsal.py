"""The rehearsal's entry point, run as ``whippet doctor`` runs it: by path, in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sm_entrypoints.models.model import load_model
from sm_entrypoints.rehearsal import main

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "sm_entrypoints" / "rehearsal.py"
LABELS = ("blå cirkel", "green's square", "red bar")
GOOD = """
def model_fn(model_dir): return 'model'
def input_fn(data, content_type): return len(data)
def predict_fn(data, model): return f'{model} {data > 0}'
def output_fn(prediction, accept): return prediction
"""


def _run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *argv],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _handlers(folder: Path, model: Path) -> tuple[int, list[dict[str, Any]]]:
    image, report = folder / "good image.jpg", folder / "report.jsonl"
    Image.new("RGB", (40, 30), (200, 30, 30)).save(image)
    done = _run(
        folder,
        *("handlers", "--model-dir", str(model), "--image", str(image), "--report", str(report)),
    )
    return done.returncode, [json.loads(line) for line in report.read_text().splitlines()]


def _rehearse(folder: Path, source: str) -> tuple[int, list[dict[str, Any]]]:
    code = folder / "the model's été" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(source)
    return _handlers(folder, code.parent)


def _error(events: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [event for event in events if event["event"] == "error"]
    assert len(errors) == 1
    return errors[0]


def test_a_fresh_archive_is_what_training_delivers_and_answers(tmp_path: Path) -> None:
    model = tmp_path / "a fresh 'model'"
    options = [text for label in LABELS for text in ("--label", label)]
    size = ("--architecture", "squeezenet1_1", "--image-size", "64")
    assert main(["build", *size, "--out", str(model), *options]) == 0
    _, card = load_model(model)
    assert card.classes == LABELS
    assert (card.image_size, card.resize_size) == (64, 73)
    assert (model / "code" / "sm_entrypoints" / "models" / "model.py").is_file()

    status, events = _handlers(tmp_path, model)
    assert status == 0, events
    ended = [event["stage"] for event in events if event["event"] == "end"]
    handlers = ["model_fn", "input_fn", "predict_fn", "output_fn"]
    assert ended == ["import", "signatures", *handlers, "answer"]
    given = next(event for event in events if event["event"] == "given")
    assert sorted(given["names"]) == sorted(handlers)
    assert events[-1]["text"].startswith('{"predictions": [{"label": ')
    assert events[-1]["content_type"] == "application/json"


def test_an_unknown_architecture_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["build", "--architecture", "resnet19", "--label", "a", "--label", "b"]
    assert main([*argv, "--out", str(tmp_path / "model")]) == 1
    assert capsys.readouterr().err.startswith("unknown model 'resnet19': did you mean ")
    assert not (tmp_path / "model").exists()


def test_handlers_left_out_are_not_called_given(tmp_path: Path) -> None:
    source = (
        "def model_fn(model_dir, context): return context.system_properties['model_dir']\n"
        "def transform_fn(model, data, content_type, accept):\n"
        "    return {'in': model, 'n': len(data)}\n"
    )
    status, events = _rehearse(tmp_path, source)
    assert status == 0, events
    given = next(event for event in events if event["event"] == "given")
    assert given["names"] == ["model_fn", "transform_fn"]
    assert "the model's été" in events[-1]["text"]


@pytest.mark.parametrize(
    ("source", "stage", "message", "frame"),
    [
        ("def model_fn(model_dir)\n    return 1\n", "import", "SyntaxError", "def model_fn"),
        ("import no_such_package\n", "import", "No module named 'no_such_package'", "line 1"),
        ("raise SystemExit('no GPU')\n", "import", "SystemExit: no GPU", "raise SystemExit"),
        (GOOD.replace("model_fn", "load_fn"), "model_fn", "defines no model_fn", ""),
        (GOOD + "def transform_fn(a, b, c, d): ...\n", "signatures", "transform_fn and", ""),
        (GOOD.replace("(data, model)", "(data)"), "signatures", "predict_fn takes 1 para", ""),
        (GOOD.replace("'model'", "open('no file')"), "model_fn", "no file", "in model_fn"),
        (GOOD.replace("len(data)", "data.pixels"), "input_fn", "'bytes' object", "in input_fn"),
        (GOOD.replace("f'{model} {data > 0}'", "1 / 0"), "predict_fn", "ZeroDiv", "in predict_fn"),
        (GOOD.replace("return prediction", "return prediction.x"), "output_fn", "'str'", "output"),
    ],
)
def test_a_broken_program_is_reported_where_it_breaks(
    tmp_path: Path, source: str, stage: str, message: str, frame: str
) -> None:
    status, events = _rehearse(tmp_path, source)
    assert status == 1
    error = _error(events)
    assert error["stage"] == stage
    assert message in error["message"]
    trace = "\n".join(error["traceback"])
    assert frame in trace
    assert "rehearsal.py" not in trace


def test_a_module_that_only_this_checkout_has_is_not_good_enough(tmp_path: Path) -> None:
    status, events = _rehearse(tmp_path, "from sm_entrypoints import contract\n" + GOOD)
    assert status == 1
    assert "sm_entrypoints.contract" in _error(events)["message"]
    assert _error(events)["stage"] == "import"


def test_our_own_modules_do_not_stand_in_for_the_users(tmp_path: Path) -> None:
    status, events = _rehearse(tmp_path, "import model\n" + GOOD)
    assert status == 1
    assert "No module named 'model'" in _error(events)["message"]


def test_a_process_that_dies_leaves_a_report_of_where(tmp_path: Path) -> None:
    dying = "import os\n" + GOOD.replace("return 'model'", "os._exit(9)")
    status, events = _rehearse(tmp_path, dying)
    assert status == 9
    assert events[-1] == {"stage": "model_fn", "event": "begin"}
