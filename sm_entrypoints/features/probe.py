"""In which numbers a backbone runs over many pictures: chosen by speed and agreement, then kept.

The choice is part of the key of the features and is remembered beside them, so every later run
that finds it there computes the same numbers. Without a place to remember it in, or for few
pictures, nothing is tried: the network runs in float32 as it is.
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

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Backbone, Built, Compute, multiplies_bfloat16
from sm_entrypoints.features.compute import Place, Reader
from sm_entrypoints.features.keep import ABOUT_FILE, PROBE, Tell
from sm_entrypoints.features.key import FeatureKey

# Pictures that are tried, once to warm up and once against the clock.
SAMPLE = 8
# A way in float32 must give each picture the reference's features but for so much of their length:
# they differ in the order of sums. The reference is the default: float32, eager.
MOST_DEVIATION = 1e-3
# A coarser way must give so many pictures the reference's class, of pictures that their classifier
# was not fitted to: small differences do not show in those that it was.
LEAST_AGREEMENT, ASKED = 0.995, 256
# A busy machine must not decide: another way than the default has to be so much faster.
LEAST_GAIN = 1.15
# Below these a choice costs more than it can save; and what is seldom the fastest is not tried.
LEAST_PICTURES, LEAST_SECONDS = 256, 3.0
MANY_PICTURES = 16 * ASKED
_CHOICES = ("dtype", "channels_last", "compiled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What was measured of one way: pictures a second, and how far off the reference it is."""

    backbone: Backbone
    rate: float
    deviation: float

    @property
    def compute(self) -> Compute:
        """The way."""
        return self.backbone.built.compute

    @property
    def exact(self) -> bool:
        """Whether its features are those of the reference but for rounding."""
        return self.deviation <= MOST_DEVIATION

    @property
    def coarse(self) -> bool:
        """Whether it is another kind of numbers, which may be asked how good they are."""
        return not self.exact and self.compute.dtype is torch.bfloat16


def ways(arguments: TrainingArguments, default: Compute) -> list[Compute]:
    """Return the ways that the hyperparameters leave open; the default is the first.

    A graph lays out its tensors itself, on a CPU, in float32. bfloat16 is no way on hardware that
    cannot multiply it.
    """
    dtypes, layouts = {default.dtype}, {default.channels_last}
    if arguments.precision == "auto":
        dtypes |= {torch.float32} | ({torch.bfloat16} if multiplies_bfloat16() else set())
    if arguments.channels_last == "auto":
        layouts = {True, False}
    open_ways = [
        replace(default, dtype=dtype, channels_last=layout)
        for dtype in sorted(dtypes, key=str, reverse=True)
        for layout in sorted(layouts, reverse=True)
    ]
    if layouts == {True, False} and torch.float32 in dtypes and default.device.type == "cpu":
        open_ways.insert(0, replace(default, dtype=torch.float32, channels_last=True, fused=True))
    return [default, *(way for way in open_ways if way != default)]


def key_with(key: FeatureKey, compute: Compute) -> FeatureKey:
    """Return the key of the same backbone in other numbers."""
    dtype, layout = compute.dtype_name, compute.channels_last
    return replace(key, dtype=dtype, channels_last=layout, compiled=compute.fused)


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
            if about.get("probed") == PROBE and about.get("digest") in by_digest:
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
) -> Backbone | None:
    """Try ways on a few pictures; return the backbone in the fastest that agrees with the default.

    Of a pass over few pictures, the default and the graph are tried; of a long one, every way. None
    when the whole pass is so short that trying does not pay.

    Raises:
        DataSetError: a picture is bad.
    """
    pixels, _ = _sample(built, places, SAMPLE)
    reference, rows = _try(built, open_ways[0], pixels, None)
    if len(places) / reference.rate < LEAST_SECONDS:
        return None
    many = len(places) >= MANY_PICTURES
    tried = [reference]
    for way in open_ways[1:]:
        if many or way.fused:
            tried.append(_try(built, way, pixels, rows)[0])
    best = max((each for each in tried if each.exact), key=_worth(reference))
    coarse = max((each for each in tried if each.coarse), key=_worth(reference), default=None)
    told = ""
    if many and coarse is not None and coarse.rate > LEAST_GAIN * best.rate:
        agreement = _agreement(built, (best, coarse), places)
        told = f"; {named(coarse.compute)} gives {agreement:.1%} of them the same class"
        best = coarse if agreement >= LEAST_AGREEMENT else best
    tell(
        f"tried {len(tried)} ways on {len(pixels)} images: {named(best.compute)} computes "
        f"{best.rate:.0f} a second, {named(reference.compute)} {reference.rate:.0f}{told}"
    )
    return best.backbone


