"""What the README promises, as far as no other test holds it to its word."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from cli.options.commands import build_parser
from tasks.parameters.run import DataParameters, ModelParameters
from tasks.runs.record import METRICS_FILE, PREDICTIONS_FILE, REPORT_FILE, RUN_FILE, TRIALS_FILE

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)).replace("\\\n", " ")


def commands(program: str) -> list[list[str]]:
    """Return the arguments of every call of a program in the README's shell blocks."""
    lines = [shlex.split(line, comments=True) for line in SHELL.splitlines()]
    found = [
        words[1:] for words in lines if words and words[0] in (program, f".venv/bin/{program}")
    ]
    return [words[:-1] if words[-1:] == ["&"] else words for words in found]


def test_commands_are_found():
    assert len(commands("whippet")) >= 9
    assert len(commands("prefect")) == 4
    assert commands("make") == [["demo"], ["test"]]


@pytest.mark.parametrize("argv", commands("whippet"), ids=" ".join)
def test_every_whippet_command_is_understood(argv):
    assert build_parser().parse_args(argv).function


def test_make_help_lists_the_targets_that_the_readme_names():
    found = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed = {line.split()[0] for line in found.stdout.splitlines()}
    named = set(re.findall(r"`make ([a-z-]+)`", README)) | {argv[0] for argv in commands("make")}
    assert named
    assert named <= listed


def test_demo_is_the_commands_own_words():
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^\t@\.venv/bin/whippet (run .*)\$\(DEMO\)$", makefile, re.M)
    found = build_parser().parse_args(shlex.split(line))
    assert (ROOT / found.data).is_dir()
    ModelParameters(architecture=found.model, image_size=found.image_size)


def test_the_tree_is_the_tree():
    _, _, tree = README.partition("## The tree")
    (block,) = re.findall(r"```\n(.*?)```", tree, re.S)
    named = set(re.findall(r"(?:^|\s)([a-z_]+)/(?=[\s,])", block))
    assert {"flows", "tasks", "platforms", "sm_entrypoints", "dashboards", "cli"} <= named
    assert not [name for name in named if not (ROOT / name).is_dir()]
    ours = {
        path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith(".")
    }
    assert ours <= named


def test_the_files_that_a_run_leaves_are_named():
    for name in (RUN_FILE, REPORT_FILE, TRIALS_FILE, METRICS_FILE, PREDICTIONS_FILE):
        assert f"`{name}`" in README
    assert "`.whippet/runs/latest`" in README


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", README)
    assert links
    assert not [to for to in links if "://" not in to and not (ROOT / to).exists()]


def test_the_scheduled_run_is_a_deployment_with_parameters_that_it_takes():
    from flows.release_model import release_model

    described = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    create, deploy, start, run = commands("prefect")
    (pool,) = {deployment["work_pool"]["name"] for deployment in described["deployments"]}
    assert create[:3] == ["work-pool", "create", pool]
    assert deploy == ["--no-prompt", "deploy", "--all"]
    assert start == ["worker", "start", "--pool", pool]
    assert run[:3] == ["deployment", "run", f"{release_model.name}/default"]
    given = [run[i + 1].partition("=") for i, word in enumerate(run) if word == "-p"]
    parameters = release_model.validate_parameters({n: yaml.safe_load(v) for n, _, v in given})
    assert isinstance(parameters["data"], DataParameters)
    assert (ROOT / parameters["data"].path).is_dir()


@pytest.mark.parametrize("name", ["orchestrator", "job"])
def test_constraints_are_exact_and_name_no_place(name):
    text = (ROOT / "constraints" / f"{name}.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+(\s*;.*)?", line.strip()), line
    assert "://" not in text
    assert "index" not in text.lower()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 130
