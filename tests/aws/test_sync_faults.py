"""The sync against an S3 server behind a proxy that breaks, cuts, stalls and falsifies: at length.

The short version is tests/tasks/dataset/syncing/test_sync_s3.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worlds.synced import bucket_port, up_and_down


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_faults_leave_no_wrong_byte(tmp_path: Path) -> None:
    with bucket_port() as port:
        assert up_and_down(port, tmp_path, 4_500, 0.125, seed=2) >= 1_000
