"""The parts of the jobs' interpreter, and where it finds its packages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from platforms.errors import WhippetError
from platforms.local.records import write_json
from platforms.processes.alone import Surroundings, run_alone
from platforms.processes.environment import allowed_environment

_PROBE_SECONDS = 60.0
_PROBE = """
import json, os, sys, sysconfig
stdlib = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
inside = [path for path in sys.path if path and os.path.isdir(path)]
packages = [
    path for path in inside
    if os.path.realpath(path) not in stdlib and os.path.basename(path) != "lib-dynload"
]
managed = os.path.isfile(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
print(json.dumps({
    "executable": sys.executable,
    "base_executable": os.path.realpath(sys.executable),
    "prefix": sys.prefix,
    "base_prefix": sys.base_prefix,
    "purelib": sysconfig.get_path("purelib"),
    "scripts": sysconfig.get_path("scripts"),
    "packages": packages,
    "version": "%d.%d" % sys.version_info[:2],
    "managed": managed and sys.prefix == sys.base_prefix,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPython:
    """One interpreter; all paths as it tells them itself.

    Attributes:
        executable: what to run.
        base_executable: the program that this is, without symbolic links.
        packages: every folder that packages are imported from, in their order.
        managed: the system's package manager owns it: its pip refuses to install.
        identity: changes whenever something was installed or removed.
    """

    executable: str
    base_executable: str
    prefix: str
    base_prefix: str
    purelib: str
    scripts: str
    packages: tuple[str, ...]
    version: str
    managed: bool
    identity: str

    def keep(self) -> tuple[Path, ...]:
        """Return the paths that it does not run without."""
        names = (
            *(self.prefix, self.base_prefix, self.base_executable, *self.packages),
            self.executable,
        )
        return tuple(Path(name) for name in dict.fromkeys(names))

    @property
    def is_ours(self) -> bool:
        """Tell whether its pip may write where it installs to."""
        return not self.managed and all(
            os.access(each, os.W_OK) for each in (self.purelib, self.scripts)
        )


def job_python(executable: Path, cache: Path) -> JobPython:
    """Ask an interpreter about itself; its answer is kept in ``cache`` until it changes.

    Raises:
        WhippetError: it does not run, or does not say.
    """
    key = hashlib.sha256(os.fsencode(executable)).hexdigest()[:16]
    file = cache / f"{key}.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["identity"] == _identity(kept):
            return _read(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # Not asked yet, or by another version of ours.
    answer = _asked(executable)
    answer["identity"] = _identity(answer)
    cache.mkdir(parents=True, exist_ok=True)
    write_json(file, answer)
    return _read(answer)


def _read(found: dict[str, Any]) -> JobPython:
    return JobPython(**{**found, "packages": tuple(found["packages"])})


def _asked(executable: Path) -> dict[str, Any]:
    surroundings = Surroundings(
        environment=allowed_environment(os.environ), cwd=Path("/"), own_session=False
    )
    try:
        answer = run_alone([str(executable), "-c", _PROBE], surroundings, seconds=_PROBE_SECONDS)
        if answer.status != 0:
            words = answer.stderr.strip()[-500:]
            raise WhippetError(f"the job environment's {executable} does not run: {words}")
        facts: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise WhippetError(f"the job environment's {executable} does not run: {error}") from error
    with executable.open("rb") as file:
        if file.read(2) == b"#!":  # A script that sets something up, and then becomes Python.
            facts["executable"] = str(executable)
    return facts


def _identity(found: dict[str, Any]) -> str:
    """Return a digest of the folders and links that change when a package is installed or
    removed."""
    parts = [found["executable"], found["base_executable"], found["version"]]
    for path in _stamped(found):
        try:
            parts.append(f"{path} {path.stat().st_mtime_ns}")
        except OSError:
            parts.append(f"{path} -")
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


def _stamped(found: dict[str, Any]) -> Iterator[Path]:
    yield Path(found["base_executable"])
    yield Path(found["prefix"], "pyvenv.cfg")
    yield Path(found["scripts"])
    yield from (Path(path) for path in found["packages"])


def described(python: JobPython) -> dict[str, Any]:
    """Return all that is known of an interpreter as JSON values."""
    return asdict(python)
