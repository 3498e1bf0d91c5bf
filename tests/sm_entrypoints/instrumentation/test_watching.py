"""Rules see every record while training; what fails in them ends them, not the training."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.instrumentation.tensors.reductions import ReductionRecorder
from sm_entrypoints.instrumentation.watching import Watching
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.rules.result import Mark

MARK = Mark(step=3, epoch=1, mode="TRAIN", subject="loss", message="it rises")


class Watcher:
    """Asks for a stop at step 3 and breaks at step 5."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.stopped_by: Mark | None = None

    def observe(self, record: TensorRecord) -> None:
        self.seen.append(record.step)
        if record.step == 3:
            self.stopped_by = MARK
        if record.step == 5:
            raise ZeroDivisionError("a rule of mine")


def _record(step: int) -> TensorRecord:
    return TensorRecord(step=step, epoch=1, mode="TRAIN", collection="losses", name="loss")


def test_a_stop_is_passed_on_and_outlives_a_broken_rule(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watcher = Watcher()
    watching = Watching(watcher)
    watching.observe(_record(0))
    assert watching.stopped_by is None
    for step in range(3, 9):
        watching.observe(_record(step))
    assert watching.stopped_by is MARK
    assert watcher.seen == [0, 3, 4, 5]
    assert watching.failure == "ZeroDivisionError: a rule of mine"
    assert capsys.readouterr().out.count("training continues") == 1


def test_nobody_watches() -> None:
    watching = Watching()
    watching.observe(_record(0))
    assert (watching.stopped_by, watching.failure) == (None, None)


def test_a_watch_sees_what_the_quota_drops(tmp_path: Path) -> None:
    watcher = Watcher()
    recorder = ReductionRecorder(
        tmp_path,
        nn.Linear(2, 2),
        containment=Containment("test", on_failure=lambda: None),
        quota_bytes=0,
        observe=watcher.observe,
    )
    recorder.begin_epoch(1, "EVAL", 0)
    for _ in range(3):
        recorder.end_step(0.5, 0.1)
    recorder.close()
    assert watcher.seen == [0, 1, 2]
    assert recorder.summary()["reductions"] == {"records": 0, "dropped": 3, "bytes": 0}
