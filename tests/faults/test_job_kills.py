"""A small part of `make test-faults`: a packed search and a training that are interrupted."""

from __future__ import annotations

import pytest

from tests.faults.kills_in_jobs import every_job_kill
from tests.worlds.job_environment import needs_job_environment


@needs_job_environment
@pytest.mark.slow
@pytest.mark.job
def test_interrupted_jobs_end_as_those_that_nobody_disturbed(capsys):
    rows = every_job_kill(few=True)
    assert {row.part: row.schedules for row in rows} == {
        "kills: packed search": 2,
        "kills: head": 1,
        "kills: fine-tune": 1,
    }
    assert sum(row.violations for row in rows) == 0, capsys.readouterr().out
