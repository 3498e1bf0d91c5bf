"""Print a page to PDF with a headless Chromium, if this machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from platforms.errors import WhippetError
from platforms.files import replacing
from platforms.processes.alone import Surroundings, run_alone
from platforms.processes.environment import allowed_environment

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_PROGRAM = Path("none")
SECONDS = 120.0
_VARIABLES = ("FONTCONFIG_PATH", "FONTCONFIG_FILE")
# The page draws its figures after it has loaded; this much of the browser's own time is enough.
_DRAWING_MS = 30_000
# As wide as the style sheet's A4 page between its margins, and what the screen has beside a figure:
# figures start at the width of paper, and none is drawn twice.
_WINDOW = "784,1000"


class PdfError(WhippetError):
    """Raised when a page could not be printed; says why and what to do."""


def find_chromium(program: Path | None = None) -> Path | None:
    """Return the browser that prints: ``program``, or the first known one on PATH, or None.

    A ``program`` called ``none`` stands for no browser, wherever there is one.

    Raises:
        PdfError: ``program`` is given and there is no such program.
    """
    if program == NO_PROGRAM:
        return None
    if program is not None:
        path = shutil.which(program)
        if path is None:
            raise PdfError(
                f"WHIPPET_CHROMIUM={str(program)!r} is not a program: set it to the path of a "
                f"Chromium or Chrome, to none, or unset it"
            )
        return Path(path)
    names = (shutil.which(name) for name in PROGRAMS)
    return next((Path(name) for name in names if name), None)


def print_pdf(page: Path, target: Path, chromium: Path, *, seconds: float = SECONDS) -> int:
    """Print the HTML file ``page`` to ``target``, atomically; return the PDF's size in bytes.

    Raises:
        PdfError: the browser failed, took longer than ``seconds``, or wrote no PDF.
    """
    temporary = tempfile.TemporaryDirectory(prefix="whippet-pdf-")
    with temporary as profile, replacing(target) as fresh:
        _run(_command(chromium, page, fresh, Path(profile)), seconds)
        if not fresh.is_file() or fresh.read_bytes()[:5] != b"%PDF-":
            raise PdfError(
                f"{chromium} did not write a PDF of {page}: print the page from a browser"
            )
        return fresh.stat().st_size


def _command(chromium: Path, page: Path, target: Path, profile: Path) -> list[str]:
    return [
        str(chromium),
        "--headless",
        "--disable-gpu",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-pdf-header-footer",
        # Chromium's sandbox refuses to work for root, as in a container.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        f"--user-data-dir={profile}",
        f"--window-size={_WINDOW}",
        f"--virtual-time-budget={_DRAWING_MS}",
        f"--print-to-pdf={target}",
        page.resolve().as_uri(),
    ]


def _run(command: list[str], seconds: float) -> None:
    surroundings = Surroundings(environment=allowed_environment(os.environ, *_VARIABLES))
    try:
        finished = run_alone(command, surroundings, seconds=seconds)
    except subprocess.TimeoutExpired as error:
        raise PdfError(
            f"{command[0]} took longer than {seconds:.0f} s to print: print the page from a browser"
        ) from error
    except OSError as error:
        raise PdfError(f"{command[0]} cannot be started: {error}") from error
    if finished.status != 0:
        last = " ".join(finished.stderr.split())[-300:]
        raise PdfError(f"{command[0]} failed with exit code {finished.status}: {last}")
