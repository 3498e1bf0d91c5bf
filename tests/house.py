"""The measures of the house: how folders, dependencies, lines and copies of an idea stand.

    python -m tests.house [REVISION]

prints those of a revision beside those of HEAD; without one, of the commit before every module
moved into the package of its noun. Needs git and the standard library only.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath

PACKAGES = ("cli", "flows", "tasks", "platforms", "dashboards", "sm_entrypoints")
MOVE = "move every module into the package of its noun"

Tree = Mapping[str, str]
Edges = Mapping[str, set[str]]


def read_tree(revision: str) -> Tree:
    """Return the product's Python files of a revision by path.

    Raises:
        SystemExit: git does not know the revision.
    """
    listed = _git("ls-tree", "-r", "--name-only", revision, "--", *PACKAGES)
    paths = [path for path in listed.splitlines() if path.endswith(".py")]
    asked = "".join(f"{revision}:{path}\n" for path in paths).encode()
    command = ["git", "cat-file", "--batch"]
    answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=True).stdout
    tree = {}
    for path in paths:
        head, _, answer = answer.partition(b"\n")
        size = int(head.split()[-1])
        tree[path], answer = answer[:size].decode(), answer[size + 1 :]
    return tree


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise SystemExit(f"git {arguments[0]} failed: {found.stderr.strip()}")
    return found.stdout


def module_name(path: str) -> str:
    """Return the dotted name of a module, or of a package for its ``__init__.py``."""
    return ".".join(PurePosixPath(path).with_suffix("").parts).removesuffix(".__init__")


@cache
def parsed(text: str) -> ast.Module:
    """Return the syntax tree of a module's text: many measures look at it."""
    return ast.parse(text)


