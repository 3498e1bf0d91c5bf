"""In which numbers a backbone runs over many pictures: chosen by speed and agreement, then kept.

The choice is part of the key of the features and is remembered beside them, so every later run
that finds it there computes the same numbers. Without a place to remember it in, or for few
pictures, nothing is tried: the numbers are those that the hardware is made for.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Backbone, Built, Compute
from sm_entrypoints.features.compute import Place, Reader
from sm_entrypoints.features.keep import ABOUT_FILE, Tell
from sm_entrypoints.features.key import FeatureKey

# Pictures that are tried; half of them warm up.
SAMPLE = 32
# A choice must give so many of the sample the same first class, and each picture so similar
# features, as the reference: float32, eager, channels first.
LEAST_AGREEMENT, LEAST_COSINE = 0.995, 0.99
# A busy machine must not decide: another way than the default has to be so much faster.
LEAST_GAIN = 1.15
_TIMES = 2
# Below these a choice costs more than it can save.
LEAST_PICTURES, LEAST_SECONDS = 256, 20.0
_CHOICES = ("dtype", "channels_last", "compiled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What was measured of one way: pictures a second, and its agreement with the reference."""

    compute: Compute
    rate: float
    agreement: float
    cosine: float

    @property
    def agrees(self) -> bool:
        """Whether it may be chosen."""
        return self.agreement >= LEAST_AGREEMENT and self.cosine >= LEAST_COSINE


def ways(arguments: TrainingArguments, default: Compute) -> list[Compute]:
    """Return the ways that the hyperparameters leave open; the default is among them.

    bfloat16 is a way only where it is the default: hardware that cannot multiply it is slow at it.
    """
    dtypes = {default.dtype} | ({torch.float32} if arguments.precision == "auto" else set())
    layouts = {default.channels_last} | (
        {True, False} if arguments.channels_last == "auto" else set()
    )
    return [
        replace(default, dtype=dtype, channels_last=layout)
        for dtype in sorted(dtypes, key=str)
        for layout in sorted(layouts)
    ]


def key_with(key: FeatureKey, compute: Compute) -> FeatureKey:
    """Return the key of the same backbone in other numbers."""
    dtype = str(compute.dtype).removeprefix("torch.")
    return replace(key, dtype=dtype, channels_last=compute.channels_last)


def remembered(
    folders: Sequence[Path], key: FeatureKey, open_ways: Sequence[Compute]
) -> Compute | None:
    """Return the way that an earlier probe chose for this backbone, if it is still open."""
    wanted = _without_choices(asdict(key))
    by_digest = {key_with(key, way).digest: way for way in open_ways}
    found = set()
    for folder in folders:
        for file in sorted(folder.glob(f"*/{ABOUT_FILE}")):
            about = _about(file)
            if about.get("probed") is True and about.get("digest") in by_digest:
                kept = about.get("key")
                if isinstance(kept, dict) and _without_choices(kept) == wanted:
                    found.add(about["digest"])
    # Two jobs may have chosen at the same time; all that come later take the same one.
    return by_digest[min(found)] if found else None


def pictures_kept(folders: Sequence[Path], key: FeatureKey) -> int:
    """Return for how many pictures and views the folders say that they have features."""
    abouts = [_about(folder / key.folder / ABOUT_FILE) for folder in folders]
    counts = [[about.get(name, 0) for name in ("pictures", "views")] for about in abouts]
    return max((sum(each) for each in counts if all(type(n) is int for n in each)), default=0)


