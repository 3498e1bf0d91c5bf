"""Find at once which of a network's tensors are not finite, and which came first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sm_entrypoints.features.backbone import without_hooks
from sm_entrypoints.instrumentation.line_writer import Place
from sm_entrypoints.instrumentation.tensors.activations import first_tensor
from sm_entrypoints.instrumentation.tensors.summary import plain
from sm_entrypoints.job.containment import Containment

# Once a network is broken every step is: the first ones tell how it began.
MOST_EVENTS = 3


class NonFiniteDetector:
    """Watch the outputs of a model's training steps; name what broke them.

    Between :meth:`attach` and :meth:`detach` the last training step's input and output are kept
    (references, no copies); :meth:`forget` lets them go. What fails within the model's own calls
    stays in ``containment``.
    """

    def __init__(self, model: nn.Module, containment: Containment) -> None:
        self._model = model
        self._containment = containment
        self._handle: Any = None
        self._inputs: tuple[Any, ...] = ()
        self._output: Tensor | None = None
        self._autocast: tuple[str, torch.dtype, bool] = ("cpu", torch.float32, False)
        self.events: list[dict[str, Any]] = []

    def noted(self, place: Place) -> bool:
        """Return whether the last event is one of this very step."""
        return bool(self.events) and place._asdict().items() <= self.events[-1].items()

    @property
    def exhausted(self) -> bool:
        """Whether enough events were recorded."""
        return len(self.events) >= MOST_EVENTS

    def attach(self) -> None:
        """Begin to keep inputs and outputs."""
        self.detach()

        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self._containment.run(self._keep, module, inputs, output)

        self._handle = self._model.register_forward_hook(hook)

    def detach(self) -> None:
        """Stop keeping; forget what is kept."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self.forget()

    def forget(self) -> None:
        """Let the current step's tensors go."""
        self._inputs, self._output = (), None

    def broken_output(self) -> bool:
        """Return whether the current step's output has NaN or infinities.

        Only where looking is free: on a GPU it would wait for the device, so there a broken
        step is noticed by its loss.
        """
        output = self._output
        if output is None or output.device.type != "cpu" or self.exhausted:
            return False
        # The sum is quick, but may overflow where all is well.
        return not math.isfinite(float(output.float().sum())) and not _finite(output)

    def repeat_forward(self, prepare: Callable[[], None]) -> str | None:
        """Repeat the step's forward pass, and return the first tensor in it that is not finite.

        The pass leaves no trace: hooks are off, buffers and random state are put back. It is left
        out where it would exchange data with other processes (SyncBatchNorm).

        Args:
            prepare: called once all hooks are off; hooks that it adds last for this pass only.

        Returns:
            The name of the first input, weight or layer output, in the order of execution.
        """
        if not self._inputs or any(
            isinstance(module, nn.SyncBatchNorm) for module in self._model.modules()
        ):
            return None
        device, dtype, enabled = self._autocast
        broken: list[str] = []
        if any(not _finite(tensor) for tensor in self._inputs if isinstance(tensor, Tensor)):
            broken.append("input")
        with (
            without_hooks(self._model),
            _unchanged_buffers(self._model),
            torch.random.fork_rng(),
            torch.no_grad(),
            torch.autocast(device, dtype=dtype, enabled=enabled),
        ):
            prepare()
            for name, module in self._model.named_modules():
                if not any(True for _ in module.children()):
                    module.register_forward_pre_hook(_weights_hook(name, self._prefix, broken))
                    module.register_forward_hook(_output_hook(name, broken))
            self._model(*self._inputs)
        return broken[0] if broken else None

    def broken_weights(self) -> list[str]:
        """Return the names of weights and buffers that are not finite, frozen ones too."""
        state = (*self._model.named_parameters(), *self._model.named_buffers())
        return [f"{self._prefix}_{name}" for name, tensor in state if not _finite(tensor)]

    def broken_gradients(self) -> list[str]:
        """Return the names of gradients that are not finite."""
        return [
            f"gradient/{self._prefix}_{name}"
            for name, parameter in self._model.named_parameters()
            if parameter.grad is not None and not _finite(parameter.grad)
        ]

    def note(self, place: Place, first: str | None) -> dict[str, Any]:
        """Add an event and return it.

        ``first`` is what :meth:`repeat_forward` found; without it the first broken weight, else
        the first broken gradient is named.
        """
        weights, gradients = self.broken_weights(), self.broken_gradients()
        event = {
            **place._asdict(),
            "first": first or next(iter([*weights, *gradients]), None),
            "weights": len(weights),
            "gradients": len(gradients),
        }
        self.events.append(event)
        return event

    @property
    def _prefix(self) -> str:
        return type(self._model).__name__

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not module.training and not torch.is_grad_enabled():
            return
        tensor = first_tensor(output)
        self._inputs = tuple(
            value.detach() if isinstance(value, Tensor) else value for value in inputs
        )
        self._output = None if tensor is None else tensor.detach()
        device = "cpu" if tensor is None else tensor.device.type
        enabled = torch.is_autocast_enabled(device)
        self._autocast = (device, torch.get_autocast_dtype(device), enabled)


def _weights_hook(name: str, prefix: str, found: list[str]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any) -> None:
        if found:
            return
        state = (*module.named_parameters(), *module.named_buffers())
        for own, tensor in state:
            if not _finite(tensor):
                found.append(f"{prefix}_{name}.{own}" if name else f"{prefix}_{own}")
                return

    return hook


def _output_hook(name: str, found: list[str]) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if not found and tensor is not None and not _finite(tensor):
            found.append(f"{name}_output_0" if name else "output")

    return hook


def _finite(tensor: Tensor) -> bool:
    tensor = plain(tensor)
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    return all(math.isfinite(float(value)) for value in torch.aminmax(tensor))


@contextmanager
def _unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Put a model's buffers (the statistics of batch normalisation) back in the end."""
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
