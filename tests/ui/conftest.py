"""One team for all of it: server, worker and deployments of `whippet up`, and a browser."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.server.login import read_login
from tests.flows.workers import put_up
from tests.worlds.pipeline import Whippet, tiny_data

if TYPE_CHECKING or importlib.util.find_spec("selenium"):
    from tests.ui.browser import Person, person, programs, signs_in
else:  # `make test-ui` installs it; all other tests do without
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def browser() -> None:
    """Skip all of it where there is no browser."""
    if programs() is None:
        pytest.skip("no Chromium and chromedriver: install both, or set CHROMIUM and CHROMEDRIVER")


@pytest.fixture(scope="session")
def team(browser: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whippet]:
    """What `whippet up` gives."""
    with put_up(tmp_path_factory.mktemp("team") / "whippet home") as found:
        yield found


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of twelve pictures."""
    return tiny_data(tmp_path_factory.mktemp("pictures") / "photos")


@pytest.fixture(scope="session")
def parameters(data: Path) -> dict[str, Any]:
    """Of a run that takes a minute."""
    return {
        "data": {"path": str(data)},
        "model": {"architecture": "mobilenet_v2", "image_size": 32},
        "tuning": {"max_jobs": 2, "max_epochs": 2},
    }


@pytest.fixture(scope="session")
def prefect(team: Whippet) -> Iterator[Person]:
    """Somebody who is signed in at the server's pages."""
    login = read_login(team.settings)
    assert login
    with person(team.api_url.removesuffix("/api")) as found:
        signs_in(found, login)
        yield found
        # The pages work within their policy; what they ask of others does not leave this machine.
        refused = found.refused()
        assert [each for each in refused if "amplitude.com" not in each] == []
