"""Habits of the tree that reviews would otherwise have to remember. See docs/architecture.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house import cycles, folders, imported_names, module_name, package_edges
from tests.sources import (
    FACES,
    PACKAGES,
    ROOT,
    SOURCES,
    Function,
    functions,
    imports,
    nodes,
    package,
    relative,
    text,
    tracked,
    tree,
)

# What both sides share: the standard library only.
SHARED = {"sm_entrypoints.contract"}
# Who may import whom, besides itself: one direction only.
ALLOWED = {
    "cli": {"flows", "tasks", "platforms", "dashboards", *SHARED},
    "flows": {"tasks", "platforms", "dashboards", *SHARED},
    "tasks": {
        *("platforms", "dashboards", *SHARED),
        # One decoder, and one answer to what a picture is and looks like, for both sides: no torch.
        *("sm_entrypoints.images.decoding", "sm_entrypoints.images.files"),
        "sm_entrypoints.images.look",
    },
    "platforms": SHARED,
    "dashboards": SHARED,
    "sm_entrypoints": set(),
}
# Third-party and own packages that have no place somewhere.
FORBIDDEN = {
    "sm_entrypoints": {"prefect", "boto3", "botocore", "pandas", "pydantic", "obstore"},
    "dashboards": {"prefect", "boto3", "botocore", "httpx", "requests", "urllib3", "torch"},
    "platforms": {"prefect", "torch"},
    "tasks": {"torch"},
    "flows": {"torch", "boto3", "botocore"},
    "cli": {"torch"},
}
# Edges of a process or of foreign code, where every error must become an answer.
BROAD_EXCEPT = {
    "cli/main.py": "the outermost edge of the command line",
    "platforms/local/tuning/supervisor.py": "the outermost edge of a detached process",
    "platforms/local/warm_start/inner/whippet_warm_start.py": "Python would run a script then",
    "sm_entrypoints/job/entry_point.py": "the outermost edge of the job: writes output/failure",
    "sm_entrypoints/job/containment.py": "an error in instrumentation must not end the training",
    "sm_entrypoints/imported/tensors.py": "smdebug raises anything over a damaged file: counted",
    "sm_entrypoints/instrumentation/smdebug/saved_tensors.py": "a folder with gaps raises anything",
    "sm_entrypoints/zero_code/sitecustomize.py": "runs before a stranger's script: it must run",
    "sm_entrypoints/zero_code/whippet_zero_code.py": "containment in a stranger's script",
    "sm_entrypoints/serve.py": "the user's handlers may raise anything: it becomes an answer",
    "sm_entrypoints/serving/calls.py": "the user's handlers may raise anything",
    "sm_entrypoints/rehearsal.py": "the user's handlers may raise anything: it is reported",
}
PICKLE = {
    "sm_entrypoints/models/packaged_weights.py": "unpickles arrays only, of pinned hash",
    "sm_entrypoints/pretrained.py": "names the error that torch.load(weights_only=True) raises",
}
# Below tasks/ the library knows nothing of Prefect, but for these.
READS_PREFECT = {
    "tasks/runs/stages.py": "which flow run this is",
    "tasks/runs/task_policy.py": "the arguments of every @task",
    "tasks/runs/progress.py": "a progress artifact",
    "tasks/runs/endings.py": "the state and the tags of a run that was refused",
    "tasks/cancelling/history.py": "the states of a flow run",
    "tasks/cancelling/watch.py": "ends the flow run that it watches",
}
# Loaded by the model server from a model's code/, not run.
HANDLERS = "sm_entrypoints/inference.py"
MANY_PARAMETERS = {
    "flows/release_model.py:release_model": "its form: a part for each stage, and one for the rest"
}
LONG_FUNCTIONS: dict[str, str] = {}
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS, MOST_FILES = 300, 50, 6, 20


def every_module(check: Callable[[Path], None]) -> Callable[[], None]:
    """Make one test of a check of each module, which names all that offend.

    A test a module would be 3,000 tests, whose bookkeeping takes longer than all the checks.
    """

    def test() -> None:
        offences = []
        for path in SOURCES:
            try:
                check(path)
            except AssertionError as offence:
                offences.append(f"{relative(path)}: {offence}")
        assert not offences, "\n".join(offences)

    test.__name__ = check.__name__
    return test


def test_the_tree_is_found():
    assert {package(path) for path in SOURCES} == set(PACKAGES)
    assert len(SOURCES) > 80


@every_module
def test_imports_point_one_way(path):
    own = package(path)
    for name in imports(path):
        first = name.split(".")[0]
        if first not in PACKAGES or first == own:
            continue
        fits = any(name == each or name.startswith(f"{each}.") for each in ALLOWED[own])
        assert fits, f"{relative(path)} imports {name}: {own} may import {sorted(ALLOWED[own])}"


@every_module
def test_packages_stay_out_where_they_do_not_belong(path):
    found = {name.split(".")[0] for name in imports(path)} & FORBIDDEN[package(path)]
    assert not found, f"{relative(path)} imports {found}"
    assert not [name for name in imports(path) if name.startswith("tests")]


def test_tests_import_worlds_that_are_there_and_no_other_tests():
    # Read as text: a script that a test starts is a string in it.
    pattern = re.compile(r"^ *(?:from|import) (tests(?:\.\w+)*)(?: import (\w+))?", re.M)
    imported = {
        (relative(path), name.replace(".", "/"), member)
        for path in (ROOT / "tests").rglob("*.py")
        for name, member in pattern.findall(path.read_text("utf-8"))
    }
    assert len(imported) > 100
    assert not [each for each in imported if "/test_" in each[1] or each[2].startswith("test_")]
    assert not [
        each
        for each in imported
        if not (ROOT / f"{each[1]}.py").is_file() and not (ROOT / each[1] / "__init__.py").is_file()
    ]


def test_tests_wait_in_one_way():
    """By `wait_for`, which allows for a busy machine; these look at something all the while."""
    looking = {
        "tests/worlds/waiting.py",
        "tests/platforms/test_files.py",
        "tests/sm_entrypoints/instrumentation/profiler/test_sampler.py",
    }
    found = {
        relative(path)
        for path in (ROOT / "tests").rglob("*.py")
        if re.search(r"monotonic\(\) [<>] \w", path.read_text("utf-8"))
    }
    assert found == looking


def test_tests_mirror_the_tree():
    tests = [path for each in PACKAGES for path in (ROOT / "tests" / each).rglob("test_*.py")]
    assert len(tests) > 200
    lost = [
        relative(path)
        for path in tests
        if not (ROOT / path.relative_to(ROOT / "tests")).with_name("__init__.py").is_file()
    ]
    assert not lost, "their package is elsewhere now"


def test_the_platform_is_chosen_by_connect_alone():
    # The doctor looks at this machine whatever the platform is.
    outside = [
        path
        for path in SOURCES
        if package(path) != "platforms" and not relative(path).startswith("cli/doctor/")
    ]
    found = {
        f"{relative(path)}: {name}"
        for path in outside
        for name in imports(path)
        if name.startswith(("platforms.local", "platforms.aws"))
    }
    assert not found


def test_what_both_environments_import_needs_the_standard_library_only():
    shared = [
        *(ROOT / "sm_entrypoints/contract").glob("*.py"),
        ROOT / "sm_entrypoints/images/files.py",
    ]
    names = {name for path in shared for name in imports(path)}
    inside = {name for name in names if name.startswith("sm_entrypoints.contract.")}
    assert {name.split(".")[0] for name in names - inside} <= sys.stdlib_module_names


@every_module
def test_no_module_shadows_the_standard_library(path):
    assert path.stem not in sys.stdlib_module_names
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}
    assert path.stem not in {"prefect", "boto3", "torch", "pandas", "optuna", "plotly"}


@every_module
def test_local_is_a_condition_in_platforms_only(path):
    if package(path) == "platforms":
        return
    for node in nodes(path):
        if not isinstance(node, ast.Compare | ast.Match):
            continue
        texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
        assert "local" not in texts, f"{relative(path)}:{node.lineno} asks which platform it is"
        assert "aws" not in texts, f"{relative(path)}:{node.lineno} asks which platform it is"


def _texts() -> dict[str, str]:
    return {relative(path): text(path) for path in SOURCES}


def test_folders_are_tables_of_contents():
    full = {name: count for name, count in folders(_texts()).items() if count > MOST_FILES}
    assert not full, f"more than {MOST_FILES} files: give each noun a package"


def test_no_packages_import_each_other():
    assert not cycles(package_edges(_texts()))


def _is_task(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each).startswith("task(") for each in decorators)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def test_the_top_shelf_of_tasks_holds_what_prefect_runs_and_nothing_else():
    """A task, or what publishes, logs or asks through Prefect for one."""
    for path in (ROOT / "tasks").glob("*.py"):
        if path.name == "__init__.py":
            continue
        nodes = [each for each in tree(path).body if isinstance(each, Function | ast.ClassDef)]
        through = {
            alias.asname or alias.name
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "prefect"
            for alias in node.names
        }
        assert through, f"{relative(path)} imports nothing of Prefect: it belongs into a package"
        for _ in nodes:  # what calls one that goes through Prefect does so, too
            through |= {each.name for each in nodes if _names(each) & through}
        plain = [
            each.name
            for each in nodes
            if not (_is_task(each) or each.name in through or each.name.startswith("_"))
        ]
        assert not plain, f"{relative(path)}: {plain} know nothing of Prefect: move them below"


def test_packages_of_tasks_know_neither_prefect_nor_the_top_shelf():
    below = [path for path in SOURCES if relative(path).startswith("tasks/")]
    below = [path for path in below if path.parent != ROOT / "tasks"]
    knowing = {
        relative(path)
        for path in below
        if any(name.split(".")[0] == "prefect" for name in imports(path))
    }
    assert knowing == set(READS_PREFECT)
    shelf = {module_name(relative(path)) for path in (ROOT / "tasks").glob("*.py")} - {"tasks"}
    for path in below:
        upwards = {name for name in imports(path) if name.rpartition(".")[0] in shelf}
        assert not upwards, f"{relative(path)} imports {upwards}"


def test_the_top_shelf_of_sm_entrypoints_holds_the_programs():
    programs = [path for path in (ROOT / "sm_entrypoints").glob("*.py") if path not in FACES]
    for path in programs:
        runs = '__name__ == "__main__"' in text(path)
        assert runs or relative(path) == HANDLERS, f"{relative(path)} does not run"
    named = {module_name(relative(path)) for path in programs}
    for path in SOURCES:
        taken = {
            name for name in imports(path) if name in named or name.rpartition(".")[0] in named
        }
        assert not taken, f"{relative(path)} imports a program: {taken}"


def test_every_package_says_what_it_is_for_and_what_not():
    """A sentence for the former; then where its border is, and who is behind it."""
    limits = re.compile(
        r"\b(not|nothing|none|never|no|only|itself|(is|are)( \w+)? (in|by))\b", re.IGNORECASE
    )
    vague = []
    for path in FACES:
        first, _, rest = (ast.get_docstring(tree(path)) or "").partition("\n\n")
        if not first or not limits.search(rest):
            vague.append(relative(path))
    assert not vague


def test_what_a_package_offers_is_listed():
    """Modules are imported by their full names; two packages have a face, with ``__all__``."""
    packages = {module_name(relative(path)): path for path in FACES}
    modules = {module_name(relative(path)) for path in SOURCES}
    offers = {}
    for name, path in packages.items():
        if any(not isinstance(each, ast.Expr) for each in tree(path).body):
            (listed,) = [
                ast.literal_eval(each.value)
                for each in tree(path).body
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__"
            ]
            offers[name] = set(listed)
    assert set(offers) == {"platforms", "sm_entrypoints.contract"}
    for path in SOURCES:
        for name in imported_names(tree(path)):
            package, _, member = name.rpartition(".")
            if package in packages and name not in modules:
                assert member in offers.get(package, ()), f"{relative(path)} imports {name}"


def test_modules_that_are_named_exist():
    """In docstrings and documents: paths, and :mod: with a full name."""
    missing = []
    folder = "|".join(PACKAGES)
    pattern = re.compile(
        rf"[`(](?P<path>(?:{folder}|tests|benchmarks)/[\w/.-]*[\w/])[`)#]"
        rf"|:mod:`~?(?:[^`<]*<)?(?P<module>(?:{folder})[\w.]*)>?`"
    )
    for path in tracked():
        if path.suffix not in (".py", ".md") or path.name == "CHANGELOG.md":
            continue
        for found in pattern.finditer(path.read_text("utf-8")):
            name = found["path"] or found["module"].replace(".", "/")
            if not ((ROOT / name).exists() or (ROOT / f"{name}.py").exists()):
                missing.append(f"{relative(path)}: {found[0]}")
    assert not missing, "\n".join(missing)


@every_module
def test_modules_are_short(path):
    lines = len(text(path).splitlines())
    assert lines <= MOST_LINES, f"{relative(path)} has {lines} lines: split it by noun"


def _docstring_lines(function: Function) -> int:
    """Return how many lines the docstring takes: explaining more must not count as doing more."""
    if ast.get_docstring(function) is None:
        return 0
    return (function.body[0].end_lineno or 0) - function.body[0].lineno + 1


@every_module
def test_functions_are_short_and_take_few_parameters(path):
    for name, function in functions(path):
        lines = (function.end_lineno or 0) - function.lineno + 1 - _docstring_lines(function)
        assert lines <= MOST_FUNCTION_LINES or name in LONG_FUNCTIONS, f"{name}: {lines} lines"
        takes = function.args
        every = [*takes.posonlyargs, *takes.args, *takes.kwonlyargs]
        count = len([each for each in every if each.arg not in ("self", "cls")])
        assert count <= MOST_PARAMETERS or name in MANY_PARAMETERS, f"{name}: {count} parameters"


def test_exceptions_to_the_limits_are_still_needed():
    known = {name for path in SOURCES for name, _ in functions(path)}
    assert set(MANY_PARAMETERS) | set(LONG_FUNCTIONS) <= known
    caught = {relative(path) for path in SOURCES if _broad_handlers(path)}
    assert set(BROAD_EXCEPT) == caught
    assert set(PICKLE) <= {relative(path) for path in SOURCES}


def _public(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the public classes and functions of a module, and public methods of its classes."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef) or child.name.startswith("_"):
            continue
        yield child
        if isinstance(child, ast.ClassDef):
            yield from _public(child)


@every_module
def test_everything_public_has_a_docstring(path):
    assert ast.get_docstring(tree(path)), f"{relative(path)} has no docstring"
    for node in _public(tree(path)):
        assert isinstance(node, Function | ast.ClassDef)
        overrides = any("override" in ast.dump(each) for each in node.decorator_list)
        # A method of a protocol or an override says what its base says.
        where = f"{relative(path)}:{node.lineno} {node.name}"
        assert ast.get_docstring(node) or overrides or _is_protocol_member(path, node), where


def _is_protocol_member(path: Path, node: ast.AST) -> bool:
    return any(
        isinstance(each, ast.ClassDef)
        and node in each.body
        and any("Protocol" in ast.dump(base) for base in each.bases)
        for each in nodes(path)
    )


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    if not names & {"Exception", "BaseException"}:
        return False
    # To clean up and raise again hides nothing.
    last = handler.body[-1]
    return not (isinstance(last, ast.Raise) and last.exc is None)


def _broad_handlers(path: Path) -> list[int]:
    return [n.lineno for n in nodes(path) if isinstance(n, ast.ExceptHandler) and _is_broad(n)]


@every_module
def test_errors_are_caught_by_name(path):
    broad = _broad_handlers(path)
    assert not broad or relative(path) in BROAD_EXCEPT, f"{relative(path)}: lines {broad}"


@every_module
def test_nobody_goes_through_the_modules_while_another_thread_may_import(path):
    """A dictionary that grows meanwhile is a RuntimeError: go through a list of it."""
    found = re.findall(r"\bfor \w+(?:, \w+)* in sys\.modules\b.*", text(path))
    assert not found, f"{relative(path)}: {found}"


@every_module
def test_nothing_is_left_to_do_or_unsafe(path):
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text(path))
    for node in nodes(path):
        if isinstance(node, ast.Attribute):
            assert node.attr != "extractall", f"{relative(path)}:{node.lineno}"
        if isinstance(node, ast.Name):
            assert node.id != "NotImplementedError", f"{relative(path)}:{node.lineno}"
    unsafe = {"pickle", "dill", "joblib"} & {name.split(".")[0] for name in imports(path)}
    assert not unsafe or relative(path) in PICKLE


IMPORT_ALL = """
import importlib, os, pathlib, sys, threading
before = dict(os.environ)
root = pathlib.Path(sys.argv[1])
for package in sys.argv[2:]:
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))
changed = {k for k in before.keys() | os.environ.keys() if before.get(k) != os.environ.get(k)}
# Theirs, not ours: matplotlib and Prefect's dependencies set these for themselves.
print(sorted(k for k in changed if k.startswith(("WHIPPET_", "PREFECT_", "AWS_"))))
print(sorted(t.name for t in threading.enumerate() if t is not threading.main_thread()))
"""


@pytest.mark.slow
def test_importing_has_no_effect(tmp_path):
    folders = {name: tmp_path / name for name in ("home", "cwd", "whippet", "prefect", "mpl")}
    for folder in folders.values():
        folder.mkdir()
    orchestrator = [name for name in PACKAGES if name != "sm_entrypoints"]
    found = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_ALL, str(ROOT), *orchestrator],
        cwd=folders["cwd"],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folders["home"]),
            "WHIPPET_HOME": str(folders["whippet"]),
            "PREFECT_HOME": str(folders["prefect"]),
            "MPLCONFIGDIR": str(folders["mpl"]),  # matplotlib's own font cache
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["[]", "[]"]
    made = {
        name: [relative_to(p, folders[name]) for p in sorted(folders[name].rglob("*"))]
        for name in ("home", "cwd", "whippet")
    }
    assert made == {"home": [], "cwd": [], "whippet": []}


def relative_to(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


HELP = """
import sys
from cli.main import main
try:
    main([*sys.argv[1:], "--help"])