@cache
def walked(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return every node of a module's tree, but for what says whether a name is read or set.

    As ``ast.walk`` does, in half its time: a million nodes are looked at.
    """
    found = [tree]
    for node in found:
        for value in vars(node).values():
            if isinstance(value, list):
                found += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                found.append(value)
    return tuple(found)


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a module imports: deferred, and for type checkers only, too."""
    for node in walked(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_edges(tree: Tree) -> dict[str, set[str]]:
    """Return which own modules each module imports."""
    modules = {module_name(path) for path in tree}
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for path, text in tree.items():
        for name in imported_names(parsed(text)):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module_name(path):
                edges[module_name(path)].add(target)
    return edges


def package_edges(tree: Tree) -> dict[str, set[str]]:
    """Return which packages each package imports; between parent and child nothing counts."""
    packages = {module_name(path) for path in tree if path.endswith("__init__.py")}

    def package_of(module: str) -> str:
        return module if module in packages else module.rpartition(".")[0]

    edges: dict[str, set[str]] = defaultdict(set)
    for module, targets in module_edges(tree).items():
        own = package_of(module)
        edges[own] |= {
            package_of(target) for target in targets if not _kin(own, package_of(target))
        }
    return dict(edges)


def _kin(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def cycles(edges: Edges) -> list[list[str]]:
    """Return every set of nodes that reach each other, sorted."""
    reach = {node: _reachable(edges, node) for node in edges}
    knots = {
        tuple(sorted(other for other in reach[node] if node in reach.get(other, ())))
        for node in edges
        if node in reach[node]
    }
    return [list(knot) for knot in sorted(knots)]


def _reachable(edges: Edges, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += edges.get(node, ())
    return seen


def levels(edges: Edges) -> int:
    """Return how many nodes the longest chain of imports has; a cycle counts as one."""
    knot_of = {node: knot[0] for knot in cycles(edges) for node in knot}
    folded: dict[str, set[str]] = defaultdict(set)
    for node, targets in edges.items():
        own = knot_of.get(node, node)
        folded[own] |= {knot_of.get(each, each) for each in targets} - {own}
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            heights[node] = 1 + max((height(each) for each in folded.get(node, ())), default=0)
        return heights[node]

    return max((height(node) for node in folded), default=0)


def _below(edges: Edges, package: str) -> dict[str, set[str]]:
    inside = {node for node in edges if node.split(".")[0] == package}
    return {node: edges[node] & inside for node in inside}


def _functions(tree: Tree) -> list[int]:
    nodes = (node for text in tree.values() for node in walked(parsed(text)))
    found = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted((node.end_lineno or 0) - node.lineno + 1 for node in found)


def folders(tree: Tree) -> Counter[str]:
    """Return how many Python files each folder holds."""
    return Counter(str(PurePosixPath(path).parent) for path in tree)


def _lines(tree: Tree, package: str = "") -> list[str]:
    return [
        line
        for path, text in tree.items()
        if path.startswith(package)
        for line in text.splitlines()
    ]


def _matching(tree: Tree, pattern: str) -> int:
    return sum(len(re.findall(pattern, text)) for text in tree.values())


def _modules_with(tree: Tree, *patterns: str) -> int:
    return sum(all(re.search(each, text) for each in patterns) for text in tree.values())


def _replacements(tree: Tree) -> int:
    """Count ``os.replace(a, b)`` and ``path.replace(b)``: texts are replaced with two arguments."""
    return sum(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "replace"
        and not node.keywords
        and (len(node.args) == 1 or ast.unparse(node.func.value) == "os")
        for text in tree.values()
        for node in walked(parsed(text))
    )


def _final_statuses(tree: Tree) -> int:
    """Count the literals that hold exactly SageMaker's three final statuses."""
    final = {"Completed", "Failed", "Stopped"}
    return sum(
        isinstance(node, ast.Tuple | ast.List | ast.Set)
        and len(node.elts) == len(final)
        and {getattr(each, "value", None) for each in node.elts} == final
        for text in tree.values()
        for node in walked(parsed(text))
    )


def measures(tree: Tree) -> dict[str, object]:
    """Return all measures of a tree by what they are."""
    counts, lengths = folders(tree), _functions(tree)
    between = package_edges(tree)
    found: dict[str, object] = {
        "files in the fullest folder": "{1} ({0})".format(*counts.most_common(1)[0]),
        "files in the median folder": statistics.median(counts.values()),
        "folders above 20 files": sum(count > 20 for count in counts.values()),
        "modules directly in tasks/": counts["tasks"],
        "packages of tasks, levels": levels(_below(between, "tasks")),
        "modules of tasks, levels": levels(_below(module_edges(tree), "tasks")),
        "cycles between packages": len(cycles(between)),
        "product files": len(tree),
        "product lines": len(_lines(tree)),
        "functions": len(lengths),
        "function length, median": statistics.median(lengths),
        "function length, p90": lengths[int(0.9 * len(lengths))],
        "functions above 50 lines": sum(length > 50 for length in lengths),
    }
    for package in PACKAGES:
        with_any = sum(bool(re.search(r"\bAny\b", line)) for line in _lines(tree, f"{package}/"))
        found[f"lines with Any in {package}"] = with_any
    return found | {name: count(tree) for name, count in COPIES.items()}


# What stood in several places (the review before the move): the fewer, the better.
COPIES: Mapping[str, Callable[[Tree], int]] = {
    "copies: did you mean": lambda tree: _matching(tree, r"get_close_matches\("),
    "copies: replace a file": _replacements,
    "copies: run the job environment": lambda tree: _modules_with(
        tree, r"subprocess\.(run|Popen)\(", r"job_python"
    ),
    "copies: final statuses": _final_statuses,
    "copies: the key of the objective": lambda tree: _matching(tree, '"_tuning_objective_metric"'),
    "copies: tables of hyperparameters": lambda tree: _modules_with(
        tree, r'"label_smoothing"|label_smoothing:'
    ),
    "copies: modules that ask for ServerlessConfig": lambda tree: _modules_with(
        tree, '"ServerlessConfig"'
    ),
    "copies: modules that build or parse job names": lambda tree: _modules_with(
        tree, r"-improve-|improve-\[|tune\|train|-\(\{step\}|\{step\}\{question\}"
    ),
    "copies: walks over folders": lambda tree: _matching(tree, r"os\.(walk|scandir)\(|\.rglob\("),
}


def _before() -> str:
    found = _git("log", "-1", "--format=%H", f"--grep=^{MOVE}$")
    if not found.strip():
        raise SystemExit(f"this clone has no commit {MOVE!r}: name a revision")
    return f"{found.strip()}^"


def table(before: Mapping[str, object], after: Mapping[str, object]) -> Iterable[str]:
    """Yield the lines of a table of both."""
    rows = [(name, str(before[name]), str(after[name])) for name in after]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, one, other in [("measure", "before", "after"), *rows]:
        yield f"{name:<{widths[0]}}  {one:<{widths[1]}}  {other}".rstrip()


def main(arguments: list[str]) -> None:
    """Print the measures of a revision and of HEAD."""
    revision = arguments[0] if arguments else _before()
    for line in table(measures(read_tree(revision)), measures(read_tree("HEAD"))):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
