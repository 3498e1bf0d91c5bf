"""Train a few heads on the features of one network, and let the best of them answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sm_entrypoints.choosing.standing import Standing
from sm_entrypoints.choosing.steps import as_many_steps
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.features.backbone import Built, feature_shape
from sm_entrypoints.features.features import FeatureFolders, FeatureUse, features_of
from sm_entrypoints.images.batches import TensorData
from sm_entrypoints.images.channels import Split
from sm_entrypoints.models.model import load_tensors
from sm_entrypoints.searching.first_heads import FirstHeads
from sm_entrypoints.searching.generation import Generation
from sm_entrypoints.searching.progress import Best, better
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.searching.sampler import Sampler
from sm_entrypoints.searching.shared_features import SharedFeatures, require_memory
from sm_entrypoints.searching.tail_plan import run
from sm_entrypoints.searching.trial import Trial

# How many heads answer for a network; the same hyperparameters for each network.
HEADS = 8
_ROWS = 1024


class NoHeadLearned(JobError):
    """Raised when every head on a network's features diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """What is the same for all networks.

    Attributes:
        request: the search.
        folders: where features are kept.
        stopped: whether the job was asked to stop.
        train_pictures: of the whole training split.
    """

    request: SearchRequest
    folders: FeatureFolders
    stopped: Callable[[], bool]
    train_pictures: int

    def draws(self) -> list[dict[str, str]]:
        """Return the hyperparameters of the heads: a random few of the search's."""
        plan = replace(self.request.plan, sampling="random", networks=())
        return Sampler(plan).draw(range(HEADS))

    def probe(
        self, built: Built, parts: Sequence[Split], request: SearchRequest
    ) -> tuple[Standing, FeatureUse]:
        """Return how the best head answers after learning from the first of ``parts``.

        ``built`` has the heads afterwards that it had before.

        Raises:
            JobError: the features do not fit into memory, a picture is bad, or no head learned.
            Interrupted: the job was asked to stop.
        """
        shape = feature_shape(built)
        require_memory(shape, sum(map(len, parts)))
        # Views of the pictures are for the network that is chosen: others need not see them.
        plain = replace(request.fixed, augmentation="none", views=0)
        features = features_of(parts, built, plain, folders=self.folders, shape=shape)
        train, valid = (
            TensorData(features.by_split[part.name], torch.tensor(part.labels, dtype=torch.int64))
            for part in parts
        )
        shared = SharedFeatures.of(built.model, train, valid, built.compute)
        best = self._best(built, shared, request)
        logits = _answers(built, best, shared)
        labels = shared.valid.labels.cpu()
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        right = (logits.argmax(1) == labels).tolist()
        spread = float(losses.std()) if len(losses) > 1 else 0.0
        standing = Standing(
            train_pictures=len(parts[0]),
            right="".join("01"[each] for each in right),
            loss=float(losses.mean()),
            loss_error=spread / math.sqrt(len(losses)),
        )
        return standing, features.use

    def _best(self, built: Built, shared: SharedFeatures, request: SearchRequest) -> Best:
        trials = [
            Trial(
                number=number,
                texts=texts,
                arguments=as_many_steps(
                    request.arguments(texts), part=len(shared.train), whole=self.train_pictures
                ),
            )
            for number, texts in enumerate(self.draws())
        ]
        first = FirstHeads(built, shared.plan, request.fixed.seed)
        Generation(trials, shared=shared, first=first, pruning="off", stopped=self.stopped).run(
            lambda _: None
        )
        best = None
        for trial in trials:
            best = better(best, trial)
        if best is None:
            raise NoHeadLearned(f"none of {HEADS} heads learned: {trials[0].why}")
        return best


@torch.no_grad()
def _answers(built: Built, best: Best, shared: SharedFeatures) -> Tensor:
    """Return what a head answers for the pictures of validation; the model gets its own back."""
    before = {
        name: tensor.detach().clone()
        for name, tensor in built.model.named_parameters()
        if name in best.head
    }
    load_tensors(built.model, best.head, strict=False)
    built.model.eval()
    parts = shared.valid.inputs.split(_ROWS)
    logits = torch.cat([run(shared.plan.own, shared.compute.laid_out(each)) for each in parts])
    load_tensors(built.model, before, strict=False)
    return logits.flatten(1).float().cpu()
