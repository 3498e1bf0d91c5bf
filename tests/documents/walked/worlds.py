"""Which walk a command belongs to, and what stands for the placeholders in it.

A command runs as it is written, but for three things: a placeholder (``DIR``, ``RUN``) becomes a
real one; a network whose weights are no package becomes one whose weights are; and a training is
made small.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.documents.not_run import NOT_RUN
from tests.documents.reading import Command, commands

# After the modules of their tests.
TUTORIAL, LOCAL, AWS = WORLDS = "tutorial", "pages", "aws"
_AWS_PAGES = ("docs/aws.md", "docs/permissions.md", "docs/api.md")
_EXCUSED = {(each.document, each.line) for each in NOT_RUN}
# What takes minutes, and is typed on an earlier page.
_TYPED_BEFORE = {("README.md", "make demo")}
# Without a network there are weights for these two only.
_NETWORKS = (("mobilenet_v2,resnet18,convnext_tiny", "mobilenet_v2,squeezenet1_1"),)
_ANY_NETWORK = re.compile(r"(--model )resnet18\b")
_SMALL = "--image-size 32 --max-jobs 2 --max-epochs 1"
_TRAINS = re.compile(r"\bwhippet run (?!.*--resume)")
_ASKS = re.compile(r"\bwhippet clean-up\b")


def world_of(command: Command) -> str:
    """Return the walk that runs a command."""
    if command.document == "docs/tutorial.md":
        return TUTORIAL
    on_aws = command.document in _AWS_PAGES or command.section == "Run it on AWS"
    return AWS if on_aws else LOCAL


def walked(world: str, document: str) -> list[Command]:
    """Return the commands of a document that a walk runs, in their order."""
    return [
        each
        for each in commands()
        if world_of(each) == world
        and each.document == document
        and (each.document, each.line) not in _EXCUSED
        and (each.document, each.line) not in _TYPED_BEFORE
    ]


def documents_of(world: str) -> list[str]:
    """Return the documents that a walk reads."""
    names = dict.fromkeys(each.document for each in commands() if world_of(each) == world)
    return [name for name in names if walked(world, name)]


def typed(line: str, words: Mapping[str, str]) -> str:
    """Return a command as somebody types it: ``words`` by placeholder, a training made small."""
    for written, meant in words.items():
        placeholder = re.compile(rf"(?<![\w./-]){re.escape(written)}(?![\w-])")
        line = meant.join(placeholder.split(line))
    for written, meant in _NETWORKS:
        line = line.replace(written, meant)
    line = _ANY_NETWORK.sub(r"\1mobilenet_v2", line)
    if _TRAINS.search(line):
        model = "" if "--model" in line else " --model mobilenet_v2"
        line = f"{line}{model} {_SMALL}"
    if _ASKS.search(line):
        line += " --yes"
    return line
