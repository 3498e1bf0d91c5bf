"""One recovery at a time, also after one whose process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import prefect
import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Running

from flows.recover_runs import recover_runs
from platforms.locks import held_if_free

pytestmark = pytest.mark.slow

HOLDS = """
import sys, time
from pathlib import Path
from platforms.locks import held_if_free
with held_if_free(Path(sys.argv[1])) as ours:
    print(ours, flush=True)
    time.sleep(300)
"""


def test_a_second_recovery_leaves_it_to_the_first_and_a_killed_one_is_in_nobodys_way(
    prefect_server: Any, whippet_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whippet_home.mkdir(exist_ok=True)
    lock = whippet_home / ".recovery.lock"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(lock)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "True\n"
        assert recover_runs() == []
        assert "another recovery is at work on this machine" in caplog.text
        caplog.clear()
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    with prefect.get_client(sync_client=True) as client:
        killed = client.create_flow_run(recover_runs, state=Running())
        (whippet_home / ".recovery.run").write_text(str(killed.id))
        assert recover_runs() == []
        assert "another recovery" not in caplog.text
        state = client.read_flow_run(killed.id).state
        assert state is not None
        assert state.type is StateType.CRASHED, "the page of the killed one says so"
    assert not (whippet_home / ".recovery.run").exists()
    with held_if_free(lock) as free:
        assert free, "it was given back"
