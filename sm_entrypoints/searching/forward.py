"""The own layers of several heads, forwards and backwards, in the three ways of a tail plan.

A way gives logits of the shape (samples, heads, classes), and fills the gradients of the heads'
parameters when it is told how the loss changes with the logits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import conv2d

from sm_entrypoints.job.random_state import RandomState
from sm_entrypoints.searching.rows import Rows
from sm_entrypoints.searching.tail_plan import TailPlan


class Forward(ABC):
    """How the heads in the rows of ``rows`` are run."""

    def __init__(self, plan: TailPlan, names: Mapping[int, str], rows: Rows) -> None:
        self.plan = plan
        self.names = names
        self.rows = rows

    @abstractmethod
    def learn(self, inputs: Tensor, noises: Sequence[Tensor], out: Tensor) -> None:
        """Write the logits of training into ``out``; ``noises`` are those of the own dropouts."""

    @abstractmethod
    def backward(self, change: Tensor) -> None:
        """Fill the gradients of the last :meth:`learn` from those of its logits."""

    @abstractmethod
    def score(self, inputs: Tensor) -> Tensor:
        """Return the logits of evaluation."""


class LinearHeads(Forward):
    """Heads that are one linear layer: two products of matrices a step, for all of them."""

    def __init__(self, plan: TailPlan, names: Mapping[int, str], rows: Rows) -> None:
        super().__init__(plan, names, rows)
        name = names[0]
        weight = rows.values[f"{name}.weight"]
        self._shape = weight.shape[:2]
        self._weight = weight.flatten(0, 1)
        self._into = rows.gradients[f"{name}.weight"].flatten(0, 1)
        bias = rows.values.get(f"{name}.bias")
        self._bias = None if bias is None else bias.flatten()
        self._bias_into = None if bias is None else rows.gradients[f"{name}.bias"].flatten()
        self._inputs = weight

    def learn(self, inputs: Tensor, noises: Sequence[Tensor], out: Tensor) -> None:
        """See :class:`Forward`."""
        self._inputs = inputs
        self._product(inputs, out.flatten(1))

    def backward(self, change: Tensor) -> None:
        """See :class:`Forward`."""
        flat = change.flatten(1)
        torch.mm(flat.t(), self._inputs, out=self._into)
        if self._bias_into is not None:
            torch.sum(flat, 0, out=self._bias_into)

    def score(self, inputs: Tensor) -> Tensor:
        """See :class:`Forward`."""
        out = inputs.new_empty((len(inputs), *self._shape))
        self._product(inputs, out.flatten(1))
        return out

    def _product(self, inputs: Tensor, out: Tensor) -> None:
        if self._bias is None:
            torch.mm(inputs, self._weight.t(), out=out)
        else:
            torch.addmm(self._bias, inputs, self._weight.t(), out=out)


class StackedHeads(Forward):
    """Heads of several layers, each run for all heads at once; autograd goes back through them."""

    def __init__(self, plan: TailPlan, names: Mapping[int, str], rows: Rows) -> None:
        super().__init__(plan, names, rows)
        self._leaves = {name: value.requires_grad_() for name, value in rows.values.items()}
        self._logits = next(iter(self._leaves.values()))

    def learn(self, inputs: Tensor, noises: Sequence[Tensor], out: Tensor) -> None:
        """See :class:`Forward`."""
        with torch.enable_grad():
            self._logits = self._run(inputs, iter(noises))
        out.copy_(self._logits.detach())

    def backward(self, change: Tensor) -> None:
        """See :class:`Forward`."""
        found = torch.autograd.grad(self._logits, list(self._leaves.values()), change)
        for into, gradient in zip(self.rows.gradients.values(), found, strict=True):
            into.copy_(gradient)

    def score(self, inputs: Tensor) -> Tensor:
        """See :class:`Forward`."""
        with torch.no_grad():
            return self._run(inputs, None)

    def _run(self, inputs: Tensor, noises: Iterator[Tensor] | None) -> Tensor:
        """Run maps as (samples, heads * channels, …), numbers as (heads, samples, numbers)."""
        heads, count, stacked = len(self.rows), len(inputs), False
        for place, layer in enumerate(self.plan.own):
            if isinstance(layer, nn.Conv2d):
                inputs = self._convolution(place, layer, inputs)
            elif isinstance(layer, nn.Linear):
                inputs = self._linear(place, layer, inputs if stacked else inputs[None])
                stacked = True
            elif isinstance(layer, nn.Dropout):
                inputs = inputs if noises is None else inputs * next(noises)
            elif not isinstance(layer, nn.Flatten):
                inputs = layer(inputs.clone() if getattr(layer, "inplace", False) else inputs)
        if stacked:
            return inputs.transpose(0, 1)
        return inputs.reshape(count, heads, -1)

    def _convolution(self, place: int, layer: nn.Conv2d, inputs: Tensor) -> Tensor:
        name = self.names[place]
        weight, bias = self._leaves[f"{name}.weight"], self._leaves.get(f"{name}.bias")
        return conv2d(
            inputs,
            weight.flatten(0, 1),
            None if bias is None else bias.flatten(),
            layer.stride,
            layer.padding,
            layer.dilation,
        )

    def _linear(self, place: int, layer: nn.Linear, inputs: Tensor) -> Tensor:
        name = self.names.get(place)
        if name is None:
            return layer(inputs)  # type: ignore[no-any-return]
        weight, bias = self._leaves[f"{name}.weight"], self._leaves.get(f"{name}.bias")
        outputs = inputs.expand(len(weight), -1, -1) @ weight.transpose(1, 2)
        return outputs if bias is None else outputs + bias[:, None]


class HeadsApart(Forward):
    """Whole tails, run one trial after another: for layers that cannot be stacked."""

    def __init__(self, plan: TailPlan, names: Mapping[int, str], rows: Rows) -> None:
        super().__init__(plan, names, rows)
        self._tail = nn.Sequential(*plan.own)
        self._leaves = {name: value.requires_grad_() for name, value in rows.values.items()}
        self._logits: list[Tensor] = []

    def learn(self, inputs: Tensor, noises: Sequence[Tensor], out: Tensor) -> None:
        """See :class:`Forward`. Each trial starts from the random state there is."""
        self._tail.train()
        state, self._logits = RandomState.now(inputs.device), []
        for row in range(len(self.rows)):
            state.restore()
            with torch.enable_grad():
                self._logits.append(self._run(row, inputs))
            out[:, row] = self._logits[row].detach()

    def backward(self, change: Tensor) -> None:
        """See :class:`Forward`."""
        for row, logits in enumerate(self._logits):
            found = torch.autograd.grad(logits, list(self._leaves.values()), change[:, row])
            for into, gradient in zip(self.rows.gradients.values(), found, strict=True):
                into[row] = gradient[row]

    def score(self, inputs: Tensor) -> Tensor:
        """See :class:`Forward`."""
        self._tail.eval()
        with torch.no_grad():
            rows = [self._run(row, inputs) for row in range(len(self.rows))]
        return torch.stack(rows, 1)

    def _run(self, row: int, inputs: Tensor) -> Tensor:
        own = {
            f"{place}.{parameter}": self._leaves[f"{name}.{parameter}"][row]
            for place, name in self.names.items()
            for parameter, tensor in self.plan.own[place].named_parameters()
            if tensor.requires_grad
        }
        # A layer that works in place must not change what the next trial reads.
        return functional_call(self._tail, own, (inputs.clone(),)).flatten(1)  # type: ignore[no-any-return]


def forward_of(plan: TailPlan, names: Mapping[int, str], rows: Rows) -> Forward:
    """Return the way of ``plan`` for ``rows``.

    Args:
        plan: of the tail.
        names: by its place among the own layers, the name of each that learns.
        rows: the heads; their parameters are named ``<layer>.<parameter>``.
    """
    if plan.way == "linear":
        return LinearHeads(plan, names, rows)
    return (StackedHeads if plan.way == "stacked" else HeadsApart)(plan, names, rows)
