"""Find out which boundary this machine can make, by making one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from platforms.errors import SettingsError
from platforms.local.boundary.bubblewrap import options
from platforms.local.boundary.orders import write_order
from platforms.local.boundary.steps import Step, overlay
from platforms.local.boundary.view import HOST_NAME, View
from sm_entrypoints.contract.sentences import clause

Name = Literal["namespaces", "bubblewrap", "none"]

_ENTER = Path(__file__).with_name("enter.py")
_ENTER_BUBBLEWRAP = Path(__file__).with_name("enter_bubblewrap.py")
_ORDER = "order"
_PROBE_SECONDS = 30.0
_ABSENT = "this system is not Linux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """How a process is isolated.

    Attributes:
        user_namespace: we are not root, so a namespace is created first. overlays: copy-on-write
        folders work. why: why it is not a better one, in words.
    """

    name: Name
    user_namespace: bool = False
    overlays: bool = False
    why: str = ""

    @property
    def contained(self) -> bool:
        """Tell whether the process sees an ``/opt/ml`` of its own."""
        return self.name != "none"

    @property
    def processes(self) -> int:
        """How many processes of its own it keeps beside those of the job."""
        return {"namespaces": 2, "bubblewrap": 3, "none": 0}[self.name]

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "Mechanism": self.name,
            "UserNamespace": self.user_namespace,
            "Overlays": self.overlays,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> Mechanism:
        """Return what :meth:`to_record` wrote; records of before have none."""
        if record is None:
            return cls(name="none")
        return cls(
            name=record["Mechanism"],
            user_namespace=record["UserNamespace"],
            overlays=record["Overlays"],
        )

    def order(self, scratch: Path) -> Path | None:
        """Return the file that says what :meth:`command` runs inside; bubblewrap needs none."""
        return scratch / _ORDER if self.name == "namespaces" else None

    def command(
        self,
        argv: list[str],
        steps: list[Step],
        *,
        cwd: str,
        scratch: Path,
        dies_with_us: bool = False,
    ) -> tuple[list[str], Path]:
        """Return what to run so that ``argv`` runs inside, and the file that says what went wrong.

        ``argv[0]`` is an absolute path inside. The files of the order are put into ``scratch``.
        It may outlive this process unless it ``dies_with_us``; under bubblewrap it always dies.
        """
        problem = scratch / "problem"
        problem.unlink(missing_ok=True)
        starter = [sys.executable, "-I", "-S"]
        if self.name == "bubblewrap":
            inner = options(steps, cwd=cwd, host=HOST_NAME, root=os.getuid() == 0)
            bwrap = shutil.which("bwrap") or "/usr/bin/bwrap"
            return [*starter, str(_ENTER_BUBBLEWRAP), str(problem), bwrap, *inner, *argv], problem
        (scratch / "root").mkdir(exist_ok=True)
        head = {
            "user_namespace": "1" if self.user_namespace else "",
            "root": str(scratch / "root"),
            "cwd": cwd,
            "host": HOST_NAME,
            "dies_with_starter": "1" if dies_with_us else "",
            "problem": str(problem),
        }
        order = scratch / _ORDER
        write_order(order, head=head, argv=argv, steps=steps)
        return [*starter, str(_ENTER), str(order)], problem


@cache
def choose(setting: str, home: Path) -> Mechanism:
    """Return the mechanism for jobs whose files are at ``home``: tried out, once a process.

    ``setting`` is ``auto`` or the name of one.

    Raises:
        SettingsError: the named one does not work here; says why.
    """
    if setting == "none":
        return Mechanism(name="none", why="WHIPPET_BOUNDARY=none")
    reasons: list[str] = []
    for candidate in _candidates():
        if setting not in ("auto", candidate.name):
            continue
        problem = _problem(candidate, home)
        if problem is None:
            return replace(candidate, why="; ".join(reasons))
        reasons.append(problem)
    why = "; ".join(dict.fromkeys(reasons)) or _ABSENT
    if setting != "auto":
        raise SettingsError(
            f"WHIPPET_BOUNDARY={setting!r} does not work here ({clause(why)}): choose another, "
            "or auto"
        )
    return Mechanism(name="none", why=why)


def _candidates() -> Iterator[Mechanism]:
    """Yield what may work, the best first: with copy-on-write, and by ourselves."""
    if sys.platform != "linux":
        return
    namespaces = Mechanism(name="namespaces", overlays=True)
    ours = replace(namespaces, user_namespace=True)
    for each in [namespaces, ours] if os.geteuid() == 0 else [ours]:
        yield each
    for each in [namespaces, ours] if os.geteuid() == 0 else [ours]:
        yield replace(each, overlays=False)
    if shutil.which("bwrap"):
        if _bubblewrap_overlays():
            yield Mechanism(name="bubblewrap", overlays=True)
        yield Mechanism(name="bubblewrap")


def _bubblewrap_overlays() -> bool:
    """Tell whether this bubblewrap knows overlays: since 0.11."""
    try:
        told = subprocess.run(
            ["bwrap", "--help"], capture_output=True, check=False, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"--overlay-src" in told.stdout + told.stderr


def _problem(candidate: Mechanism, home: Path) -> str | None:
    """Make a boundary in which nothing happens; return what went wrong."""
    beside = next(folder for folder in (home, *home.parents) if folder.is_dir())
    try:
        with tempfile.TemporaryDirectory(
            prefix=".boundary-", dir=beside, ignore_cleanup_errors=True
        ) as folder:
            return _tried(candidate, Path(folder))
    except OSError as error:
        return f"{candidate.name}: {error}"


def _tried(candidate: Mechanism, folder: Path) -> str | None:
    scratch, lower, ml = folder / "scratch", folder / "lower", folder / "ml"
    for each in (scratch, lower, ml / "input"):
        each.mkdir(parents=True)
    steps: list[Step] = View(scratch=scratch, whippet_home=folder).steps()
    if candidate.overlays:
        steps.append(overlay([lower], scratch / "overlay", "/opt/ml/input"))
    command, problem = candidate.command(["/bin/sh", "-c", ":"], steps, cwd="/opt", scratch=scratch)
    try:
        done = subprocess.run(
            command,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"{candidate.name}: no answer within {_PROBE_SECONDS:g} seconds"
    if done.returncode == 0:
        return None
    words = problem.read_text("utf-8") if problem.exists() else ""
    stderr = done.stderr.decode(errors="replace").strip()[-300:]
    return f"{candidate.name}: {words or stderr or f'exit code {done.returncode}'}"
