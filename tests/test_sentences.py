"""No doubled full stops: a sentence made of another one's text is made by `sentences`."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from platforms.aws.account import credentials_error
from platforms.errors import WhippetError
from sm_entrypoints.contract.sentences import (
    clause,
    counted,
    did_you_mean,
    ended,
    joined,
    nearest,
)
from tasks.requests.training import require_completed
from tests.house import walked
from tests.punctuation import doubled
from tests.sources import SOURCES, Function, nodes, relative, tree

# What is said, by somebody who may have ended it: errors are told from how they are bound.
_SAYS = re.compile(
    r"error|exception|said|reason|\bwhy|problem|message|sentence|advice|hint|failure|outcome"
    r"|details|\bgain\b|\btold\b|recommendation|description|describe",
    re.IGNORECASE,
)
# What follows a text in a sentence that goes on, and would stand behind its full stop.
_GOES_ON = re.compile(r"[.;,:](?:\s|$|\")|\)(?:[.;,:]|$)")
_MADE = {"clause", "ended", "joined", "_sentence"}
_JUSTIFIED = {
    "problem.code": "a name, such as ValidationException",
    "contract.OBJECTIVE_METRIC": "a name",
}
# Runs in a stranger's script before anything of ours can be imported.
_ALONE = "sm_entrypoints/zero_code/"


@pytest.mark.parametrize(
    ("said", "alone", "going_on"),
    [
        ("it broke", "it broke.", "it broke"),
        ("It broke.", "It broke.", "It broke"),
        ("It broke..", "It broke.", "It broke"),
        ("It broke. \n", "It broke.", "It broke"),
        ("It broke;", "It broke.", "It broke"),
        ("Did it break?", "Did it break?", "Did it break?"),
        ("It broke!", "It broke!", "It broke!"),
        ("and so on…", "and so on…", "and so on…"),
        ("and so on...", "and so on...", "and so on..."),
        ("It said:", "It said:", "It said"),
        ("it broke (twice)", "it broke (twice).", "it broke (twice)"),
        (ValueError("a sentence."), "a sentence.", "a sentence"),
        ("look in ../data", "look in ../data.", "look in ../data"),
        ("", "", ""),
    ],
)
def test_a_sentence_ends_once(said: object, alone: str, going_on: str) -> None:
    assert ended(said) == alone
    assert ended(ended(said)) == alone
    assert clause(said) == going_on


def test_sentences_are_joined_by_one_mark_and_one_space() -> None:
    assert joined("it broke", "Was it you?", "", "Repair it.") == "it broke. Was it you? Repair it."
    assert joined(OSError("No space left."), "Make room") == "No space left. Make room."
    assert joined() == ""


_ENDINGS = ("", ".", "..", "...", "…", "?", "!", ":", ";", ". ", ".\n", ": see x.")


@pytest.mark.parametrize("ending", _ENDINGS)
def test_what_others_said_is_told_without_doubled_marks(ending: str) -> None:
    for text in _told(f"the thing broke{ending}"):
        assert doubled(text) == []
        assert "thing broke" in text


def _told(said: str) -> Iterator[str]:
    """Yield real messages about something that said ``said``."""
    reason = {"TrainingJobName": "j", "TrainingJobStatus": "Failed", "FailureReason": said}
    with pytest.raises(WhippetError) as caught:
        require_completed(reason)
    yield str(caught.value)
    for code in ("ExpiredToken", "InvalidClientTokenId", "Other"):
        error = ClientError({"Error": {"Code": code, "Message": said}}, "GetCallerIdentity")
        yield str(credentials_error(error, "eu-west-1"))


def test_counted_things_agree_with_their_number() -> None:
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert counted(1200, "class", "classes") == "1,200 classes"


def test_what_may_have_been_meant_is_found_in_any_case() -> None:
    known = ["DeadRelu", "ExplodingTensor", "VanishingGradient"]
    assert nearest("deadrelu", known) == ["DeadRelu"]
    assert nearest("explodin", known, cutoff=0.8) == []
    assert nearest("explodin", known, cutoff=0.5) == ["ExplodingTensor"]
    assert nearest("resnet81", ["resnet18", "resnet101", "vgg11"], most=2) == [
        "resnet18",
        "resnet101",
    ]
    assert did_you_mean(["lr"]) == "did you mean 'lr'?"
    assert did_you_mean(["a", "b"], str) == "did you mean a or b?"
    assert did_you_mean([]) == ""


def test_one_module_knows_what_is_near() -> None:
    users = [relative(path) for path in SOURCES if "get_close_matches" in path.read_text("utf-8")]
    assert users == ["sm_entrypoints/contract/sentences.py"]


def test_no_part_of_a_message_is_left_on_a_line_of_its_own() -> None:
    loose = [
        f"{relative(path)}:{node.lineno}"
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.JoinedStr)
    ]
    assert loose == []


def test_no_full_stop_is_written_behind_what_somebody_else_said() -> None:
    found = [
        f"{relative(path)}:{line}: {what}: use sentences.ended, joined or clause"
        for path in SOURCES
        if not relative(path).startswith(_ALONE)
        for line, what in _written_behind(tree(path))
    ]
    assert not found, "\n".join(found)


def test_the_check_finds_the_kind() -> None:
    doubled = {
        'try: ...\nexcept OSError as e:\n    raise X(f"not read: {e}. Try again") from e': "e",
        "say(f\"{job.get('FailureReason')}.\")": "FailureReason",
        'say(f"broken ({found.reason}); {advice}")': "found.reason",
        'hint = "Do this."\nsay(f"{hint}. And that")': "hint",
        'text = str(thing).rstrip(".")': "rstrip",
        'say(reason + ". Do this")': "reason",
    }
    for source, part in doubled.items():
        found = list(_written_behind(ast.parse(source)))
        assert len(found) == 1, (source, found)
        assert part in found[0][1]
    fine = ['f"{ended(error)} Try again"', 'f"{name}. Try again"', 'f"{error}"', 'path.strip(".")']
    assert [list(_written_behind(ast.parse(source))) for source in fine] == [[]] * len(fine)


def _written_behind(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the lines where a mark is put behind a text that may have its own."""
    functions = [each for each in walked(tree) if isinstance(each, Function)]
    scopes = functions or [tree]  # samples of this test have none
    yield from sorted({found for scope in scopes for found in _in_scope(scope)})


