"""Programs of SageMaker's handler contract: found, checked, called, completed with defaults."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.handlers import Program, ProgramError, load_program


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """Undo what importing a program leaves behind, which a server wants to keep."""
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        if name.split(".")[0] in ("inference", "package", "neighbour"):
            del sys.modules[name]
    sys.modules.update(modules)


def _load(folder: Path, source: str, program: str = "inference.py") -> Program:
    path = folder / "the code's été" / program
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return load_program(folder / "the code's été", program, Context(manifest={"model": "x"}))


def test_three_functions(tmp_path: Path) -> None:
    program = _load(
        tmp_path,
        "def model_fn(model_dir): return 10\n"
        "def input_fn(data, content_type): return int(data)\n"
        "def predict_fn(data, model): return data * model\n"
        "def output_fn(prediction, accept): return str(prediction), 'text/plain'\n",
    )
    model = program.load(tmp_path)
    assert program.transform(model, "7", "text/csv", "x/y") == ("70", "text/plain")


def test_a_trailing_context_is_passed_to_those_who_take_it(tmp_path: Path) -> None:
    program = _load(
        tmp_path,
        "def model_fn(model_dir, context): return context.manifest['model']\n"
        "def input_fn(data, content_type): return data\n"
        "def predict_fn(data, model, context): return data + model\n"
        "def output_fn(prediction, accept, context=None):\n"
        "    return prediction + context.manifest['model']\n",
    )
    assert program.transform(program.load(tmp_path), "a", None, "x/y") == ("axx", None)


def test_transform_fn(tmp_path: Path) -> None:
    program = _load(
        tmp_path,
        "def model_fn(model_dir): return model_dir\n"
        "def transform_fn(model, data, content_type, accept):\n"
        "    return f'{model} {data!r} {content_type} {accept}'\n",
    )
    text, _ = program.transform(program.load(Path("/m")), b"\xff", "image/jpeg", "text/plain")
    assert text == "/m b'\\xff' image/jpeg text/plain"


def test_defaults_call_a_torch_model(tmp_path: Path) -> None:
    program = _load(
        tmp_path,
        "import torch\n"
        "def model_fn(model_dir):\n"
        "    layer = torch.nn.Linear(2, 1, bias=False)\n"
        "    torch.nn.init.constant_(layer.weight, 2)\n"
        "    return layer\n",
    )
    model = program.load(tmp_path)
    body, kind = program.transform(model, "[[1, 2], [3, 4]]", "application/json", "*/*")
    assert (json.loads(body), kind) == ([[6.0], [14.0]], "application/json")
    assert program.transform(model, "1,2", "text/csv", "text/csv") == ("6.0\n", "text/csv")
    assert not model.training


def test_what_comes_before_and_after_the_model_is_called(tmp_path: Path) -> None:
    program = _load(
        tmp_path,
        "calls = []\n"
        "def pre_model_fn(model_dir): calls.append(f'before {model_dir}')\n"
        "def model_fn(model_dir): calls.append('model'); return calls\n"
        "def model_warmup_fn(model_dir, model, context): model.append(context.manifest['model'])\n",
    )
    assert program.load(Path("/m")) == ["before /m", "model", "x"]


@pytest.mark.parametrize(
    ("file", "program"),
    [
        ("inference.py", "inference"),
        ("package/inference.py", "package.inference"),
        ("package/inference.py", "package/inference.py"),
    ],
)
def test_spellings_of_a_program(tmp_path: Path, file: str, program: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("import neighbour\ndef model_fn(model_dir): return neighbour.VALUE\n")
    (tmp_path / "neighbour.py").write_text("VALUE = 5\n")
    assert load_program(tmp_path, program).load(tmp_path) == 5


def test_the_archives_own_package_wins(tmp_path: Path) -> None:
    (tmp_path / "sm_entrypoints").mkdir()
    (tmp_path / "sm_entrypoints" / "__init__.py").write_text("")
    (tmp_path / "sm_entrypoints" / "model.py").write_text("VALUE = 'of the archive'\n")
    (tmp_path / "inference.py").write_text(
        "from sm_entrypoints.model import VALUE\ndef model_fn(model_dir): return VALUE\n"
    )
    assert load_program(tmp_path, "inference.py").load(tmp_path) == "of the archive"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "def model_fn(d): ...\ndef transform_fn(m, d, c, a): ...\ndef input_fn(d, c): ...\n",
            "defines transform_fn and input_fn",
        ),
        ("def model_fn(): ...\n", r"model_fn takes 0 parameters.*model_fn\(model_dir\)"),
        ("def model_fn(d): ...\ndef predict_fn(a, b, c, d): ...\n", "predict_fn takes 4"),
        ("def predict_fn(d, m, *, context): ...\n", "context by name.*by position"),
        ("def model_fn(d, **options): ...\n", "options by name"),
        ("def model_warmup_fn(d): ...\n", r"model_warmup_fn\(model_dir, model\)"),
        ("model_fn = 3\n", "not a function"),
        ("async def model_fn(d): ...\n", "model_fn in inference.py is asynchronous"),
    ],
)
def test_mistakes_are_found_at_the_start(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        _load(tmp_path, source)


def test_a_missing_program_or_model_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "inferenz.py").write_text("")
    (tmp_path / "empty.py").write_text("x = 1\n")
    wanted = r"inference\.py.*\['empty\.py', 'inferenz\.py'\].*SAGEMAKER_PROGRAM.*Exactly one"
    with pytest.raises(ProgramError, match=wanted):
        load_program(tmp_path, "inference.py").load(tmp_path)
    with pytest.raises(ProgramError, match=r"holds \[\]"):
        load_program(tmp_path / "nowhere", "package/inference.py").load(tmp_path)
    with pytest.raises(ProgramError, match=r"empty\.py defines no model_fn.*Exactly one"):
        load_program(tmp_path, "empty.py").load(tmp_path)


def test_errors_of_the_program_are_its_own(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError):
        _load(tmp_path, "def model_fn(:\n")
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        _load(tmp_path, "import not_installed\n", "inference_two.py")
