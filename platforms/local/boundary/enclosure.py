"""One process of the local platform together with its boundary and its Python."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from platforms.local.boundary.job_python import JobPython, job_python
from platforms.local.boundary.mechanism import Mechanism
from platforms.local.boundary.network import network_paths, network_variables
from platforms.local.boundary.place import Place, copy_on_write, is_copy_on_write, layered
from platforms.local.boundary.steps import Step
from platforms.local.boundary.view import View, hidden_folders, private_homes
from platforms.local.copies import remove_tree
from platforms.processes.marks import MARK_VARIABLE
from platforms.processes.process import identify


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: arguments after the interpreter, and all of its environment.

    Attributes:
        group: give it a process group of its own.
    """

    arguments: Sequence[str]
    cwd: str
    environment: Mapping[str, str]
    log: IO[bytes]
    group: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A program that can be started now, once.

    Attributes:
        command: what to execute. inner: what this executes inside the boundary, if there is one.
        cwd: where to execute it. environment: all of its environment. order: the file that
        ``inside.py`` reads; None without namespaces.
    """

    command: Sequence[str]
    inner: Sequence[str]
    cwd: str
    environment: Mapping[str, str]
    log: IO[bytes]
    group: bool
    order: Path | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it.

        Raises:
            OSError: it cannot be started.
        """
        return subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            process_group=0 if self.group else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """What one job or model server runs in.

    Attributes:
        home: ``WHIPPET_HOME``. scratch: its own folder for everything it writes outside
        ``/opt/ml``. layer: what its requirements.txt installed, if anything. keep: further paths
        that it must see.
    """

    mechanism: Mechanism
    python: JobPython
    home: Path
    scratch: Path
    layer: Path | None = None
    keep: tuple[Path, ...] = field(default=())

    @classmethod
    def of(
        cls, executable: str, record: Mapping[str, Any] | None, *, home: Path, scratch: Path
    ) -> Enclosure:
        """Return the enclosure of an interpreter and of what :meth:`Mechanism.to_record` wrote.

        Raises:
            WhippetError: the interpreter does not run.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        return cls(
            mechanism=Mechanism.from_record(record),
            python=job_python(Path(executable), home / "boundary" / "pythons"),
            home=home,
            scratch=scratch,
        )

    @property
    def copy_on_write(self) -> bool:
        """Tell how the place for pip is created: see :mod:`platforms.local.boundary.place`."""
        return is_copy_on_write(self.python, overlays=self.mechanism.overlays, home=self.home)

    def with_layer(self, layer: Path | None) -> Enclosure:
        """Return the same with what a requirements.txt installed."""
        return replace(self, layer=layer)

    def with_kept(self, *paths: Path) -> Enclosure:
        """Return the same in which these paths of the machine are seen, wherever they are."""
        return replace(self, keep=(*self.keep, *paths))

    def place(self) -> Place:
        """Make the place for pip, and return how it is shown."""
        if self.copy_on_write:
            return copy_on_write(self.python, self.scratch, self.layer)
        return layered(
            self.python,
            self.scratch,
            self.layer,
            shared=self.home / "boundary",
            contained=self.mechanism.contained,
        )

    def start(self, program: Program, ml: Sequence[Step]) -> subprocess.Popen[bytes]:
        """Start a program; ``ml`` shows its ``/opt/ml``.

        Raises:
            OSError: it cannot be started.
        """
        return self.prepare(program, ml).start()

    def prepare(self, program: Program, ml: Sequence[Step]) -> Prepared:
        """Make everything that a program needs to start; ``ml`` shows its ``/opt/ml``."""
        place = self.place()
        inner = command = [place.python, *program.arguments]
        cwd, order = program.cwd, None
        if self.mechanism.contained:
            command, _ = self.mechanism.command(
                inner,
                self._steps(place, ml),
                cwd=cwd,
                scratch=self.scratch,
                dies_with_us=program.group,
            )
            cwd = str(self.scratch)
            order = self.mechanism.order(self.scratch)
        return Prepared(
            command=command,
            inner=inner,
            cwd=cwd,
            environment=self._environment(program.environment, place),
            log=program.log,
            group=program.group,
            order=order,
        )

    def problem(self) -> str:
        """Return what kept the last program from running; empty when nothing did."""
        try:
            return (self.scratch / "problem").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def discard(self) -> None:
        """Remove everything that was written elsewhere than in ``/opt/ml``."""
        remove_tree(self.scratch)

    def _steps(self, place: Place, ml: Sequence[Step]) -> list[Step]:
        hidden = [*hidden_folders(), self.home.resolve()]
        return View(
            scratch=self.scratch,
            whippet_home=self.home,
            ml=tuple(ml),
            python=place.steps,
            keep=(*self.python.keep(), *self.keep, *network_paths(os.environ, hidden=hidden)),
            overlays=self.mechanism.overlays,
        ).steps()

    def _environment(self, given: Mapping[str, str], place: Place) -> dict[str, str]:
        path = [*place.path, given.get("PATH", os.defpath)]
        variables = {
            **network_variables(os.environ),
            "PIP_ROOT_USER_ACTION": "ignore",
            **given,
            "PATH": os.pathsep.join(path),
        }
        if self.mechanism.contained:
            variables.pop("TMPDIR", None)  # It is the machine's, and out of sight.
            homes = private_homes()
            variables["HOME"] = str(homes[0]) if homes else "/tmp"
        else:  # Nothing else keeps together what leaves our session.
            variables[MARK_VARIABLE] = identify(os.getpid()).mark
        return variables
