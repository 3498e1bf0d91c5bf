"""What every test shares: Prefect kept to a throw-away home, and settings in an awkward folder.

Read by both interpreters, so Prefect is imported only by the fixture that starts its server.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from platforms.loopback import spare_loopback

AWKWARD = 'it\'s a "folder" with spaces, é and ü'
# They share the `released` run of tests/flows/conftest.py, which takes a minute of both cores.
ONE_RUN = (
    "tests/flows/test_deploy_model.py",
    "tests/flows/test_deployments.py",
    "tests/flows/test_release_model.py",
)
# In the fast subset, what is dear and made once a process is made by one worker only.
TOGETHER: dict[str, Callable[[str], object]] = {
    "the sources, parsed": re.compile(r"tests/(test_\w+\.py|documents/)").match,
    "plotly, imported": re.compile(
        r"tests/(dashboards|tasks/report|cli/commands/test_report)"
    ).match,
}
_PREFECT_HOME = pytest.StashKey[str]()
_TESTS = Path(__file__).parent
_JOB_HALF = _TESTS / "sm_entrypoints"


def pytest_configure(config):
    """Set what Prefect reads when it is imported: no analytics, nothing in the user's home.

    Also keep the compiled tests.
    """
    gc.disable()  # until all tests are imported: nothing of that is garbage
    # Whatever the shell says, for this process only: to compile the tests takes seconds in each.
    sys.dont_write_bytecode = False
    config.stash[_PREFECT_HOME] = tempfile.mkdtemp(prefix="prefect-home-")
    os.environ["PREFECT_HOME"] = config.stash[_PREFECT_HOME]
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        os.environ.pop(name, None)
    spare_loopback()  # tests talk to servers of this machine only
    for name in [name for name in os.environ if name.startswith("WHIPPET_")]:
        del os.environ[name]


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep a file's tests on one worker, and so those of all files that look at one real run."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    fast = "not slow" in config.getoption("markexpr")

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            if fast:
                file = next((name for name, files in TOGETHER.items() if files(file)), file)
            return ONE_RUN[0] if file in ONE_RUN else file

    return Scheduling(config, log)


def pytest_ignore_collect(collection_path, config):
    """Leave out the half that this interpreter cannot run, so that plain `pytest -k …` works."""
    job_half = _JOB_HALF in (collection_path, *collection_path.parents)
    needed = "torch" if job_half else "prefect"
    inside = job_half or collection_path.parent == _TESTS or collection_path.is_file()
    return True if inside and importlib.util.find_spec(needed) is None else None


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: what gzip makes holds the second, and workers must agree."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items):
    """Begin the half of torch with its long files: at the end, short ones keep all workers busy."""
    long = {
        item.path
        for item in items
        if _JOB_HALF in item.path.parents
        and (item.get_closest_marker("slow") or item.get_closest_marker("job"))
    }
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish(session):
    """Spare the garbage collector what lives until the end: libraries, modules, the tests."""
    gc.enable()
    gc.collect()
    gc.freeze()
    # With Python's own 700, a twelfth of the time goes into looking for garbage.
    gc.set_threshold(20_000, 20, 20)


def pytest_report_header(config):
    """Say which half of the tests this interpreter runs."""
    if importlib.util.find_spec("torch") is None:
        return "tests/sm_entrypoints (planted_faults too) run by .venv-job/bin/python -m pytest"
    return "only tests/sm_entrypoints run here; the others by .venv/bin/python -m pytest"


def pytest_unconfigure(config):
    shutil.rmtree(config.stash[_PREFECT_HOME], ignore_errors=True)


@pytest.fixture
def awkward_path(tmp_path) -> Path:
    """A folder whose name has blanks, quotes and accents."""
    path = tmp_path / AWKWARD
    path.mkdir()
    return path


@pytest.fixture
def whippet_home(awkward_path, monkeypatch) -> Path:
    """``WHIPPET_HOME`` of this test and of the processes that it starts."""
    monkeypatch.setenv("WHIPPET_HOME", str(awkward_path))
    monkeypatch.setenv("WHIPPET_CHROMIUM", "none")
    return awkward_path


@pytest.fixture(scope="session")
def prefect_server():
    """One temporary Prefect server for all tests that run flows or tasks.

    It begins with the empty database of `make setup`: to make all tables takes half of its start.
    """
    from prefect.testing import utilities

    from cli.server.database import empty_database

    def folder_of_database() -> str:
        folder = tempfile.mkdtemp()
        if empty_database().is_file():
            shutil.copyfile(empty_database(), Path(folder, "prefect-test.db"))
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "mkdtemp", folder_of_database)
        with utilities.prefect_test_harness(server_startup_timeout=120):
            yield
