"""SageMaker Debugger's own hook (smdebug), when the job's ``debughookconfig.json`` asks for one.

smdebug 1.0.34 is the last release, from 2023; images after PyTorch 2.1 do not include it. Only this
module imports it, and as late as possible, because importing it reads the environment, sets up
logging to stdout, and fails in several ways with newer libraries.
"""

from __future__ import annotations

import atexit
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sm_entrypoints.instrumentation.quota import Quota
from sm_entrypoints.job.containment import Containment

# Losses are what everybody looks for, and small: no quota drops them.
_UNLIMITED_BYTES = 64


class DebuggerHook:
    """The real ``smdebug.pytorch.Hook`` on a model and its loss, kept from harming the job.

    Tensors go to the ``LocalPath`` of the configuration, in smdebug's layout. What the model is
    called for before the first :meth:`set_mode` (computing features) and after :meth:`close`
    (the test) is no step of the training: smdebug does not see it.

    ``forward_seconds`` and ``backward_seconds`` are what it took inside these phases of the current
    step; ``seconds`` is what it took in all.

    Args:
        config_path: the ``debughookconfig.json`` of the job.
        model: gets forward hooks on every module and gradient hooks on trainable parameters.
        loss_function: a module of ``torch.nn.modules.loss``; must be called as a module.
        containment: runs the hooks; a failure ends the tensors, not the job.
        quota_bytes: how much raw tensors may take in all (single numbers are always saved); None
            takes the configuration at its word.
        lean: pass over layers in steps that save losses only: saves what smdebug saves, in a
            fraction of its time.

    Raises:
        ImportError: smdebug, or something it needs, is not installed.
        Exception: whatever smdebug raises for a configuration it does not take.
    """

    def __init__(
        self,
        config_path: Path,
        *,
        model: nn.Module,
        loss_function: nn.Module,
        containment: Containment,
        quota_bytes: int | None = None,
        lean: bool = True,
    ) -> None:
        self.forward_seconds = self.backward_seconds = self.seconds = 0.0
        self._listening = False
        self._quota = None if quota_bytes is None else Quota(quota_bytes)
        # Framework profiling works with PyTorch < 2 only (AWS's guide), but smdebug would write
        # its files to /opt/ml/output/profiler and read the configuration at every step.
        os.environ["SMPROFILER_CONFIG_PATH"] = os.devnull
        # At its default level it prints a line for each parameter, between the metrics.
        os.environ.setdefault("SMDEBUG_LOG_LEVEL", "warning")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its source predates Python 3.12's rules on escapes
            import smdebug
            import smdebug.pytorch
            from smdebug.core.utils import error_handling_agent
        self._modes = smdebug.modes
        self._agent = error_handling_agent
        self._agent.disable_smdebug = False  # it may be so since an earlier job of this process
        self._hook: Any = smdebug.pytorch.Hook.create_from_json_file(str(config_path))
        if self._hook is None:
            raise RuntimeError("smdebug did not create a hook; its log says why")
        self._agent.hook = _Outspoken()
        try:
            self._complete_collections()
            if lean:
                self._pass_over_layers(loss_function)
            self._contain(containment)
            self._hook.register_module(model)
            self._hook.register_loss(loss_function)
        except BaseException:
            self.forget()
            raise

    def _complete_collections(self) -> None:
        """Say which tensors are in the ReLU collections that AWS's own rules ask for by name.

        smdebug knows its default collections only, and stops at any other without a pattern.
        """
        collections = self._hook.get_collections()
        for name in ("relu_input", "relu_output"):
            if name in collections and not collections[name].include_regex:
                collections[name].include(f".*{name}")

    def _pass_over_layers(self, loss_function: nn.Module) -> None:
        """Look at layers and parameters only in steps that save more than losses.

        For a loss, smdebug matches the names of every layer and parameter with every pattern, in
        every step: 5 ms a step of mobilenet_v2.
        """
        hook = self._hook
        forward_hook, log_parameters = hook.forward_hook, hook._log_params

        def wanted() -> bool:
            return any(each.name != "losses" for each in hook._get_collections_to_save_for_step())

        def on_forward(module: nn.Module, inputs: Any, outputs: Any) -> None:
            if module is loss_function or wanted():
                forward_hook(module, inputs, outputs)

        def on_parameters(module: nn.Module) -> None:
            if wanted():
                log_parameters(module)

        hook.forward_hook, hook._log_params = on_forward, on_parameters

    def _contain(self, containment: Containment) -> None:
        """Guard all that the model will call, and take the time of it.

        What the hooks return stays here as well: to torch, it would be another input or gradient.
        """
        hook, make_backward_hook = self._hook, self._hook.backward_hook

        def guarded(phase: str, work: Callable[..., Any]) -> Callable[..., None]:
            def timed(*arguments: Any) -> None:
                began = time.perf_counter()
                work(*arguments)
                setattr(self, phase, getattr(self, phase) + time.perf_counter() - began)

            def run(*arguments: Any) -> None:
                if self._listening:
                    containment.run(timed, *arguments)

            return run

        hook.backward_hook = lambda name: guarded("backward_seconds", make_backward_hook(name))
        for name in ("forward_pre_hook", "forward_hook", "fhook"):
            setattr(hook, name, guarded("forward_seconds", getattr(hook, name)))
        # Types that NumPy does not have.
        hook._make_numpy_array = _to_numpy
        if self._quota is not None:
            hook._write_raw_tensor_simple = self._limited(self._quota)

    def _limited(self, quota: Quota) -> Callable[..., None]:
        write = self._hook._write_raw_tensor_simple

        def limited(tensor_name: str, tensor_value: Any, **options: Any) -> None:
            size = getattr(tensor_value, "nbytes", 0)
            if size <= _UNLIMITED_BYTES or quota.take_at(self._hook.step, size):
                write(tensor_name, tensor_value, **options)

        return limited

    def end_step(self) -> None:
        """Book the seconds of the current step, and start the next step's."""
        self.seconds += self.forward_seconds + self.backward_seconds
        self.forward_seconds = self.backward_seconds = 0.0

    @property
    def switched_off(self) -> bool:
        """Whether smdebug met an error and switched itself off; its log has the traceback."""
        return bool(self._agent.disable_smdebug)

    def set_mode(self, mode: str) -> None:
        """Say whether the following steps are TRAIN or EVAL; smdebug counts them apart."""
        self._hook.set_mode(self._modes[mode])
        self._listening = True

    def forget(self) -> None:
        """Let smdebug see nothing any more, neither the model nor the end of the process."""
        self._listening = False
        # It would run when the interpreter exits, after the files were collected.
        atexit.unregister(self._hook._cleanup)

    def close(self) -> dict[str, Any]:
        """End the trial, so that readers do not wait for more; return what to tell of it.

        The ``smdebug`` member of ``summary.json``: path, tensors saved, tensors (values at a step)
        that the quota dropped, and the seconds that it took.
        """
        self.end_step()
        self.forget()
        self._hook.close()
        collections = self._hook.get_collections().values()
        names = {name for collection in collections for name in collection.tensor_names}
        return {
            "path": str(self._hook.out_dir),
            "tensors": len(names),
            "dropped": 0 if self._quota is None else self._quota.dropped,
            "overhead_seconds": self.seconds,
        }


class _Outspoken:
    """What smdebug's agent asks whether it may swallow an error: no, ours says it in one line."""

    def has_default_configuration(self) -> bool:
        return False


def _to_numpy(value: Any) -> np.ndarray[Any, Any]:
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    array: np.ndarray[Any, Any] = (
        value.float() if value.dtype is torch.bfloat16 else value
    ).numpy()
    return array
