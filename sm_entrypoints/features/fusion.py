"""A frozen backbone as one graph, whose layers are fused: the same float32 numbers, sooner.

Batch normalisation is folded into the convolutions before it, activations are applied where they
are, and weights lie as the processor's kernels want them. TorchScript does that in about a second,
without a compiler; sums come in another order, which changes the last bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

Graph = Callable[[Tensor], Tensor]


class FusionError(Exception):
    """Raised when a network cannot be made one graph; it can be run as it is."""


class Entering(nn.Module):
    """A network up to a module of it: gives what enters that module. Hooks of others fire too.

    Args:
        model: the network.
        module: the part of it whose input is wanted.
    """

    def __init__(self, model: nn.Module, module: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._module = (module,)  # no child: it is one already

    def forward(self, images: Tensor) -> Tensor:
        """Return what enters the module.

        Raises:
            LookupError: the network did not call it.
        """
        entered: list[Tensor] = []
        register = self._module[0].register_forward_pre_hook
        with register(lambda _, inputs: entered.append(inputs[0])):
            self.model(images)
        if not entered:
            raise LookupError("the network does not call its own module")
        return entered[0]


def fused(network: nn.Module, example: Tensor) -> Graph:
    """Return a network in evaluation mode as one graph for float32 on the CPU.

    Args:
        network: has no hooks but its own, and is not changed.
        example: any input of it, of two samples or more; other numbers of samples are taken later.

    Raises:
        FusionError: it cannot be traced, or this PyTorch cannot do it any more.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a trace fixes: the caller compares numbers
            traced = torch.jit.trace(network, example, check_trace=False)
            graph: Graph = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
            graph(example)  # some kernels refuse sizes that the network's own take
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:
        raise FusionError(f"the network cannot be made one graph: {error}") from None
    return graph
