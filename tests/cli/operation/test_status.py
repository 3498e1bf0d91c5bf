"""What `whippet status` knows of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.operation import status
from cli.operation.status import look_at
from platforms import Settings

pytestmark = pytest.mark.slow


def test_a_server_without_a_work_pool_has_no_workers(
    prefect_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `whippet run`, which needs no pool."""
    from prefect.client.orchestration import get_client

    monkeypatch.setattr(status, "POOL", "a pool that nobody made")
    with get_client(sync_client=True) as client:
        found = look_at(client, Settings(home=tmp_path), "http://127.0.0.1:4200")
    assert found.workers == []
