"""What a source's requirements.txt installs, kept by digest for all jobs that ask for it.

SageMaker's toolkit runs ``pip install -r requirements.txt`` in every container. Here only the first
job does; what pip wrote is kept below ``WHIPPET_HOME`` and shown read-only to every later job.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from platforms.archives import regular_files
from platforms.errors import WhippetError
from platforms.local.boundary.enclosure import Enclosure, Program
from platforms.local.boundary.limits import JobLimits, LimitWatch
from platforms.local.boundary.place import retargeted
from platforms.local.boundary.steps import Bind
from platforms.local.copies import remove_tree
from platforms.local.requirements import needs_pip
from platforms.locks import held_if_free

_FILE = "requirements.txt"
_POLL_SECONDS = 0.2
_TAIL_BYTES = 4096
_MOST_CHARACTERS = 600


class RequirementsFailed(WhippetError):
    """Raised when pip installs no requirements.txt; the message is the job's FailureReason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A job's extracted source: where it lies and is seen, its environment, and its limits."""

    root: Path
    seen: Path
    environment: Mapping[str, str]
    log: Path
    limits: JobLimits = field(default_factory=JobLimits)

    @property
    def code(self) -> Path:
        """The folder of the requirements.txt."""
        return self.root / "code"


def requirements_layer(
    enclosure: Enclosure, source: Source, stopped: Callable[[], bool]
) -> Path | None:
    """Return the folder of what ``requirements.txt`` installs, installed now if need be.

    None when there is nothing to install, and when the job is to stop.

    Raises:
        RequirementsFailed: pip says no.
    """
    if not needs_pip(source.code, enclosure.python.executable):
        return None
    layers = enclosure.home / "boundary" / "layers"
    layers.mkdir(parents=True, exist_ok=True)
    layer = layers / _digest(enclosure, source.code)
    while not layer.is_dir():
        with held_if_free(layers / f"{layer.name}.lock") as ours:
            if ours and not layer.is_dir():
                _install(enclosure, source, layer, stopped)
        if stopped():
            return None
        if not ours:
            time.sleep(_POLL_SECONDS)
    return layer


def _digest(enclosure: Enclosure, code: Path) -> str:
    """Return what tells layers apart: the file, all that it may lead to, Python and kind."""
    text = (code / _FILE).read_bytes()
    digest = hashlib.sha256(text)
    local = any(part in text for part in (b"./", b"file:", b"-r", b"-c", b"-e", b".whl", b".tar"))
    for path in regular_files(code) if local else ():
        digest.update(os.fsencode(path.relative_to(code)) + b"\0" + path.read_bytes())
    kind = f"{enclosure.python.identity} {enclosure.copy_on_write} {enclosure.mechanism.name}"
    digest.update(f"{kind} {enclosure.mechanism.user_namespace}".encode())
    return digest.hexdigest()[:32]


def _install(
    enclosure: Enclosure, source: Source, layer: Path, stopped: Callable[[], bool]
) -> None:
    building = layer.with_name(f"{layer.name}.building")
    remove_tree(building)
    building.mkdir()
    inner = replace(enclosure, scratch=building, layer=None)
    with source.log.open("ab") as log:
        began = log.tell()
        code = _run_pip(inner, source, log, stopped)
    if code is None:
        remove_tree(building)
        return
    if code != 0:
        problem = inner.problem() or _words(source.log, began)
        remove_tree(building)
        raise RequirementsFailed(
            f"AlgorithmError: InstallRequirementsError:\nExitCode {code}\nErrorMessage "
            f'"{problem}"\nCommand "python -m pip install -r {_FILE}", exit code: {code}'
        )
    written = building / "python"
    if enclosure.copy_on_write:
        written = written / "upper"
    else:
        _retarget(written / "bin")
    written.rename(layer)
    remove_tree(building)


def _run_pip(
    enclosure: Enclosure, source: Source, log: IO[bytes], stopped: Callable[[], bool]
) -> int | None:
    """Return pip's exit code; None when the job is to stop, and pip was ended.

    Raises:
        RequirementsFailed: pip took more than a job may, and was ended.
    """
    what = Program(
        arguments=["-m", "pip", "install", "--disable-pip-version-check", "-r", _FILE],
        cwd=str(source.seen / "code"),
        environment=source.environment,
        log=log,
        group=True,
    )
    root = Bind(source=str(source.root), target=str(source.seen), writable=True)
    process = enclosure.start(what, [root])
    own = enclosure.mechanism.processes
    watch = LimitWatch(process.pid, source.limits, boundary=own) if source.limits else None
    while process.poll() is None:
        over = None if watch is None else watch.exceeded()
        if watch is not None and over is not None:
            watch.kill()
            process.wait()
            raise RequirementsFailed(
                f"AlgorithmError: the job was killed while pip installed {_FILE}: {over}, exit "
                "code: 137"
            )
        if stopped():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
        time.sleep(_POLL_SECONDS)
    return process.returncode


def _words(log: Path, began: int) -> str:
    """Return pip's own reasons: the lines that it marks as errors, or else the last ones."""
    with log.open("rb") as file:
        file.seek(max(began, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")]
    return "\n".join(errors or lines[-5:])[-_MOST_CHARACTERS:]


def _retarget(scripts: Path) -> None:
    for path in scripts.iterdir():
        text = retargeted(path)
        if text is not None:
            path.write_bytes(text)
