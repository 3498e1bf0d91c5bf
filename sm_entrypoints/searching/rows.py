"""The parameters of several heads, stacked, each with an optimiser of its own.

Every tensor has a trial in each row. A row is only ever changed by its own gradient: a head whose
loss is not a number changes no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.searching.optimiser_steps import Moments, fused, has_fused_steps, stacked


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of all heads, and the running means of their optimisers.

    ``head``: whether it learns at the head's rate, or at that of layers before it.
    """

    value: Tensor
    gradient: Tensor
    mean: Tensor
    square: Tensor
    head: bool

    @classmethod
    def start(cls, value: Tensor, *, head: bool) -> Parameter:
        """Return a parameter that has not learned yet."""
        gradient, mean, square = (torch.zeros_like(value) for _ in range(3))
        return cls(value=value, gradient=gradient, mean=mean, square=square, head=head)

    def rows(self, rows: Tensor) -> Parameter:
        """Return a copy of some of the rows."""
        return Parameter(
            value=self.value[rows],
            gradient=self.gradient[rows],
            mean=self.mean[rows],
            square=self.square[rows],
            head=self.head,
        )


class Rows:
    """The heads of several trials: a row of each parameter for each of ``arguments``.

    Neighbours with the same optimiser step together where that is faster.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        arguments: Sequence[TrainingArguments],
        steps: int = 0,
    ) -> None:
        self.parameters = dict(parameters)
        self.arguments = tuple(arguments)
        self.steps = steps
        self.values = {name: each.value for name, each in self.parameters.items()}
        self.gradients = {name: each.gradient for name, each in self.parameters.items()}
        self.device = next(iter(self.values.values())).device
        self._fused = has_fused_steps(self.device)
        self._count = torch.zeros((), dtype=torch.float32)
        places = [(row, row + 1) for row in range(len(self))] if self._fused else self._runs()
        self._parts = [
            (first, last, head, self._part(first, last, head=head))
            for head in sorted({each.head for each in self.parameters.values()})
            for first, last in places
        ]

    @classmethod
    def start(
        cls,
        values: Sequence[Mapping[str, Tensor]],
        heads: frozenset[str],
        arguments: Sequence[TrainingArguments],
    ) -> Rows:
        """Stack the first ``values`` of the trials; those of ``heads`` are of the head itself."""
        parameters = {
            name: Parameter.start(torch.stack([each[name] for each in values]), head=name in heads)
            for name in values[0]
        }
        return cls(parameters, arguments)

    def __len__(self) -> int:
        return len(self.arguments)

    @torch.no_grad()
    def kept(self, rows: Sequence[int]) -> Rows:
        """Return a copy of those heads that go on, and of their optimisers."""
        chosen = torch.tensor(list(rows), device=self.device)
        parameters = {name: each.rows(chosen) for name, each in self.parameters.items()}
        return Rows(parameters, [self.arguments[row] for row in rows], self.steps)

    def head(self, row: int) -> dict[str, Tensor]:
        """Return a copy of one trial's parameters, on the CPU."""
        return {name: value[row].detach().cpu().clone() for name, value in self.values.items()}

    @torch.no_grad()
    def step(self, rates: Sequence[tuple[float, float]]) -> None:
        """Step every head with the gradients that are there.

        Args:
            rates: of each row: the learning rates of the head, and of layers before it.
        """
        self.steps += 1
        self._count.fill_(self.steps)
        for first, last, head, part in self._parts:
            lrs = [rate[0] if head else rate[1] for rate in rates[first:last]]
            if self._fused:
                fused(part, self.arguments[first], lrs[0], self._count)
            else:
                stacked(part, self.arguments[first:last], lrs, self.steps)

    def _runs(self) -> list[tuple[int, int]]:
        """Return the first and the one after the last of neighbours with the same optimiser."""
        runs, first = [], 0
        for _, group in groupby(self.arguments, key=lambda each: each.optimizer):
            last = first + len(list(group))
            runs.append((first, last))
            first = last
        return runs

    def _part(self, first: int, last: int, *, head: bool) -> Moments:
        chosen = [each for each in self.parameters.values() if each.head == head]
        return Moments(
            values=[each.value[first:last] for each in chosen],
            gradients=[each.gradient[first:last] for each in chosen],
            means=[each.mean[first:last] for each in chosen],
            squares=[each.square[first:last] for each in chosen],
        )
