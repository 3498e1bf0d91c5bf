"""What the documents promise exists: links, folders, options, and the changelog's form."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.options.commands import build_parser
from tests.sources import ROOT, relative, tracked

DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
# A link or picture of Markdown that leads to a file, not to the web or within the page.
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:\.venv/bin/|`|^|\s)whippet ([a-z][a-z-]*)((?:[ \t]+[^\n`#|]*)?)", re.M)
# What Keep a Changelog 1.1.0 calls the kinds of change.
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_links_lead_to_files_that_are_there():
    found, broken = 0, []
    for path in DOCUMENTS:
        for target in LINK.findall(path.read_text("utf-8")):
            found += 1
            if not (path.parent / target).exists():
                broken.append(f"{relative(path)}: {target}")
    assert found > 10
    assert not broken


def test_the_readmes_tree_is_the_tree():
    (block,) = re.findall(r"## The tree\n+```\n(.*?)```", _readme(), re.S)
    named = {Path(word) for word in re.findall(r"(?:^|\s)([a-z_]+)/(?=[\s,])", block, re.M)}
    assert len(named) > 8
    assert not [str(path) for path in named if not (ROOT / path).is_dir()]
    folders = {
        path.relative_to(ROOT).parts[0]
        for path in tracked()
        if len(path.relative_to(ROOT).parts) > 1
    }
    assert {name for name in folders if not name.startswith(".")} == {str(p) for p in named}


def test_the_readme_has_one_command_for_the_main_job_and_one_for_the_tests():
    sections = dict(re.findall(r"^## (.*?)\n+```sh\n(.*?)```", _readme(), re.S | re.M))
    assert sections["Run it"].strip() == "make demo"
    assert sections["Test it"].strip() == "make test"
    assert "WHIPPET_PLATFORM=aws" in sections["Run it on AWS"]


def _readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def _commands() -> Iterator[tuple[str, str, list[str]]]:
    """Yield document, command and options of every `whippet …` line of the documents."""
    for path in DOCUMENTS:
        text = path.read_text("utf-8").replace("\\\n", " ")
        for name, rest in COMMAND.findall(text):
            options = re.findall(r"(?<![\w-])(--[a-z][a-z0-9-]*)", rest)
            if options:
                yield relative(path), name, options


def test_options_that_documents_name_exist():
    (commands,) = [action for action in build_parser()._actions if action.choices]
    found = list(_commands())
    assert len(found) > 10
    unknown = [
        f"{where}: whippet {name} {option}"
        for where, name, options in found
        if name in commands.choices
        for option in options
        if option not in commands.choices[name]._option_string_actions
    ]
    assert not unknown


def test_the_changelog_keeps_the_form():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert text.startswith("# Changelog\n")
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    dated = re.compile(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d")
    assert not [each for each in versions[1:] if not dated.fullmatch(each)]
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= KINDS


@pytest.mark.parametrize("line", ["make demo", "make down", "make test", "make check"])
def test_the_makefile_has_what_the_readme_names(line):
    assert line in _readme()
    target = shlex.split(line)[1]
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text("utf-8"), re.M)
