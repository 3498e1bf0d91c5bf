"""``whippet data``: check a folder of pictures, and ask a network about them."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.options import add_options as add_rows
from cli.options import known_network
from cli.table import print_table
from tasks.parameters.options import RUN_OPTIONS, RUN_SECTIONS

if TYPE_CHECKING:
    from dashboards.files.pictures import PictureFindings
    from platforms import Platform
    from tasks.dataset.checking.check import DataCheck
    from tasks.parameters.data import DataParameters

HELP = "check a folder of pictures: files, splits, wrong labels, look-alikes, what more would bring"
_MODEL = "mobilenet_v2"
_ROWS = 15
_SAY_SECONDS = 2.0
# Of a data set in the bucket.
_OTHERS = ("--data", "--delete-removed")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("data", metavar="DIR", help="folder of images, or s3://bucket/prefix/")
    rows = [row for section in RUN_SECTIONS.values() for row in section]
    ours = [row for row in rows if row.parameters.startswith("data.") and row.flag not in _OTHERS]
    add_rows(parser, [row for row in ours if row.flag != "--seed"])
    parser.add_argument("--seed", type=int, metavar="SEED", help="of the split (default: 0)")
    parser.add_argument(
        "--model",
        default=_MODEL,
        help="the network that looks, with ImageNet weights (default: %(default)s)",
    )
    parser.add_argument(
        "--no-look",
        action="store_true",
        help="check files and splits only: no network looks at the pictures",
    )


def command(arguments: argparse.Namespace) -> int:
    """Print what was found, and write it as a page; a check without a network works as well."""
    from platforms import connect
    from platforms.errors import WhippetError
    from sm_entrypoints.contract.sentences import ended

    parameters = _parameters(arguments)
    known_network(arguments.model)
    platform = connect()
    check = _check(platform, parameters)
    _print_check(check)
    found = None
    folder = platform.settings.home / "data-check" / check.name
    if not arguments.no_look:
        try:
            found = _examined(platform, check, folder, arguments.model)
            _print_findings(found)
        except WhippetError as error:
            print(f"No network looked at the pictures: {ended(error)}", file=sys.stderr)
    if found is None:
        from dashboards.sections.run import COPIES

        print(COPIES)
    print(f"page: {_write_page(folder, check, found)}")
    return 0


def _parameters(arguments: argparse.Namespace) -> DataParameters:
    from tasks.parameters.command_line import parameters_of
    from tasks.parameters.data import DataParameters

    given = {**vars(arguments), "delete_removed": None}
    rows = [row for row in RUN_OPTIONS if row.parameters.startswith("data.")]
    return DataParameters.model_validate(parameters_of(rows, given)["data"])


def _check(platform: Platform, parameters: DataParameters) -> DataCheck:
    from dataclasses import replace

    from platforms.errors import shown
    from tasks.dataset.checking.check import check_data
    from tasks.dataset.checking.memory import open_memory
    from tasks.dataset.findings import DataProblems
    from tasks.dataset.source import (
        bring_source,
        data_root,
        default_name,
        is_remote,
        require_folder,
    )

    home = platform.settings.home
    if is_remote(parameters.path):
        root = bring_source(platform, parameters.path)
    else:
        require_folder(parameters.path, parameters.shown_path)
        root = data_root(parameters.path)
    line = _Line()
    try:
        check = check_data(
            root,
            parameters.reading(),
            progress=lambda done, total: line(f"read {done:,} of {total:,} files"),
            remembered=open_memory(home / "data-check", root),
        )
    except DataProblems as error:
        problems = home / "data-check" / "problems.txt"
        raise error.listed_in(problems, shown(parameters.shown_path)) from error
    return replace(check, name=parameters.name or default_name(parameters.path))


def _examined(platform: Platform, check: DataCheck, folder: Path, model: str) -> PictureFindings:
    from tasks.examination.examine import examine

    return examine(platform, check, folder / "findings", model=model, progress=_Line(every=0.0))


class _Line:
    """Says on stderr how far it is, every two seconds at most."""

    def __init__(self, every: float = _SAY_SECONDS) -> None:
        self._every, self._said = every, time.monotonic()

    def __call__(self, sentence: str) -> None:
        """Say it, or not yet."""
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            print(f"… {sentence}", file=sys.stderr, flush=True)


def _print_check(check: DataCheck) -> None:
    document = check.document()
    splits = document.splits
    rows = [
        {
            "class": label,
            **{split: f"{part.per_class.get(label, 0):,}" for split, part in splits.items()},
        }
        for label in document.classes
    ]
    rows.append({"class": "all", **{split: f"{part.images:,}" for split, part in splits.items()}})
    print_table(rows, empty="")
    for each in document.warnings:
        print(f"- {each.message}")


def _print_findings(found: PictureFindings) -> None:
    from tasks.report.pictures import class_rows, sentences, wrong_rows

    document = found.document
    print()
    for sentence in sentences(document):
        print(sentence)
    for rows in (wrong_rows(document, _ROWS), class_rows(document)):
        if rows:
            print()
            print_table(
                [{name: str(value) for name, value in row.items()} for row in rows], empty=""
            )
    print()


def _write_page(folder: Path, check: DataCheck, found: PictureFindings | None) -> Path:
    from dashboards.page.page import render_page
    from dashboards.sections.pictures import pictures_section
    from dashboards.sections.run import data_section
    from sm_entrypoints.contract.files import write_text

    sections = [data_section(check.document().as_json())]
    if found is not None:
        sections.append(pictures_section(found))
    page = render_page(
        title="Data",
        subtitle=check.name,
        footer="Written by whippet data. This page is self-contained.",
        sections=sections,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "data.html"
    write_text(path, page)
    return path
