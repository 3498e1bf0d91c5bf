"""smdebug's hook in a job: optional, contained, and read back when the training has ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from sm_entrypoints.contract import SAVED_TENSORS_FILE
from sm_entrypoints.contract.files import write_text
from sm_entrypoints.instrumentation.phases import StepRecorder
from sm_entrypoints.instrumentation.smdebug.hook import DebuggerHook
from sm_entrypoints.instrumentation.smdebug.saved_tensors import read_saved_tensors
from sm_entrypoints.job.containment import Containment


class Debugging:
    """What :class:`Instrumentation` tells of epochs and steps, passed on to smdebug's hook.

    Args:
        config_path: the job's ``debughookconfig.json``; None without one: then nothing is done.
        model: see :class:`DebuggerHook`.
        loss_function: see :class:`DebuggerHook`.
        quota_bytes: see :class:`DebuggerHook`.
    """

    def __init__(
        self,
        config_path: Path | None,
        *,
        model: nn.Module,
        loss_function: nn.Module,
        quota_bytes: int | None,
    ) -> None:
        self._containment = Containment("smdebug", on_failure=self._forget)
        self._hook: DebuggerHook | None = None
        self._switched_off = False
        if config_path is not None:
            self._hook = self._containment.run(
                DebuggerHook,
                config_path,
                model=model,
                loss_function=loss_function,
                containment=self._containment,
                quota_bytes=quota_bytes,
            )
            self._look()

    @property
    def failure(self) -> str | None:
        """What ended smdebug, if something did."""
        off = "switched itself off" if self._switched_off else None
        return self._containment.failure or off

    def begin_epoch(self, mode: str) -> None:
        """Say that steps of ``mode`` follow."""
        if self._hook is not None:
            self._containment.run(self._hook.set_mode, mode)

    def exclude_from(self, steps: StepRecorder) -> None:
        """End a step: take smdebug's own time in it out of its phases."""
        if self._hook is None:
            return
        steps.exclude("forward", self._hook.forward_seconds)
        steps.exclude("backward", self._hook.backward_seconds)
        self._hook.end_step()
        self._look()

    def close(self, folder: Path) -> dict[str, Any] | None:
        """End the trial, write ``saved_tensors.json`` into ``folder``; return its summary.

        None without a hook, or when it failed before.
        """
        if self._hook is None:
            return None
        summary = self._containment.attempt(self._hook.close)
        if summary is not None:
            self._containment.attempt(_write_saved_tensors, Path(summary["path"]), folder)
        return summary

    def _look(self) -> None:
        if self._hook is not None and self._hook.switched_off:
            print("smdebug switched itself off (its log says why); training continues.", flush=True)
            self._switched_off = True
            self._forget()

    def _forget(self) -> None:
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.forget()


def _write_saved_tensors(tensors: Path, folder: Path) -> None:
    document = read_saved_tensors(tensors)
    write_text(folder / SAVED_TENSORS_FILE, json.dumps(document, indent=2) + "\n")