def _worth(default: Tried) -> Callable[[Tried], float]:
    return lambda each: each.rate * (LEAST_GAIN if each is default else 1.0)


def named(compute: Compute) -> str:
    """Return a way in words."""
    layout = "channels last" if compute.channels_last else "channels first"
    return f"{compute.dtype_name}, {'fused layers' if compute.fused else layout}"


def _sample(built: Built, places: Sequence[Place], most: int) -> tuple[Tensor, Tensor]:
    count = min(most, len(places))
    chosen = [places[index * len(places) // count] for index in range(count)]
    # A reader of its own for each: two pictures may be the same.
    seen = [Reader(built.card, lambda _: False).read(place)[0].pixels for place in chosen]
    labels = torch.tensor([place.split.labels[place.index] for place in chosen])
    return torch.stack([each for each in seen if each is not None]), labels


def _try(
    built: Built, way: Compute, pixels: Tensor, reference: Tensor | None
) -> tuple[Tried, Tensor]:
    backbone = Backbone(replace(built, compute=way))
    with laid_out(built.model, way, back=built.compute):
        rows, rate = _run(backbone, pixels)
    off = 0.0 if reference is None else _deviation(rows, reference)
    return Tried(backbone=backbone, rate=rate, deviation=off), rows


def _run(backbone: Backbone, pixels: Tensor) -> tuple[Tensor, float]:
    way = backbone.built.compute
    rows, started = backbone.features(pixels), _clock(way)
    backbone.features(pixels)
    return rows.float(), len(pixels) / max(_clock(way) - started, 1e-9)


def _deviation(rows: Tensor, reference: Tensor) -> float:
    rows, reference = rows.flatten(1), reference.flatten(1)
    lengths = reference.norm(dim=1).clamp_min(1e-12)
    return float(((rows - reference).norm(dim=1) / lengths).max().nan_to_num(math.inf))


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


def _agreement(built: Built, ways_asked: tuple[Tried, Tried], places: Sequence[Place]) -> float:
    """Return the share of pictures to which both ways give the same class.

    A quick classifier is fitted to one half of them, in the first way, and asked about the other.
    """
    pixels, labels = _sample(built, places, ASKED)
    rows = []
    for each in ways_asked:
        with laid_out(built.model, each.compute, back=built.compute):
            parts = [each.backbone.features(part) for part in pixels.split(SAMPLE)]
        rows.append(torch.cat(parts).float().flatten(1))
    exact, other = rows
    equal = []
    for half in (0, 1):
        classify = _classifier(exact[half::2], labels[half::2])
        asked = slice(1 - half, None, 2)
        equal.append(classify(exact[asked]) == classify(other[asked]))
    return float(torch.cat(equal).float().mean())


def _classifier(rows: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Return ridge regression on features: which class it gives to each row of others."""
    mean = rows.mean(0)
    rows = rows - mean
    kernel = rows @ rows.T
    ridge = kernel.diagonal().mean().clamp_min(1e-12) * 1e-2
    targets = nn.functional.one_hot(labels.unique(return_inverse=True)[1]).float()
    weights = torch.linalg.solve(kernel + ridge * torch.eye(len(rows)), targets)
    return lambda others: ((others - mean) @ rows.T @ weights).argmax(1)