def _about(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _without_choices(key: dict[str, Any]) -> dict[str, Any]:
    left = {name: value for name, value in key.items() if name not in _CHOICES}
    document: dict[str, Any] = json.loads(json.dumps(left))
    return document


def probe(
    built: Built, places: Sequence[Place], open_ways: Sequence[Compute], tell: Tell
) -> Compute | None:
    """Try every way on a few pictures, and return the fastest that agrees with the reference.

    None when the whole pass is so short that trying the others does not pay, or none agrees.

    Raises:
        DataSetError: a picture is bad.
    """
    pixels, labels = _sample(built, places)
    start = replace(built.compute, dtype=torch.float32, channels_last=False)
    reference, rate = _run(built, start, pixels)
    if len(places) / rate < LEAST_SECONDS:
        return None
    head = _Head(reference, labels)
    tried = []
    for way in open_ways:
        rows, speed = (reference, rate) if way == start else _run(built, way, pixels)
        similar = float(cosine_similarity(rows.flatten(1), reference.flatten(1)).min())
        tried.append(Tried(compute=way, rate=speed, agreement=head.agreement(rows), cosine=similar))
    best = max((each for each in tried if each.agrees), key=_worth(built.compute), default=None)
    if best is None:
        return None
    tell(
        f"tried {len(tried)} ways on {len(pixels)} images: {named(best.compute)} computes "
        f"{best.rate:.0f} a second, float32 as it stands {rate:.0f}; "
        f"{best.agreement:.1%} of them get the same class"
    )
    return best.compute


def _worth(default: Compute) -> Callable[[Tried], float]:
    return lambda each: each.rate * (LEAST_GAIN if each.compute == default else 1.0)


def named(compute: Compute) -> str:
    """Return a way in words."""
    layout = "channels last" if compute.channels_last else "channels first"
    return f"{str(compute.dtype).removeprefix('torch.')}, {layout}"


def _sample(built: Built, places: Sequence[Place]) -> tuple[Tensor, Tensor]:
    count = min(SAMPLE, len(places))
    chosen = [places[index * len(places) // count] for index in range(count)]
    # A reader of its own for each: two pictures may be the same.
    seen = [Reader(built.card, lambda _: False).read(place)[0].pixels for place in chosen]
    labels = torch.tensor([place.split.labels[place.index] for place in chosen])
    return torch.stack([each for each in seen if each is not None]), labels


def _run(built: Built, way: Compute, pixels: Tensor) -> tuple[Tensor, float]:
    backbone, half = Backbone(replace(built, compute=way)), (len(pixels) + 1) // 2
    with laid_out(built.model, way, back=built.compute):
        rows, seconds = [backbone.features(pixels[:half])], math.inf
        for _ in range(_TIMES):
            started = _clock(way)
            again = backbone.features(pixels[half:])
            seconds = min(seconds, _clock(way) - started)
    return torch.cat([*rows, again]).float(), (len(pixels) - half) / max(seconds, 1e-9)


def _clock(way: Compute) -> float:
    """Return seconds of a clock that other programs on the machine do not slow down, on a CPU."""
    if way.device.type != "cpu":
        return time.perf_counter()
    return time.process_time() / max(1, torch.get_num_threads())


@contextmanager
def laid_out(model: nn.Module, compute: Compute, *, back: Compute) -> Iterator[None]:
    """Keep the tensors of a model in the memory format of ``compute`` meanwhile."""

    def lay(how: Compute) -> None:
        layout = torch.channels_last if how.channels_last else torch.contiguous_format
        model.to(memory_format=layout)

    if compute.channels_last == back.channels_last:
        yield
        return
    lay(compute)
    try:
        yield
    finally:
        lay(back)


class _Head:
    """A quick classifier of the sample: ridge regression on the reference's features."""

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        rows = features.flatten(1)
        self._mean = rows.mean(0)
        self._rows = rows - self._mean
        kernel = self._rows @ self._rows.T
        ridge = kernel.diagonal().mean().clamp_min(1e-12) * 1e-2
        targets = nn.functional.one_hot(labels.unique(return_inverse=True)[1]).float()
        self._weights = torch.linalg.solve(kernel + ridge * torch.eye(len(rows)), targets)
        self._classes = self._classify(features)

    def _classify(self, features: Tensor) -> Tensor:
        scores = (features.flatten(1) - self._mean) @ self._rows.T @ self._weights
        classes: Tensor = scores.argmax(1)
        return classes

    def agreement(self, features: Tensor) -> float:
        """Return the share of the sample that gets the class that it gets by the reference."""
        return float((self._classify(features) == self._classes).float().mean())
