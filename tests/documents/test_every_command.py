"""Each command in a shell block of a document is run by a test, or says why not.

The tests in `walked` (``make test-aws``) take the commands from the documents, so a new one is run
without anybody's doing. Here is checked that none is hidden from them.
"""

from __future__ import annotations

import re

import pytest

from tests.documents.not_run import NOT_RUN
from tests.documents.reading import DOCUMENTS, calls, commands, fences, text_of
from tests.documents.walked.worlds import WORLDS, documents_of, walked
from tests.sources import ROOT, relative

LANGUAGES = {"sh", "text", "mermaid"}
_COMMAND = re.compile(
    r"^(\$ )?(sudo |\.venv(-job)?/bin/)?(whippet|prefect|make|aws|docker|python|pip|curl|git) "
)


def test_commands_are_found_with_their_titles() -> None:
    found = commands()
    assert len(found) > 120
    assert "README.md: make demo" in map(str, found)
    titles = {each.section for each in found if each.document == "docs/operate.md"}
    assert {"One command", "PostgreSQL", "Who is told"} <= titles


def test_every_command_is_walked_or_excused() -> None:
    excused = {(each.document, each.line) for each in NOT_RUN}
    run = {
        command
        for world in WORLDS
        for page in documents_of(world)
        for command in walked(world, page)
    }
    left = {each for each in commands() if (each.document, each.line) not in excused} - run
    assert {each.line for each in left} <= {each.line for each in run}  # on another page
    assert run <= set(commands())
    assert len(left) <= 1
    folder = ROOT / "tests" / "documents" / "walked"
    assert {f"test_{world}.py" for world in WORLDS} == {each.name for each in folder.glob("test_*")}
    # The tutorial's walk is older, and takes the calls of one program.
    assert documents_of("tutorial") == ["docs/tutorial.md"]
    tutorial = walked("tutorial", "docs/tutorial.md")
    assert len(calls("whippet", "docs/tutorial.md")) == len(tutorial)


@pytest.mark.parametrize("excused", NOT_RUN, ids=lambda each: each.line)
def test_what_is_not_run_is_still_there_and_says_why(excused) -> None:
    assert (excused.document, excused.line) in {(each.document, each.line) for each in commands()}
    assert len(excused.reason.split()) > 4


def test_few_are_excused() -> None:
    assert len(NOT_RUN) <= 10


def test_no_command_hides_from_the_tests() -> None:
    """In a block of another language, or indented."""
    assert {each.language for each in fences()} <= LANGUAGES
    hidden = [
        (each.document, line)
        for each in fences()
        if each.language == "text"
        for line in each.lines
        if _COMMAND.match(line)
    ]
    assert not hidden
    for page in DOCUMENTS:
        indented = re.findall(r"^\n {4}(\S.*)$", text_of(page), re.M)
        assert not [line for line in indented if _COMMAND.match(line)], relative(page)
