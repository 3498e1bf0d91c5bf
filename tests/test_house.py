"""The measures of the house, on trees small enough to count by hand."""

from __future__ import annotations

from tests.house import cycles, levels, measures, package_edges, table

TREE = {
    "tasks/__init__.py": "",
    "tasks/training.py": "from tasks.runs.names import name\nfrom tasks.costs import ledger\n",
    "tasks/runs/__init__.py": "",
    "tasks/runs/names.py": "def name() -> Any:\n    return 1\n",
    "tasks/costs/__init__.py": "",
    "tasks/costs/ledger.py": (
        "from tasks.runs import names\n"
        'ENDED = ("Completed", "Failed", "Stopped")\n'
        "os.replace(one, other)\n"
        'text.replace("a", "b")\n'
    ),
}


def test_a_tree_is_measured():
    found = measures(TREE)
    assert found["files in the fullest folder"] == "2 (tasks)"
    assert found["packages of tasks, levels"] == 2
    assert found["modules of tasks, levels"] == 3
    assert (found["product files"], found["product lines"], found["functions"]) == (6, 8, 1)
    assert found["lines with Any in tasks"] == 1
    assert (found["copies: final statuses"], found["copies: replace a file"]) == (1, 1)
    lines = list(table(found, found))
    assert lines[0].split() == ["measure", "before", "after"]
    assert len(lines) == len(found) + 1


def test_a_cycle_between_packages_is_found_and_counts_as_one_level():
    back = "def late():\n    from tasks.costs.ledger import ENDED\n"
    edges = package_edges({**TREE, "tasks/runs/names.py": back})
    assert cycles(edges) == [["tasks.costs", "tasks.runs"]]
    assert cycles(package_edges(TREE)) == []
    assert levels({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == 2
