"""Logistic regression on features: quick heads, whose probabilities are those of pictures unseen.

L-BFGS, as in scikit-learn's own, written with torch because features are there already. The penalty
is chosen by what one fold says of pictures that it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.models.threads import threads

# Of weights on rows whose numbers have a variance of one on average.
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
_MOST_STEPS = 80
# Below so many products a step, one thread is faster than two: ten times on a busy machine.
_WORTH_THREADS = 200_000_000
# Principal components that are kept: what heads tell apart is in the first hundred or two.
_COMPONENTS = 192
# More numbers a picture than this are first mixed into fewer, at random but always alike.
_MOST_NUMBERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Weights (numbers, classes) and biases of a linear classifier of features as they come."""

    weight: Tensor
    bias: Tensor

    def probabilities(self, features: Tensor) -> Tensor:
        """Return the probability of each class, shape (pictures, classes)."""
        return torch.softmax(torch.addmm(self.bias, features, self.weight), dim=1)


def averaged(features: Tensor) -> Tensor:
    """Return features as one finite row a picture: maps are averaged, very long rows mixed."""
    rows = features.float()
    if rows.dim() > 2:
        rows = rows.flatten(2).mean(2)
    rows = torch.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
    if rows.shape[1] <= _MOST_NUMBERS:
        return rows
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(rows.shape[1], _MOST_NUMBERS // 4, generator=generator)
    return torch.matmul(rows, mixing / _MOST_NUMBERS**0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """From features to the few numbers that heads are fitted to, and back to whole heads."""

    mean: Tensor
    axes: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Projection:
        """Take the axes along which standardised ``rows`` differ most."""
        mean, spread = rows.mean(0), rows.std(0, correction=0)
        # A number that hardly ever differs would be blown up to the size of the others.
        scale = spread.clamp_min(float(spread.mean()) * 0.05 + 1e-12)
        standard = (rows - mean) / scale
        count = min(_COMPONENTS, *standard.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            with threads(_threads(standard.numel() * count)):
                _, values, axes = torch.svd_lowrank(standard, q=count, niter=2)
        size = float(values.square().mean() / len(rows)) ** 0.5
        return cls(mean=mean, axes=axes / scale[:, None] / max(size, 1e-12))

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the numbers of ``rows``."""
        return (rows - self.mean) @ self.axes

    def whole(self, head: Head) -> Head:
        """Return a head of these numbers as one of the features themselves."""
        weight = self.axes @ head.weight
        return Head(weight=weight, bias=head.bias - self.mean @ weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Heads fitted together: weights (heads, numbers, classes) and biases (heads, classes)."""

    weights: Tensor
    biases: Tensor

    def probabilities(self, rows: Tensor) -> Tensor:
        """Return what each head gives each class, shape (heads, rows, classes)."""
        return torch.softmax(rows @ self.weights + self.biases[:, None], dim=2)

    def one(self, place: int) -> Head:
        """Return one of them."""
        return Head(weight=self.weights[place], bias=self.biases[place])


def fit_heads(
    rows: Tensor,
    labels: Tensor,
    learns: Tensor,
    *,
    classes: int,
    penalties: Tensor | float,
    deadline: Deadline,
) -> Heads:
    """Return the heads that fit best, all fitted in one go.

    Args:
        rows: numbers of every picture.
        labels: of every picture, int64.
        learns: which pictures each head learns from, bool, shape (heads, pictures).
        classes: how many there are.
        penalties: how small weights are held, of each head or of all.
        deadline: when to give up.

    Raises:
        OutOfTimeError: it takes too long.
    """
    heads, numbers = len(learns), rows.shape[1]
    weights = torch.zeros(numbers, heads * classes, requires_grad=True)
    biases = torch.zeros(heads * classes, requires_grad=True)
    # The errors of a head are means over its own pictures.
    shares = (learns / learns.sum(1, keepdim=True).clamp_min(1)).T.reshape(-1).float()
    held = torch.as_tensor(penalties, dtype=torch.float32).expand(heads).repeat_interleave(classes)
    wanted = labels.repeat_interleave(heads)
    optimiser = torch.optim.LBFGS(
        [weights, biases],
        max_iter=_MOST_STEPS,
        max_eval=_MOST_STEPS * 5 // 4,
        tolerance_grad=1e-4,
        tolerance_change=1e-6,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        deadline.check()
        optimiser.zero_grad()
        scores = torch.addmm(biases, rows, weights).view(-1, classes)
        loss = functional.cross_entropy(scores, wanted, reduction="none") @ shares
        loss = loss + 0.5 * (weights.square() @ held).sum()
        loss.backward()
        return loss

    with threads(_threads(rows.shape[0] * weights.numel())):
        optimiser.step(closure)
    return Heads(
        weights=weights.detach().view(numbers, heads, classes).permute(1, 0, 2).contiguous(),
        biases=biases.detach().view(heads, classes),
    )


def _threads(products: int) -> int:
    """Return one for little work: several would wait for each other most of the time."""
    return 1 if products < _WORTH_THREADS else torch.get_num_threads()


def out_of_fold(
    rows: Tensor,
    labels: Tensor,
    foldings: Sequence[NDArray[np.int64]],
    *,
    classes: int,
    penalty: float,
    deadline: Deadline,
) -> Tensor:
    """Return each picture's probabilities by heads that have not seen it: the mean of foldings.

    Raises:
        OutOfTimeError: it takes too long.
    """
    held = [torch.from_numpy(folds == fold) for folds in foldings for fold in np.unique(folds)]
    learns = ~torch.stack(held)
    heads = fit_heads(rows, labels, learns, classes=classes, penalties=penalty, deadline=deadline)
    result = torch.zeros(len(labels), classes)
    for place, rest in enumerate(held):
        result[rest] += heads.one(place).probabilities(rows[rest]) / len(foldings)
    return result


def choose_penalty(
    rows: Tensor,
    labels: Tensor,
    folds: NDArray[np.int64],
    *,
    classes: int,
    deadline: Deadline,
) -> float:
    """Return the penalty with which the first fold is predicted best by the others.

    Raises:
        OutOfTimeError: it takes too long.
    """
    held = torch.from_numpy(folds == 0)
    heads = fit_heads(
        rows,
        labels,
        (~held).expand(len(PENALTIES), -1),
        classes=classes,
        penalties=torch.tensor(PENALTIES),
        deadline=deadline,
    )
    scores = heads.probabilities(rows[held]).clamp_min(1e-9).log()
    losses = [float(functional.nll_loss(each, labels[held])) for each in scores]
    return PENALTIES[int(np.argmin(losses))]


def stratified_folds(
    features: Tensor, labels: Tensor, *, most: int = 5, seed: int = 0
) -> NDArray[np.int64]:
    """Return each picture's fold, from 0: every class is spread over all of them.

    Pictures with the same features are copies, and share a fold: a copy must not vouch for its
    label. A class with fewer pictures than folds is in as many folds as it has pictures.
    """
    generator, folds = np.random.default_rng(seed), np.zeros(len(labels), dtype=np.int64)
    rows = features.numpy()
    copies: dict[bytes, int] = {}
    offset = 0
    for label in np.unique(labels.numpy()):
        members = generator.permutation(np.flatnonzero(labels.numpy() == label))
        for member in members:
            key = rows[member].tobytes()
            if key not in copies:
                copies[key] = offset % most
                offset += 1
            folds[member] = copies[key]
    return folds