except SystemExit as end:
    assert end.code == 0
heavy = {"prefect", "boto3", "botocore", "torch", "pandas", "pydantic", "plotly", "httpx"}
print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("command", [[], ["run"], ["clean-up"]])
def test_help_is_instant(command):
    found = subprocess.run(
        [sys.executable, "-c", HELP, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "usage: whippet" in found.stdout
    assert found.stderr.strip() == "[]"


def _machine_traces() -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return texts of which every trace has one, found in no time, and the pattern of traces."""
    # Put together here, so that this file does not match itself.
    folders = [f"/{name}/" for name in ("work", "root", "home/[a-z]", "Users/[A-Za-z]", "mnt")]
    hosts = ["pypi" + r"\.org", "pythonhosted" + r"\.org", "index" + "-url", "arti" + "factory"]
    marks = [each.partition("[")[0] for each in folders] + [
        each.replace("\\", "") for each in hosts
    ]
    pattern = re.compile("|".join([*(f"(?<![\\w.]){each}" for each in folders), *hosts]))
    return tuple(marks), pattern


def test_no_file_names_a_machine_or_a_package_index():
    marks, pattern = _machine_traces()
    found = []
    for path in tracked():
        try:
            said = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        lines = said.splitlines() if any(mark in said for mark in marks) else ()
        for number, line in enumerate(lines, 1):
            if pattern.search(line):
                found.append(f"{relative(path)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_every_command_has_help_and_exists():
    from cli.parser import build_parser

    parser = build_parser()
    (commands,) = [action for action in parser._actions if action.choices]
    for name, command in commands.choices.items():
        assert command.description, name
        assert callable(command.get_default("command")), name
        for action in command._actions:
            if action.choices is None:
                assert action.help, f"{name} {action.option_strings or action.dest}"
