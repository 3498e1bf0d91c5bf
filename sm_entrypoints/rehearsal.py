"""What ``whippet doctor`` runs in the job environment: build a model archive, call its handlers.

Run by path, each time in a new process:

    python sm_entrypoints/rehearsal.py build --architecture NAME --label A --label B --out DIR
    python sm_entrypoints/rehearsal.py handlers --model-dir DIR --image FILE --report FILE

``build`` writes the same archive as ``train.py``, by the same functions, with untrained weights.
``handlers`` imports the archive's program like ``serve.py`` and answers one request with it. Its
report has one JSON object per line, written as it happens, so a process that dies or hangs still
shows where: ``{"stage", "event": "begin|end|error", "seconds", "message", "traceback"}``; a
handler's end also has ``returned``, the type of its value. Stages are ``import``, ``signatures``
and the handlers' names. Exit status: 0, or 1 after an error.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

_HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    # As in serve.py: our data.py or model.py must not be found for a user's `import model`.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    sys.path.append(str(_HERE.parent))

if TYPE_CHECKING:
    from sm_entrypoints.serving.handlers import Program

_PACKAGE = "sm_entrypoints"
_ANSWER_CHARACTERS = 200
_OWN_FRAMES = (str(_HERE), "<frozen importlib", importlib.__file__)


class Journal:
    """The report of a rehearsal: every line is on its way to the disk before the next stage."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.failed = False

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Write when a stage begins, and how it ends; exceptions propagate. Yields further members
        for the end's line.
        """
        members: dict[str, Any] = {}
        self.write(name, "begin")
        start = time.perf_counter()
        try:
            yield members
        # Whatever the user's code raises belongs into the report, SystemExit too.
        except BaseException as error:
            self.error(name, error)
            raise
        self.write(name, "end", seconds=round(time.perf_counter() - start, 3), **members)

    def error(self, name: str, error: BaseException) -> None:
        """Write that a stage failed: the error in one line, and the user's own frames."""
        self.failed = True
        report = traceback.TracebackException.from_exception(error)
        summary = " ".join("".join(report.format_exception_only()).split())
        users = [frame for frame in report.stack if not frame.filename.startswith(_OWN_FRAMES)]
        lines = "".join(traceback.StackSummary.from_list(users).format()).splitlines()
        if isinstance(error, SyntaxError):
            lines += "".join(report.format_exception_only()).splitlines()
        self.write(name, "error", message=summary, traceback=lines)

    def write(self, stage: str, event: str, **values: Any) -> None:
        """Write one line."""
        line = {"stage": stage, "event": event, **values}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


def build(folder: Path, architecture: str, classes: Sequence[str], image_size: int) -> None:
    """Write the content of a model archive: untrained weights, their card, the serving code.

    Raises:
        ModelError: an unknown architecture, fewer than two classes, an impossible image size.
    """
    # Deferred, as all imports of this module that are not in the standard library: a program
    # that is rehearsed must find torch no more imported than it would be when it is served.
    from sm_entrypoints.models.model import (
        PREPROCESSING,
        ModelCard,
        build_model,
        resize_size,
        save_model,
    )
    from sm_entrypoints.training.outputs import copy_serving_code

    card = ModelCard(
        architecture=architecture,
        classes=tuple(classes),
        image_size=image_size,
        resize_size=resize_size(image_size),
        preprocessing=PREPROCESSING,
    )
    save_model(folder, build_model(architecture, len(classes), image_size=image_size), card)
    copy_serving_code(folder)


def rehearse(model_dir: Path, program: str, body: bytes, content_type: str, report: Path) -> bool:
    """Answer one request with an archive's handlers; tell whether every stage succeeded.

    Imports the archive's program into this process: call it once in a process.
    """
    with report.open("w", encoding="utf-8") as file:
        journal = Journal(file)
        try:
            loaded = _load(journal, model_dir, program)
            _answer(journal, loaded, model_dir, body, content_type)
        # The edge of the user's code; the stage that failed has reported it.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            if not journal.failed:
                journal.error("rehearsal", error)
        return not journal.failed


