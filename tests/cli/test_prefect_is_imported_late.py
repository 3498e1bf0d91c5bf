"""No command imports Prefect before it has pointed it at a server: its settings are read then.

Where that happens, Prefect starts a temporary server of its own, and the run is on none of ours.
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.sources import ROOT, SOURCES, relative, tree


def imports_before_a_server() -> list[str]:
    """Return the imports that commands do before they ask for a server; not those for types."""
    found: set[str] = set()
    for path in SOURCES:
        if relative(path).startswith("cli/commands/"):
            module = tree(path)
            for function in (each for each in module.body if isinstance(each, ast.FunctionDef)):
                if line := line_of_call(function):
                    above = [
                        each for each in ast.walk(function) if getattr(each, "lineno", line) < line
                    ]
                    found |= {ast.unparse(each) for each in (*module.body, *above) if imports(each)}
    return sorted(found - {"from __future__ import annotations"})


def line_of_call(function: ast.FunctionDef) -> int:
    """Return the line in which a function asks for a server; 0 when it does not."""
    return next(
        (
            node.lineno
            for node in ast.walk(function)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "use_server"
        ),
        0,
    )


def imports(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom | ast.Import)


@pytest.mark.slow
def test_prefect_is_imported_after_it_knows_the_server() -> None:
    lines = imports_before_a_server()
    assert "from cli.server.choosing import ui_and_password, use_server" in lines
    script = "\n".join([*lines, "import sys", "assert 'prefect' not in sys.modules"])
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