def _in_scope(tree: ast.AST) -> Iterator[tuple[int, str]]:
    said = _names(tree)
    for node in walked(tree):
        if isinstance(node, ast.JoinedStr):
            yield from _in_format(node, said)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            if _says(node.left, said) and _is_mark(node.right):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and _strips_the_stop(node):
            yield node.lineno, ast.unparse(node)


def _strips_the_stop(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "rstrip":
        return False
    return ast.unparse(node).endswith(".rstrip('.')")


def _in_format(node: ast.JoinedStr, said: _Names) -> Iterator[tuple[int, str]]:
    for value, behind in zip(node.values, node.values[1:], strict=False):
        if not isinstance(value, ast.FormattedValue) or value.conversion == ord("r"):
            continue
        if _is_mark(behind) and _says(value.value, said):
            yield value.lineno, f"{{{ast.unparse(value.value)}}}{ast.literal_eval(behind)[:20]}"


def _is_mark(node: ast.AST) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and bool(_GOES_ON.match(text))


def _says(node: ast.expr, said: _Names) -> bool:
    """Whether an expression is what somebody said, and not made one sentence by ours."""
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    text = ast.unparse(node)
    if names & _MADE or text in _JUSTIFIED or text.endswith(".__name__"):
        return False
    if isinstance(node, ast.Name) and node.id in said.ours:
        return False
    return bool(names & said.others) or bool(_SAYS.search(text))


@dataclass
class _Names:
    """What a module's names stand for: what others said, and unended texts of its own."""

    others: set[str] = field(default_factory=set)
    ours: set[str] = field(default_factory=set)


def _names(tree: ast.AST) -> _Names:
    found = _Names()
    texts: dict[str, list[ast.expr]] = defaultdict(list)
    for node in walked(tree):
        if isinstance(node, ast.ExceptHandler) and node.name:
            found.others.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            texts[node.targets[0].id].append(node.value)
        elif isinstance(node, ast.arg):
            texts[node.arg].append(node.annotation or ast.Constant(None))
    for name, values in texts.items():
        ends = [end for value in values for end in _ends(value)]
        if any(end is not None and re.search(r"[.?!…]$", end) for end in ends):
            found.others.add(name)
        elif None not in ends:
            found.ours.add(name)
    return found


def _ends(node: ast.expr) -> Iterator[str | None]:
    """Yield how the texts end that an expression may be; None where that is not written here."""
    if isinstance(node, ast.IfExp):
        yield from (end for each in (node.body, node.orelse) for end in _ends(each))
    elif isinstance(node, ast.JoinedStr):
        yield from _ends(node.values[-1])
    elif isinstance(node, ast.FormattedValue):
        yield None if _SAYS.search(ast.unparse(node.value)) else ""
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "clause":
        yield ""
    else:
        text = node.value if isinstance(node, ast.Constant) else None
        yield text if isinstance(text, str) else None
