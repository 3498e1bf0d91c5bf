"""What documents tell people to type exists and is understood."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from functools import cache

import pytest

from cli.parser import build_parser
from tasks.parameters.run import ModelParameters
from tests.documents.reading import DOCUMENTS, README, Call, calls, mentions
from tests.sources import ROOT, relative

MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))


@cache
def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = [action for action in build_parser()._actions if action.choices]
    assert isinstance(action.choices, dict)
    return action.choices


def test_calls_are_found() -> None:
    documents = {call.document for call in calls("whippet")}
    assert {"README.md", "docs/aws.md", "docs/costs.md", "docs/serving.md"} <= documents
    assert len(calls("whippet", "README.md")) >= 9
    assert len(calls("prefect", "README.md")) == 1
    assert [call.arguments for call in calls("make", "README.md")] == [["demo"], ["test"]]


@pytest.mark.parametrize("call", calls("whippet"), ids=str)
def test_every_call_is_understood(call: Call) -> None:
    assert build_parser().parse_args(call.arguments).command


def test_commands_that_are_named_exist() -> None:
    named = [mention for mention in mentions() if mention.marked]
    assert len(named) > 50
    assert not [mention for mention in named if mention.command not in commands()]


def test_options_that_are_named_exist() -> None:
    known = commands()
    named = [mention for mention in mentions() if mention.options]
    assert len(named) > 10
    unknown = [
        (mention, option)
        for mention in named
        if mention.command in known
        for option in mention.options
        if option not in known[mention.command]._option_string_actions
    ]
    assert not unknown


def test_make_targets_that_are_named_exist() -> None:
    named = {
        (relative(path), target)
        for path in DOCUMENTS
        for target in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", path.read_text("utf-8"), re.M)
    }
    assert len(named) > 10
    assert not [each for each in named if each[1] not in TARGETS]


def test_phony_targets_are_declared() -> None:
    phony = {
        name for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M) for name in line.split()
    }
    assert phony == TARGETS


def test_make_help_lists_the_targets_that_the_readme_names() -> None:
    helped = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed = {line.split()[0] for line in helped.stdout.splitlines()}
    named = set(re.findall(r"`make ([a-z-]+)", README))
    named |= {call.arguments[0] for call in calls("make", "README.md")}
    assert {"demo", "down", "test", "check"} <= named
    assert named <= listed


def test_demo_is_the_commands_own_words() -> None:
    (line,) = re.findall(r"^\t@\.venv/bin/whippet (run .*)\$\(DEMO\)$", MAKEFILE, re.M)
    options = build_parser().parse_args(shlex.split(line))
    assert (ROOT / options.data).is_dir()
    ModelParameters(architecture=options.model, image_size=options.image_size)


def test_every_variable_of_the_makefile_has_a_value() -> None:
    """An unset one is empty: a target that names its tests by it would run them all."""
    used = set(re.findall(r"\$\(([A-Z_]+)\b", MAKEFILE))
    given = set(re.findall(r"^([A-Z_]+) *[:?]?=", MAKEFILE, re.M))
    of_make = {"MAKE", "MAKECMDGOALS", "MAKELEVEL", "MAKEFILE_LIST", "MAKE_TERMOUT"}
    assert used - given - of_make <= {"DEMO"}
    assert "OPERATION_TESTS" in used & given
