"""``whippet report``: render a run's report again from the files in its folder, and show it."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from platforms import Settings
from platforms.errors import ParameterError
from tasks.report.content import write_run_report
from tasks.report.pdf import PROGRAMS, PdfError, find_chromium, print_pdf
from tasks.runs.names import folder_name
from tasks.runs.record import PDF_FILE, read_run, run_folder


def report(arguments: argparse.Namespace) -> int:
    """Write the report of a run; print where it is, as PDF too when asked."""
    settings = Settings()
    folder = _folder(settings, arguments.run)
    pdf = folder / PDF_FILE
    chromium = _browser(settings) if arguments.pdf else None
    page = write_run_report(folder, read_run(settings, folder.name))
    print(page)
    if chromium is not None:
        print_pdf(page, pdf, chromium)
        print(pdf)
    elif pdf.exists():
        pdf.unlink()
        print(
            f"{pdf} belonged to the previous report and was removed: --pdf prints a new one",
            file=sys.stderr,
        )
    if arguments.open and not webbrowser.open(page.as_uri()):
        print(f"no browser can be opened here: open {page.as_uri()} yourself", file=sys.stderr)
    return 0


def _folder(settings: Settings, run: str) -> Path:
    name = run if run == "latest" else folder_name(run)
    folder = run_folder(settings, name)
    if not (folder / "run.json").is_file():
        known = ", ".join(sorted(path.name for path in settings.runs.glob("[!.]*"))) or "none yet"
        raise ParameterError(f"there is no run {run!r} in {settings.runs}: runs are {known}")
    return folder.resolve()


def _browser(settings: Settings) -> Path:
    found = find_chromium(settings.chromium)
    if found is None:
        raise PdfError(
            f"a PDF needs one of {', '.join(PROGRAMS)} on PATH: install one, set WHIPPET_CHROMIUM "
            f"to its path, or print the page from your browser"
        )
    return found
