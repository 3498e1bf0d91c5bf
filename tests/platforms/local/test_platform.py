from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.platforms.contract import PlatformContract
from tests.worlds.local.jobs import Jobs, local_jobs


@pytest.mark.slow
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


@pytest.mark.slow
def test_shut_down_stops_what_runs(tmp_path: Path) -> None:
    jobs = local_jobs(tmp_path / "home")
    jobs.run("ended", "")
    jobs.start("runs", "import time; print('up'); time.sleep(60)")
    jobs.wait_for_line("runs", "up")
    assert jobs.platform.shut_down() == ["runs"]
    assert jobs.wait("runs")["TrainingJobStatus"] == "Stopped"
    assert jobs.platform.shut_down() == []


def test_no_command_for_an_endpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="pets"):
        local_jobs(tmp_path).platform.invoke_command("pets", "dog.jpg")
