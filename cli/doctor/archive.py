"""Prepare a model archive for the tests: the user's, a run's or a new one; check its contents."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.doctor.checks import Check, failed, passed, warning
from cli.doctor.program import Bench, ending
from platforms import Settings, connect
from platforms.archives import extract_archive, regular_files, write_archive
from platforms.errors import DataError
from platforms.local.requirements import unsatisfied
from sm_entrypoints.contract import (
    INFERENCE_PROGRAM,
    MODEL_CARD_FILE,
    MODEL_CODE_FOLDER,
    MODEL_WEIGHTS_FILE,
)
from tasks.runs.record import read_run
from tasks.storage.uris import download

_CLASSES = ("first", "second", "third")
_ARCHIVE = "model.tar.gz"
_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".joblib", ".ckpt"})
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which archive to check, and whose code goes into it.

    Attributes:
        file: a model.tar.gz; when None, the model of ``run``; when that is None, a fresh one.
        code: a folder that replaces the archive's ``code``.
        architecture: of a fresh model.
    """

    file: Path | None = None
    run: str | None = None
    code: Path | None = None
    architecture: str = "resnet18"

    def check(self) -> None:
        """Refuse what cannot be used, before any work.

        Raises:
            DataError: a file or folder is not there, or holds no inference.py.
        """
        if self.file is not None and not self.file.is_file():
            raise DataError(f"--model-data {str(self.file)!r}: no such file")
        if self.code is not None and not self.code.is_dir():
            raise DataError(f"--code {str(self.code)!r}: no such folder")
        if self.code is not None and not (self.code / INFERENCE_PROGRAM).is_file():
            raise DataError(
                f"--code {str(self.code)!r} has no {INFERENCE_PROGRAM}: give the folder that has "
                "one"
            )


def fetch(source: Source, settings: Settings, bench: Bench) -> str:
    """Write the archive to the bench, extract it to ``bench.model``, and describe it.

    Raises:
        DataError: there is no such run, it has no model, or the fresh model cannot be built.
        ArchiveError: the file is not an archive that this project would unpack.
    """
    archive = bench.folder / _ARCHIVE
    if source.file is not None:
        archive, name = source.file, str(source.file)
    elif source.run is not None:
        name = _model_of_run(settings, source.run)
        download(connect(settings), name, archive)
    else:
        _build(source.architecture, bench, archive)
        name = f"a new, untrained {source.architecture}, built like train.py's"
    extract_archive(archive, bench.model)
    packed = archive.stat().st_size / _MEBIBYTE
    if source.code is None:
        return f"{name} ({packed:.1f} MiB)"
    code = bench.model / MODEL_CODE_FOLDER
    shutil.rmtree(code, ignore_errors=True)
    shutil.copytree(source.code, code, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    return f"{name} ({packed:.1f} MiB), with the code of {source.code}"


def check_layout(bench: Bench) -> Iterator[Check]:
    """Yield the checks of what lies where in the extracted archive."""
    model = bench.model
    files = [path.relative_to(model) for path in regular_files(model)]
    weights = _check_weights(files)
    yield weights
    if weights.outcome == "failed":
        return
    pickles = [path for path in files if path.suffix.lower() in _PICKLES]
    if pickles:
        yield warning(
            "pickle",
            f"{_some(pickles)} may run code of its own when loaded",
            "save tensors as safetensors: safetensors.torch.save_file(model.state_dict(), path)",
        )
    program = _check_program(files)
    yield program
    if program.outcome != "failed":
        yield _check_requirements(bench)


def _check_requirements(bench: Bench) -> Check:
    """Check ``code/requirements.txt``, which SageMaker installs and this machine does not."""
    file = f"{MODEL_CODE_FOLDER}/requirements.txt"
    if not (bench.model / file).is_file():
        return passed("requirements", f"no {file}: nothing is installed on top of the image")
    missing = unsatisfied(bench.model / MODEL_CODE_FOLDER, str(bench.job_python))
    if not missing:
        return passed("requirements", f"the job environment has what {file} asks for")
    return warning(
        "requirements",
        f"the job environment lacks {', '.join(missing)}, which {file} asks for",
        "AWS's PyTorch image installs it at start-up, the image of docker/ does not: build one "
        f"on top; to rehearse with it: {bench.job_python} -m pip install …",
    )


def _model_of_run(settings: Settings, run: str) -> str:
    try:
        trained = read_run(settings, run).training
    except FileNotFoundError:
        raise DataError(f"there is no run {run!r} in {settings.runs}") from None
    if trained is None:
        raise DataError(f"run {run!r} has no trained model (yet): see its run.json")
    return trained.model_data_uri


def _build(architecture: str, bench: Bench, archive: Path) -> None:
    folder = bench.folder / "fresh"
    labels = [text for name in _CLASSES for text in ("--label", name)]
    options = ["build", "--architecture", architecture, "--out", str(folder), *labels]
    seconds = bench.patience.build
    status = bench.run("rehearsal.py", *options, log="build.log", seconds=seconds)
    if status != 0:
        how = f"took more than {seconds:g} seconds" if status is None else ending(status)
        words = " ".join(bench.tail("build.log")[-3:])
        raise DataError(f"a fresh {architecture} could not be built ({how}): {words}")
    write_archive(folder, archive)
    shutil.rmtree(folder)


def _check_weights(files: list[Path]) -> Check:
    roots = [path for path in files if len(path.parts) == 1]
    names = {path.name for path in roots}
    if {MODEL_WEIGHTS_FILE, MODEL_CARD_FILE} <= names:
        return passed("layout", f"{MODEL_WEIGHTS_FILE} and {MODEL_CARD_FILE} are at the root")
    if roots:
        return passed("layout", f"at the root: {_some(roots)}")
    tops = sorted({path.parts[0] for path in files} - {MODEL_CODE_FOLDER})
    if len(tops) == 1:
        return failed(
            "layout",
            f"everything is below the folder {tops[0]}/, nothing is at the root of the archive",
            f"pack it from inside: tar -C {shlex.quote(tops[0])} -czf model.tar.gz .",
        )
    return warning(
        "layout",
        "there are no weights at the root of the archive",
        f"they belong beside {MODEL_CODE_FOLDER}/, preferably as {MODEL_WEIGHTS_FILE}",
    )


def _check_program(files: list[Path]) -> Check:
    wanted = Path(MODEL_CODE_FOLDER, INFERENCE_PROGRAM)
    if wanted in files:
        return passed("program", f"{wanted} exists")
    others = [path for path in files if path.name == INFERENCE_PROGRAM]
    advice = f"move {others[0]} there" if others else "put it there, or give --code DIR"
    return failed("program", f"there is no {wanted} in the archive", advice)


def _some(paths: list[Path], most: int = 4) -> str:
    return ", ".join(str(path) for path in paths[:most]) + (" …" if len(paths) > most else "")
