"""Pass on what flows through a network in one step: inputs, activations, outputs.

Names follow smdebug (``layer1.0.relu_output_0``): module, kind, and the number of the call, since
ResNet's blocks use one ReLU module twice.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from sm_entrypoints.features.backbone import Tail
from sm_entrypoints.job.containment import Containment

# Collection, name, the tensor, and the bounds within which an element is active.
Record = Callable[[str, str, Tensor, tuple[float, float] | None], None]

# Collections of what a network is given. Rules about images do not look at features.
IMAGES, FEATURES = "inputs", "features"
RELU_TYPES = (nn.ReLU, nn.ReLU6)
RELU_ACTIVE = (0.0, math.inf)
# Collections of inputs to functions that saturate, and the bounds of AWS's SaturatedActivation.
SATURATING: Mapping[type[nn.Module], tuple[str, tuple[float, float]]] = {
    nn.Tanh: ("tanh_input", (-9.4999, 9.4999)),
    nn.Sigmoid: ("sigmoid_input", (-23.0, 16.99999)),
}


class Activations:
    """Hooks on a model that pass tensors on while they are attached.

    ``seconds`` is the time that was spent in them since it was last set to 0. What ``record``
    raises stays in ``containment``. ``fed`` is the collection of the model's input.
    """

    def __init__(self, model: nn.Module, record: Record, containment: Containment) -> None:
        self._model = model
        self._record = record
        self._containment = containment
        self._hooks = ExitStack()
        self._calls: Counter[str] = Counter()
        self.fed = FEATURES if isinstance(model, Tail) else IMAGES
        self.seconds = 0.0

    def attach(self) -> None:
        """Put the hooks on the model, for one forward pass."""
        self.detach()
        self._calls.clear()
        self._watch(self._model, self.fed, "input")
        for name, module in self._model.named_modules():
            if isinstance(module, RELU_TYPES):
                # The input before the call: most ReLU modules overwrite it.
                self._watch(module, "relu_input", f"{name}_input")
                self._watch(module, "relu_output", f"{name}_output", RELU_ACTIVE, after=True)
            elif type(module) in SATURATING:
                collection, bounds = SATURATING[type(module)]
                self._watch(module, collection, f"{name}_input", bounds)
        self._watch(self._model, "outputs", "output", after=True)

    def detach(self) -> None:
        """Take the hooks off the model."""
        self._hooks.close()

    def _watch(
        self,
        module: nn.Module,
        collection: str,
        name: str,
        active: tuple[float, float] | None = None,
        *,
        after: bool = False,
    ) -> None:
        def hook(_module: nn.Module, *passed: Any) -> None:  # inputs, and afterwards the output
            self._containment.run(self._pass_on, collection, name, passed[-1], active)

        register = module.register_forward_hook if after else module.register_forward_pre_hook
        self._hooks.enter_context(register(hook))

    def _pass_on(
        self, collection: str, name: str, value: Any, active: tuple[float, float] | None
    ) -> None:
        began = time.perf_counter()
        tensor = first_tensor(value)
        if tensor is not None:
            full = name if name in ("input", "output") else f"{name}_{self._calls[name]}"
            self._record(collection, full, tensor, active)
            self._calls[name] += 1
        self.seconds += time.perf_counter() - began


def first_tensor(value: Any) -> Tensor | None:
    """Return the value, or the first tensor in it (GoogLeNet's logits come in a named tuple)."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        tensors = (first_tensor(member) for member in value)
        return next((tensor for tensor in tensors if tensor is not None), None)
    return None
