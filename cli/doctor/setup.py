"""Checks of the set-up: both environments, the project's folder, the Prefect server."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import yaml
from botocore.exceptions import BotoCoreError, ClientError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.doctor.checks import Check, failed, passed, warning
from cli.server.choosing import is_own
from cli.server.health import look
from cli.server.login import VARIABLE, read_login
from cli.server.notes import ui_url
from cli.server.record import read_server
from platforms import Settings, connect
from platforms.errors import WhippetError
from platforms.job_environment import installed_distributions
from platforms.local.boundary.mechanism import choose
from platforms.processes.alone import Surroundings, run_alone
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.sentences import clause

_LEAST_FREE_BYTES = 2 * 1024**3
_PROBE_SECONDS = 120.0
_SHOWN = ("torch", "torchvision", "smdebug", "safetensors")
# AWS's own images have not shipped it since PyTorch 2.1: training goes on without it.
_OPTIONAL = frozenset({"smdebug", "protobuf", "pandas", "requests", "setuptools"})
_IMPORT = "import pkgutil, sys; [pkgutil.resolve_name(name) for name in sys.argv[1:]]"


def check_setup(settings: Settings) -> Iterator[Check]:
    """Yield every check of the set-up but those of the job environment."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    yield check_python(project["requires-python"])
    yield check_packages(project["dependencies"])
    yield check_versions(
        {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()},
        PROJECT_ROOT / "constraints" / "orchestrator.txt",
        "orchestrator",
    )
    yield check_flows(PROJECT_ROOT / "prefect.yaml")
    yield check_platform(settings)
    yield check_home(settings.home)
    yield check_boundary(settings)
    yield check_disk(settings.home)
    yield check_server(settings)


def check_python(supported: str) -> Check:
    """Check this interpreter against ``requires-python``."""
    version = platform.python_version()
    if Requirement(f"python{supported}").specifier.contains(version, prereleases=True):
        return passed("python", f"{version} at {sys.executable}")
    return failed(
        "python",
        f"{version} is not supported (needed: {supported})",
        "make the environments with another one: make setup PYTHON=/path/to/python3.11",
    )


def check_packages(dependencies: list[str]) -> Check:
    """Check that every direct dependency of the orchestrator imports."""
    wanted = {canonicalize_name(Requirement(line).name) for line in dependencies}
    modules: dict[str, str] = {}
    for module, owners in packages_distributions().items():
        for owner in wanted & {canonicalize_name(name) for name in owners}:
            if module.isidentifier() and not module.startswith("_"):
                modules.setdefault(owner, module)
    absent = sorted(wanted - set(modules))
    if absent:
        return failed("packages", f"not installed: {', '.join(absent)}", "run `make setup`")
    problem = _import_problem(sorted(modules.values()))
    if problem:
        return failed(
            "packages", "an installed package does not import", "run `make setup`", problem
        )
    return passed("packages", f"the orchestrator's {len(wanted)} direct dependencies import")


def check_versions(installed: Mapping[str, str], constraints: Path, environment: str) -> Check:
    """Compare an environment (canonical name → version) with the versions tried together."""
    name = f"{environment} versions"
    different = [
        f"{pin.name} {installed[canonicalize_name(pin.name)]} (tried: {pin.specifier})"
        for pin in _requirements(constraints)
        if canonicalize_name(pin.name) in installed
        and not pin.specifier.contains(installed[canonicalize_name(pin.name)], prereleases=True)
    ]
    file = f"constraints/{constraints.name}"
    if not different:
        return passed(name, f"as in {file}")
    shown = ", ".join(different[:5]) + (" …" if len(different) > 5 else "")
    advice = f"if something fails, install the versions of {file}: make clean setup"
    return warning(name, f"{len(different)} differ from {file}: {shown}", advice)


def check_flows(file: Path) -> Check:
    """Check that every entrypoint of ``prefect.yaml`` imports."""
    entrypoints = [
        item["entrypoint"] for item in yaml.safe_load(file.read_text("utf-8"))["deployments"]
    ]
    problem = _import_problem(entrypoints)
    if problem:
        advice = "correct what the last line names; a Prefect worker would fail on it too"
        return failed("flows", f"an entrypoint of {file.name} does not import", advice, problem)
    return passed("flows", f"the {len(entrypoints)} entrypoints of {file.name} import")


def check_platform(settings: Settings) -> Check:
    """Check that the platform of the settings can be connected to."""
    try:
        bucket = connect(settings).defaults.bucket
    except (WhippetError, BotoCoreError, ClientError) as error:
        return failed("platform", f"{settings.platform}: {error}", "see the settings in README.md")
    return passed("platform", f"{settings.platform}, bucket {bucket}")


def check_home(home: Path) -> Check:
    """Check that files can be created in the project's folder, or where it would be created."""
    advice = "choose a folder of your own: export WHIPPET_HOME=/path/to/folder"
    folder = _existing(home)
    for path in (home, *home.parents):
        if path.exists() and not path.is_dir():
            return failed("home", f"{path} is not a folder", advice)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"whippet")
    except OSError as error:
        return failed("home", f"{folder} is not writable: {error}", advice)
    return passed("home", f"{home} is writable")


