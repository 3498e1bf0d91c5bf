"""What the pages of docs/ tell people to type is understood, and what they link to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli.options.commands import build_parser

DOCS = sorted((Path(__file__).resolve().parents[1] / "docs").glob("*.md"))


def commands() -> list[tuple[str, list[str]]]:
    """Return page and arguments of every call of `whippet` in a shell block."""
    found = []
    for page in DOCS:
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text("utf-8"), re.M | re.S)
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(" > ")[0], comments=True)
            if words and words[0].removeprefix(".venv/bin/") == "whippet":
                found.append((page.name, words[1:]))
    return found


def test_commands_are_found() -> None:
    assert {"aws.md", "costs.md", "permissions.md", "serving.md"} <= {
        page for page, _ in commands()
    }


@pytest.mark.parametrize(("page", "argv"), commands(), ids=lambda each: str(each))
def test_every_command_is_understood(page: str, argv: list[str]) -> None:
    assert build_parser().parse_args(argv).function, page


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        if file.startswith("http"):
            continue
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.M)
            slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in slugs, target
