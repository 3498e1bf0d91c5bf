"""One real run that the tests of this folder look at; it takes a minute, so it is shared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AWKWARD
from tests.worlds.canaries import PLANTED
from tests.worlds.pipeline import PACKED, Ended, Whippet, tiny_data

RUN = "it's a first «run»"


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run of the whole pipeline that ended."""

    whippet: Whippet
    data: Path
    ended: Ended
    record: dict[str, Any]
    # Asked at once: other tests make other runs, and then those are the latest.
    latest: Path
    predicted: Ended

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.whippet.home / "runs" / str(self.record["name"])


@pytest.fixture(scope="session")
def server_url(prefect_server) -> str:
    """The API address of the temporary Prefect server."""
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    assert url is not None
    return url


@pytest.fixture(scope="session")
def released(server_url, tmp_path_factory) -> Iterator[FinishedRun]:
    """A run of the whole pipeline; its endpoint is up until the tests end."""
    root = tmp_path_factory.mktemp("released") / AWKWARD
    # What must not get out, and who must not get in: test_zero_trust.py looks afterwards.
    whippet = Whippet(
        home=root / "whippet home",
        api_url=server_url,
        extra=PLANTED,
        umask=0,
    )
    data = tiny_data(root / 'my "photos" è')
    try:
        ended = whippet.run("run", "--name", RUN, "--data", f"./{data.name}/", *PACKED, cwd=root)
        assert ended.code == 0, ended.err
        record = whippet.record("latest")
        yield FinishedRun(
            whippet=whippet,
            data=data,
            ended=ended,
            record=record,
            latest=(whippet.home / "runs" / "latest").resolve(),
            predicted=whippet.run("predict", record["query"]["file"]),
        )
    finally:
        whippet.shut_down()
