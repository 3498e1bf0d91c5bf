"""Some heads that are trained together on one stream, and how an epoch of them goes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from sm_entrypoints.searching.first_heads import Layout
from sm_entrypoints.searching.forward import forward_of
from sm_entrypoints.searching.rows import Rows
from sm_entrypoints.searching.scores import Sums
from sm_entrypoints.searching.stream import Block, Step
from sm_entrypoints.searching.tail_plan import TailPlan
from sm_entrypoints.training.optimisation import peak_rates, rate_factor

# Rows of validation that are scored at a time, times heads and classes.
_SCORED_NUMBERS = 4 << 20


class Pack:
    """Heads whose parameters are stacked; ``sums`` are those of the training since they were set.

    Args:
        rows: the heads.
        plan: of the tail.
        layout: which of its layers the parameters belong to.
    """

    def __init__(self, rows: Rows, plan: TailPlan, layout: Layout) -> None:
        self.rows = rows
        self.sums = Sums.zero(len(rows))
        self._plan = plan
        self._layout = layout
        self._forward = forward_of(plan, layout.names, rows)
        smoothing = [each.label_smoothing for each in rows.arguments]
        self._smoothing = torch.tensor(smoothing, device=rows.device)[None, :, None]
        self._smooth = any(smoothing)
        pretrained = layout.pretrained
        self._peaks = [peak_rates(each, pretrained=pretrained) for each in rows.arguments]

    def __len__(self) -> int:
        return len(self.rows)

    def kept(self, rows: Sequence[int]) -> Pack:
        """Return the heads that go on."""
        return Pack(self.rows.kept(rows), self._plan, self._layout)

    def learn(self, block: Block, steps_per_epoch: int) -> None:
        """Train on a block of steps, and add what was right to ``sums``."""
        labels = torch.cat([step.labels for step in block.steps])
        shape = (len(labels), len(self), self._layout.classes)
        logits = block.steps[0].inputs.new_empty(shape)
        truth = one_hot(labels, self._layout.classes).to(logits.dtype)[:, None]
        block.random.restore()
        sizes = [len(step.labels) for step in block.steps]
        with torch.no_grad():
            parts = zip(block.steps, logits.split(sizes), truth.split(sizes), strict=True)
            for step, out, right in parts:
                self._step(step, out, right, steps_per_epoch)
            self.sums.add(logits, labels)

    def score(self, inputs: Tensor, labels: Tensor) -> Sums:
        """Return the sums of validation."""
        sums = Sums.zero(len(self))
        rows = max(1, _SCORED_NUMBERS // (len(self) * self._layout.classes))
        for part, truth in zip(inputs.split(rows), labels.split(rows), strict=True):
            sums.add(self._forward.score(part), truth)
        return sums

    def rate(self, row: int, step: int, steps_per_epoch: int) -> float:
        """Return the head's learning rate of a trial at a step of its training."""
        arguments = self.rows.arguments[row]
        return self._peaks[row][0] * rate_factor(arguments, step, steps_per_epoch)

    def _step(self, step: Step, out: Tensor, truth: Tensor, steps_per_epoch: int) -> None:
        self._forward.learn(step.inputs, step.noises, out)
        self._forward.backward(self._change(out, truth))
        rates = []
        for arguments, (head, before) in zip(self.rows.arguments, self._peaks, strict=True):
            factor = rate_factor(arguments, self.rows.steps, steps_per_epoch)
            rates.append((head * factor, before * factor))
        self.rows.step(rates)

    def _change(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the gradients of the mean cross entropies, label smoothing included.

        ``truth`` is 1 for the label of a sample, else 0. Small steps are many: few calls count.
        """
        change = logits.softmax(2)
        if self._smooth:
            change -= self._smoothing / self._layout.classes
            change.addcmul_(truth, 1 - self._smoothing, value=-1)
        else:
            change -= truth
        return change.div_(len(truth))