def _load(journal: Journal, model_dir: Path, program: str) -> Program:
    from sm_entrypoints.serving.context import Context
    from sm_entrypoints.serving.handlers import ProgramError, load_program

    code = model_dir / "code"
    # Out of the way: what is loaded already would stand in, unseen, for what the archive lacks.
    own = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_own(name)}
    before = set(sys.modules)
    context = Context(system_properties={"model_dir": str(model_dir)})
    problem: ProgramError | None = None
    with journal.stage("import"):
        try:
            loaded = load_program(code, program, context)
        except ProgramError as error:  # The import went well: it is what was found that does not.
            problem = error
        missing = _outsiders(code, before)
        sys.modules.update({name: own[name] for name in own.keys() - sys.modules.keys()})
        if missing:
            raise ProgramError(
                f"{program} imports {', '.join(missing)}, which is not in {code.name}/ of the "
                "archive: SageMaker's containers do not have it either; put it there"
            )
    with journal.stage("signatures"):
        if problem is not None:
            raise problem
    own_functions = sorted(name for name, call in loaded.functions.items() if _is_from(call, code))
    journal.write("signatures", "given", names=own_functions)
    traced = {name: _traced(journal, name, call) for name, call in loaded.functions.items()}
    return type(loaded)(functions=traced, context=loaded.context)


def _is_own(module: str) -> bool:
    return module.split(".")[0] == _PACKAGE


def _outsiders(code: Path, before: set[str]) -> list[str]:
    """Return modules of our package that the program took from this checkout, not the archive.

    A package stands for the modules that it imports itself.
    """
    outside = {
        name
        for name, module in list(sys.modules.items())
        if name not in before
        and name.startswith(f"{_PACKAGE}.")
        and not Path(getattr(module, "__file__", None) or code)
        .resolve()
        .is_relative_to(code.resolve())
    }
    return sorted(name for name in outside if name.rpartition(".")[0] not in outside)


def _is_from(function: Callable[..., Any], code: Path) -> bool:
    module = sys.modules.get(getattr(function, "__module__", ""))
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve().is_relative_to(code.resolve())


def _traced(journal: Journal, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler so that its call is a stage; its signature stays visible."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with journal.stage(name) as members:
            value = function(*arguments)
            members["returned"] = type(value).__name__
        return value

    return call


def _answer(
    journal: Journal, program: Program, model_dir: Path, body: bytes, content_type: str
) -> None:
    model = program.load(model_dir)
    response, chosen = program.transform(model, body, content_type, "application/json")
    text = response.decode(errors="replace") if isinstance(response, bytes) else str(response)
    answer: Mapping[str, Any] = {"text": text[:_ANSWER_CHARACTERS], "content_type": chosen}
    journal.write("answer", "end", **answer)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "handlers":
        image = arguments.image.read_bytes()
        kind = arguments.content_type
        succeeded = rehearse(arguments.model_dir, arguments.program, image, kind, arguments.report)
        return 0 if succeeded else 1
    from sm_entrypoints.models.model import ModelError

    try:
        build(arguments.out, arguments.architecture, arguments.label, arguments.image_size)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rehearsal.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    archive = commands.add_parser("build", help="write the content of a model archive")
    archive.add_argument("--architecture", default="resnet18")
    archive.add_argument("--label", action="append", required=True, help="a class; repeat it")
    archive.add_argument("--image-size", type=int, default=224)
    archive.add_argument("--out", type=Path, required=True)
    handlers = commands.add_parser("handlers", help="answer one request with the handlers")
    handlers.add_argument("--model-dir", type=Path, required=True)
    handlers.add_argument("--program", default="inference.py")
    handlers.add_argument("--image", type=Path, required=True)
    handlers.add_argument("--content-type", default="image/jpeg")
    handlers.add_argument("--report", type=Path, required=True)
    return parser


if __name__ == "__main__":
    gc.freeze()  # What was imported stays to the end: to take it apart there takes a second.
    status = main()
    sys.stdout.flush()
    sys.exit(status)
