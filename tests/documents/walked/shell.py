"""A person's shell in a project's folder: what one command exports, the next ones have."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.sources import ROOT
from tests.worlds.waiting import wait_for

_PASSED_ON = ("LANG", "TMPDIR", "SSL_CERT_FILE")
# What later commands have: settings, a sourced file, an activated environment.
_KEPT = re.compile(r"^(export |\. )|&& \. ")
_SERVES = re.compile(r"\bwhippet (ui|api)\b")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_NEITHER = ("ui-screenshots",)


def project(folder: Path) -> Path:
    """Make a folder that has what a checkout has, and a home of its own."""
    folder.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in _NEITHER and (path.name[0] != "." or path.name.startswith(".venv")):
            (folder / path.name).symlink_to(path)
    return folder


@dataclass(kw_only=True)
class Shell:
    """A shell in a folder. A command that takes longer than ``seconds`` is given up."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()
    seconds: float = 900
    before: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """All that a command has of us."""
        path = [self.folder / ".venv/bin", *self.programs, *os.environ["PATH"].split(":")]
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            **kept,
            "PATH": ":".join(map(str, path)),
            "HOME": str(self.folder),
            # Relative paths are the project's, whose modules are elsewhere.
            "WHIPPET_HOME": str(self.folder / ".whippet"),
            "PYTHONUNBUFFERED": "1",
            "WHIPPET_CHROMIUM": "none",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            **self.variables,
        }

    def run(self, line: str, stdin: str = "") -> str:
        """Run a command to its good end; return what it printed."""
        started = time.monotonic()
        found = subprocess.run(
            ["sh", "-euc", "\n".join([*self.before, line])],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=self.seconds,
            start_new_session=True,
        )
        print(f"$ {line}  ({time.monotonic() - started:.0f} s)")
        said = f"{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
        if found.returncode != 0:
            print(said)  # now: the other pages take minutes
        assert found.returncode == 0, said
        if _KEPT.search(line):
            self.before.append(line)
        return found.stdout

    def serve(self, line: str) -> str:
        """Run a command that serves until it is told to end; return its first page."""
        process = subprocess.Popen(
            ["sh", "-euc", "\n".join([*self.before, f"exec {line} --port 0"])],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            told = process.stdout.readline()
            found = _ADDRESS.search(told)
            assert found, told
            url = found[0]
            print(f"$ {line}")
            look = lambda: httpx.get(url, trust_env=False, timeout=60)  # noqa: E731
            return wait_for(look, "answer").text
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()

    def do(self, line: str, stdin: str = "") -> str:
        """Run a command, whichever kind it is of; return what it printed, or served."""
        return self.serve(line) if _SERVES.search(line) else self.run(line, stdin)
