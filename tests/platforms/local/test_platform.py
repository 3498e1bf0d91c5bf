from __future__ import annotations

from pathlib import Path

import pytest

from tests.platforms.contract import PlatformContract
from tests.platforms.local.jobs import Jobs, local_jobs


class TestLocalPlatform(PlatformContract):
    @pytest.fixture
    def jobs(self, tmp_path: Path) -> Jobs:
        # What people call their folders.
        return local_jobs(tmp_path / 'it\'s "home"; échec $HOME')

    @pytest.fixture
    def runs(self) -> bool:
        return True


def test_connecting_writes_nothing(tmp_path: Path) -> None:
    local_jobs(tmp_path / "home")
    assert list(tmp_path.iterdir()) == []
