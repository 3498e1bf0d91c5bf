"""The heads that trials start from: the same as ``train.py`` builds with the trial's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sm_entrypoints.features.backbone import Built
from sm_entrypoints.models.model import build_model, head_name
from sm_entrypoints.searching.tail_plan import TailPlan, learns


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the parameters of heads belong to the tail.

    ``names``: of the layers that learn, by their places among the own layers. ``pretrained``
    decides the learning rate of those before the head.
    """

    names: Mapping[int, str]
    classes: int
    pretrained: bool


class FirstHeads:
    """Initial parameters by seed, each built once.

    Args:
        built: the network whose backbone all trials share.
        plan: of its tail.
        seed: with which it was built.
    """

    def __init__(self, built: Built, plan: TailPlan, seed: int) -> None:
        model = built.model
        named = {id(module): name for name, module in model.named_modules()}
        places = {place: named[id(layer)] for place, layer in enumerate(plan.own) if learns(layer)}
        self.layout = Layout(
            names=places, classes=len(built.card.classes), pretrained=built.pretrained
        )
        self._built = built
        mine = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        self._seed, self._by_seed = seed, {seed: mine}
        self._drawn: frozenset[str] | None = None
        self.heads = frozenset(n for n in mine if n.startswith(f"{head_name(model)}."))
        self.bytes = sum(value.numel() * value.element_size() for value in mine.values())

    def of(self, seed: int) -> dict[str, Tensor]:
        """Return the first parameters of a trial with ``seed``, by their names in the model."""
        if seed not in self._by_seed:
            mine, fresh = self._by_seed[self._seed], self._fresh(seed)
            if self._drawn is None:
                again = self._fresh(self._seed)
                # What weights were loaded into differs, and is the same for every seed.
                self._drawn = frozenset(n for n in mine if torch.equal(mine[n], again[n]))
            self._by_seed[seed] = {n: fresh[n] if n in self._drawn else mine[n] for n in mine}
        return self._by_seed[seed]

    def _fresh(self, seed: int) -> dict[str, Tensor]:
        card, mine = self._built.card, self._by_seed[self._seed]
        torch.manual_seed(seed)
        model = build_model(card.architecture, len(card.classes), image_size=card.image_size)
        device = self._built.compute.device
        return {
            name: parameter.detach().to(device)
            for name, parameter in model.named_parameters()
            if name in mine
        }
