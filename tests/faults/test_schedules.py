"""A small part of `make test-faults`: some hundreds of schedules."""

from __future__ import annotations

import pytest

from tests.faults.schedules import FEW, play


@pytest.mark.slow
def test_faults_of_the_service_and_two_runners_end_in_one_job():
    row = play(FEW)
    assert row.violations == 0
    assert row.schedules >= FEW