def check_boundary(settings: Settings) -> Check:
    """Try out what closes local jobs and model servers in; see docs/boundary.md."""
    name = "boundary"
    try:
        mechanism = choose(settings.boundary, settings.home)
    except WhippetError as error:
        return failed(name, str(error), "unset WHIPPET_BOUNDARY, or set it to auto")
    if mechanism.name == "none":
        return warning(
            name,
            f"none: local jobs get private copies, but no /opt/ml of their own "
            f"({clause(mechanism.why)})",
            "see docs/boundary.md: scripts must use SM_* here, not /opt/ml",
        )
    inputs = "inputs are copy-on-write" if mechanism.overlays else "inputs are copied"
    better = f" ({clause(mechanism.why)})" if mechanism.why else ""
    user = ", by a user namespace" if mechanism.user_namespace else ""
    return passed(name, f"local jobs run in {mechanism.name}{user}; {inputs}{better}")


def check_disk(home: Path, least: int = _LEAST_FREE_BYTES) -> Check:
    """Check the free space, in bytes, where the project's folder is."""
    free = shutil.disk_usage(_existing(home)).free
    space = f"{free / 1024**3:.1f} GiB free at {home}"
    if free >= least:
        return passed("disk", space)
    return warning("disk", space, "jobs that fill a disk fail: make room, or move WHIPPET_HOME")


def check_server(settings: Settings) -> Check:
    """Check for a healthy Prefect server; none is fine unless ``PREFECT_API_URL`` promises one."""
    name, url, ours = "prefect server", os.environ.get("PREFECT_API_URL"), read_server(settings)
    if url and not is_own(settings, url):
        return _check_other(name, url)
    if ours is not None and look(ours.api_url, read_login(settings)).usable:
        return passed(name, f"answers at {ui_url(ours.api_url)}")
    return passed(name, "none answers; `whippet run` or `whippet up` will start one")


def _check_other(name: str, url: str) -> Check:
    advice = "start it, or unset the variable: then whippet starts its own"
    server = look(url, os.environ.get(VARIABLE))
    if server.usable:
        return passed(name, f"answers at {ui_url(url)}")
    if server.refused:
        problem = f"PREFECT_API_URL={url!r} asks for a login, and {VARIABLE} is wrong"
        return failed(name, problem, f"set {VARIABLE} to its user:password")
    return failed(name, f"no server of our version answers at PREFECT_API_URL={url!r}", advice)


def check_job_environment(settings: Settings) -> Iterator[Check]:
    """Yield the checks of the environment that stands for the container; stop where one fails."""
    name, advice = "job environment", "run `make job-env`, or set WHIPPET_JOB_PYTHON"
    if not settings.job_python.is_file():
        yield failed(name, f"there is no {settings.job_python}", advice)
        return
    try:
        installed = installed_distributions(settings.job_python)
    except WhippetError as error:
        yield failed(name, f"{settings.job_python} does not run: {error}", advice)
        return
    image = PROJECT_ROOT / "platforms" / "local"
    problems = _problems(
        installed, image / "image.txt", PROJECT_ROOT / "sm_entrypoints" / "requirements.txt"
    )
    vital = [text for package, text in problems.items() if package not in _OPTIONAL]
    if vital:
        yield failed(name, f"it lacks {', '.join(vital)}", advice)
        return
    yield passed(name, ", ".join(f"{p} {installed[p]}" for p in _SHOWN if p in installed))
    if problems:
        problem = f"smdebug cannot work: the environment lacks {', '.join(problems.values())}"
        yield warning("smdebug", problem, f"training works without it; to get it, {advice}")
    absent = _problems(installed, image / "image_libraries.txt", image / "image_toolkit.txt")
    if absent:
        problem = f"scripts that import them fail: there is no {', '.join(absent.values())}"
        yield warning(
            "image libraries", problem, f"AWS's images include them; to get them, {advice}"
        )
    yield check_versions(installed, PROJECT_ROOT / "constraints" / "job.txt", "job")


def _problems(installed: Mapping[str, str], *files: Path) -> dict[str, str]:
    """Return what ``installed`` lacks of the requirements in ``files``, by name."""
    wanted = [item for file in files for item in _requirements(file)]
    return {item.name: text for item in wanted if (text := _problem(item, installed))}


def _problem(wanted: Requirement, installed: Mapping[str, str]) -> str | None:
    version = installed.get(canonicalize_name(wanted.name))
    if version is None:
        return str(wanted)
    if wanted.specifier.contains(version, prereleases=True):
        return None
    return f"{wanted} (it has {version})"


def _requirements(file: Path) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def _import_problem(names: list[str]) -> list[str]:
    """Import dotted names in a new process, as a worker would; return the end of a failure."""
    surroundings = Surroundings(environment=os.environ, cwd=PROJECT_ROOT)
    command = [sys.executable, "-c", _IMPORT, *names]
    try:
        finished = run_alone(command, surroundings, seconds=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return [f"importing {', '.join(names)} took more than {_PROBE_SECONDS:g} seconds"]
    if finished.status == 0:
        return []
    return finished.stderr.strip().splitlines()[-4:] or [f"exit status {finished.status}"]


def _existing(path: Path) -> Path:
    """Return the nearest folder that exists, from ``path`` upwards."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
