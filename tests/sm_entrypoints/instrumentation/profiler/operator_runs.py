"""A training loop of nothing but the profiler's window, for its tests and for their process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sm_entrypoints.contract import STEP_PHASES
from sm_entrypoints.instrumentation.phases import StepRecorder
from sm_entrypoints.instrumentation.profiler.operators import OperatorWindow


class Run:
    """A training loop of nothing but the window and a little work."""

    def __init__(self, folder: Path, steps_per_epoch: int, epochs: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.steps = StepRecorder(folder / "steps.csv")
        self.window = OperatorWindow(folder, self.steps)
        self.shape = (steps_per_epoch, epochs)
        self.profiled: list[int] = []
        self.model = nn.Linear(4, 4)

    def step(self, *, watched: bool = False, seconds: float | None = None) -> None:
        if self.window.active:
            self.profiled.append(self.steps.counts["TRAIN"])
        for name in STEP_PHASES:
            with self.window.annotate(name, self.steps.phase(name)):
                self.model(torch.ones(4))
        spent = self.steps.end_step(1)
        self.window.after_step(spent if seconds is None else seconds, watched=watched)

    def epoch(self, number: int, *, watched: frozenset[int] = frozenset()) -> None:
        self.window.begin_epoch(training=True)
        self.steps.begin_epoch(number, "TRAIN")
        for index in range(self.shape[0]):
            self.step(watched=index + 1 in watched)
        self.window.begin_epoch(training=False)

    def whole(self, *, watched: frozenset[int] = frozenset()) -> dict[str, Any] | None:
        self.window.schedule(*self.shape)
        for number in range(1, self.shape[1] + 1):
            self.epoch(number, watched=watched)
        self.window.close()
        self.steps.close()
        return self.window.summary()
