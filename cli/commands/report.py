"""``whippet report``: render a run's report again from the files in its folder, and show it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import open_page, say
from platforms.errors import ParameterError

if TYPE_CHECKING:
    from platforms import Settings

HELP = "write a run's report again"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", nargs="?", default="latest", help="name of the run (default latest)")
    parser.add_argument("--pdf", action="store_true", help="as report.pdf too, by Chromium")
    parser.add_argument("--open", action="store_true", help="show it in a browser")


def command(arguments: argparse.Namespace) -> int:
    """Write the report of a run; print where it is, as PDF too when asked."""
    from platforms import Settings
    from tasks.report.content import write_run_report
    from tasks.report.pdf import print_pdf
    from tasks.runs.record import PDF_FILE, read_run

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
        say(f"{pdf} belonged to the previous report and was removed: --pdf prints a new one")
    if arguments.open:
        open_page(page.as_uri())
    return 0


def _folder(settings: Settings, run: str) -> Path:
    from tasks.runs.names import folder_name
    from tasks.runs.record import run_folder

    name = run if run == "latest" else folder_name(run)
    folder = run_folder(settings, name)
    if not (folder / "run.json").is_file():
        runs = ", ".join(sorted(path.name for path in settings.runs.glob("[!.]*")))
        known = f"the runs are {runs}" if runs else "there are no runs yet"
        raise ParameterError(f"there is no run {run!r} in {settings.runs}: {known}")
    return folder.resolve()


def _browser(settings: Settings) -> Path:
    from tasks.report.pdf import PROGRAMS, PdfError, find_chromium

    browser = find_chromium(settings.chromium)
    if browser is None:
        raise PdfError(
            f"a PDF needs one of {', '.join(PROGRAMS)} on PATH: install one, set WHIPPET_CHROMIUM "
            f"to its path, or print the page from your browser"
        )
    return browser
