"""List the tensors that smdebug saved, read back through its own ``create_trial``.

Only names, steps, shapes and types are listed; one value of each tensor is loaded, as proof that it
can be read. smdebug is imported late: see :mod:`sm_entrypoints.instrumentation.smdebug.hook`.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sm_entrypoints.job.containment import describe

# Reading back may not hold up the end of a job.
READ_SECONDS = 5.0
_MODES = ("TRAIN", "EVAL", "PREDICT", "GLOBAL")
# Collections that every tensor may be in besides its own.
_GENERAL = ("all", "default")


def read_saved_tensors(folder: Path, *, seconds: float = READ_SECONDS) -> dict[str, Any]:
    """Return the content of ``saved_tensors.json`` for a folder in smdebug's layout.

    When the reading takes longer than ``seconds``, or fails, what was read until then is
    returned, with a ``note`` that says so. The size and the version are always there.

    Raises:
        ImportError: smdebug is not installed.
    """
    reading = _Reading(folder, time.monotonic() + seconds)
    # smdebug waits without a limit for files that do not come; a thread can be left behind.
    thread = threading.Thread(target=reading.run, name="saved tensors", daemon=True)
    thread.start()
    thread.join(seconds + 1)
    return reading.document(late=thread.is_alive())


class _Reading:
    """A trial being read in a thread; ``document`` gives what there is so far."""

    def __init__(self, folder: Path, deadline: float) -> None:
        self._folder = folder
        self._deadline = deadline
        self._create_trial, self._modes, self._version = import_smdebug()
        self._steps: dict[str, int] = {}
        self._tensors: list[dict[str, Any]] = []
        self._note: str | None = None

    def document(self, *, late: bool) -> dict[str, Any]:
        note = "reading back was cut: it took too long" if late else self._note
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return {
            "source": f"smdebug {self._version}",
            "tensors": list(self._tensors),
            "bytes": sum(path.stat().st_size for path in files),
            "steps": dict(self._steps),
            **({} if note is None else {"note": note}),
        }

    def run(self) -> None:
        try:
            self._read()
        # smdebug raises all kinds of errors over a folder that is not complete.
        except BaseException as error:  # noqa: BLE001 - a thread of its own: nothing else ends
            self._note = f"reading back ended early: {describe(error)}"

    def _read(self) -> None:
        trial = self._create_trial(str(self._folder))
        counts = {mode: len(trial.steps(mode=self._modes[mode])) for mode in _MODES[:2]}
        self._steps = counts
        names = trial.tensor_names()
        collections = _collections(trial)
        for number, name in enumerate(names):
            if time.monotonic() > self._deadline:
                self._note = f"reading back was cut after {number} of {len(names)} tensors"
                return
            described = self._describe(trial.tensor(name))
            self._tensors.append({"name": name, "collection": collections.get(name), **described})

    def _describe(self, tensor: Any) -> dict[str, Any]:
        steps_by_mode = {mode: tensor.steps(mode=self._modes[mode]) for mode in _MODES}
        # The global count says the same again for what has a mode.
        modes = [mode for mode in _MODES[:3] if steps_by_mode[mode]] or ["GLOBAL"]
        steps = steps_by_mode[modes[0]]
        return {
            "steps": sum(len(steps_by_mode[mode]) for mode in modes),
            "modes": modes,
            "first_step": steps[0] if steps else None,
            "last_step": steps[-1] if steps else None,
            **self._form(tensor, steps, modes[0]),
        }

    def _form(self, tensor: Any, steps: list[int], mode: str) -> dict[str, Any]:
        """Return shape and type of the tensor, or the reductions that stand for it."""
        for step in steps[:1]:
            reductions = tensor.reduction_values(step, mode=self._modes[mode])
            if reductions:
                names = sorted(f"abs_{name}" if of else name for name, of in reductions)
                return {"shape": None, "dtype": None, "reductions": names}
            value = tensor.value(step, mode=self._modes[mode])
            return {"shape": list(value.shape), "dtype": str(value.dtype)}
        return {"shape": None, "dtype": None}


def _collections(trial: Any) -> Mapping[str, str]:
    """Return the collection of each tensor; its own one rather than a general one."""
    collections = trial.collections().items()
    pairs = [(tensor, name) for name, each in collections for tensor in each.tensor_names]
    return dict(sorted(pairs, key=lambda pair: pair[1] not in _GENERAL))


def import_smdebug() -> tuple[Any, Any, str]:
    """Return smdebug's ``create_trial``, its modes and its version.

    Raises:
        ImportError: it is not installed.
    """
    # Its trials wait a second for files that are under way from S3; ours lie on this machine.
    os.environ.setdefault("SMDEBUG_TRAINING_END_DELAY_REFRESH", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source predates Python 3.12's rules on escapes
        import smdebug
        from smdebug.trials import create_trial
    return create_trial, smdebug.modes, str(smdebug.__version__)
