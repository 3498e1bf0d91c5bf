"""All that features say about the pictures, as one file and small pictures beside it.

``pictures.json`` is bounded: the longest lists are cut, their whole lengths are told. So is the
time: a part that there is no time for is left out, and the file says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from sm_entrypoints.contract import PICTURES_FILE
from sm_entrypoints.contract.files import write_json
from sm_entrypoints.examination.clock import Deadline, OutOfTimeError
from sm_entrypoints.examination.hard_classes import hard_classes
from sm_entrypoints.examination.heads import fit_heads
from sm_entrypoints.examination.learning_curve import learning_curve
from sm_entrypoints.examination.look_alikes import LookAlikes, look_alikes
from sm_entrypoints.examination.mistakes import (
    Mistake,
    Network,
    pixels_of,
    put_head,
    worst_mistakes,
)
from sm_entrypoints.examination.pool import Pool
from sm_entrypoints.examination.thumbnails import Thumbnails
from sm_entrypoints.examination.where import NoMapError, activation_maps, overlay
from sm_entrypoints.examination.wrong_labels import (
    Judged,
    WrongLabel,
    judge,
    unjudged,
    wrong_labels,
)
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.decoding import ImageError

VERSION = 1
MOST_WRONG_LABELS = 50
MOST_LOOK_ALIKES = 30
MOST_CLASSES = 20
MOST_MAPS = 12

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is examined: splits, the features of their pictures, and the network they are of.

    ``mistakes`` are the network's own, the worst first; None where it was not trained: then a quick
    head is put into it, which makes some.
    """

    splits: Sequence[Split]
    features: Mapping[str, Tensor]
    network: Network
    mistakes: Sequence[Mistake] | None = None


@dataclass(slots=True)
class _Parts:
    """What was found so far, and what was left out for want of time."""

    deadline: Deadline
    left_out: list[str] = field(default_factory=list)

    def part(self, name: str, work: Callable[[], Result]) -> Result | None:
        """Return what ``work`` finds; None when there is no time for it."""
        try:
            self.deadline.check()
            return work()
        except OutOfTimeError:
            self.left_out.append(f"{name}: there was no time for it beside the training")
            return None


def write_picture_findings(
    folder: Path, examined: Examined, *, seconds: float | None = None
) -> str:
    """Find, and write ``pictures.json`` and the pictures that it names; return a sentence on it.

    Args:
        folder: the job's output folder; made if missing.
        examined: what to examine. Its model may get another head if it has made no mistakes yet.
        seconds: how long it may take; None for as long as it takes.

    Raises:
        ValueError: the features are not of these pictures.
        OSError: the folder cannot be written.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    pool = Pool.of(examined.splits, examined.features, examined.network.card.classes)
    parts = _Parts(Deadline(seconds))
    thumbnails = Thumbnails(folder, parts.deadline)
    judged = parts.part("wrong labels and hard classes", lambda: judge(pool, parts.deadline))
    wrong = wrong_labels(pool, judged) if judged else None
    where = _where(examined, pool, judged, parts, thumbnails)
    alike = parts.part("look-alikes", lambda: look_alikes(pool, parts.deadline))
    curve = (
        parts.part("the learning curve", lambda: learning_curve(pool, judged, parts.deadline))
        if judged
        else None
    )
    document = {
        "version": VERSION,
        "network": examined.network.card.architecture,
        "pictures": {split.name: len(split) for split in pool.splits},
        "accuracy": judged.accuracy if judged else None,
        "knows": judged.knows if judged else None,
        "wrong_labels": None if wrong is None else _wrong_document(pool, wrong, thumbnails),
        "look_alikes": None if alike is None else _alike_document(pool, alike, thumbnails),
        "learning_curve": None if curve is None else asdict(curve),
        "hard_classes": [asdict(each) for each in hard_classes(pool, judged, MOST_CLASSES)]
        if judged and judged.knows
        else [],
        "where": where,
        "notes": unjudged(pool, judged),
        "left_out": parts.left_out,
        "seconds": round(time.monotonic() - started, 2),
    }
    write_json(folder / PICTURES_FILE, document, indent=1, escape=False)
    return _sentence(document)


def _sentence(document: Mapping[str, Any]) -> str:
    wrong, alike = document["wrong_labels"], document["look_alikes"]
    count = sum(document["pictures"].values())
    said = [f"examined {count:,} pictures in {document['seconds']:.1f} s"]
    if wrong is not None:
        said.append(f"{wrong['count']:,} may have the wrong label")
    if alike is not None:
        said.append(f"{alike['count']:,} look like one of another split")
    said += [f"left out: {each}" for each in document["left_out"]]
    return "; ".join(said)


def _picture(pool: Pool, row: int, thumbnails: Thumbnails) -> dict[str, Any]:
    split, index = pool.place(row)
    return {
        "split": split.name,
        "path": split.paths[index],
        "label": pool.classes[split.labels[index]],
        "file": thumbnails.of(split, index),
    }


def _wrong_document(
    pool: Pool, wrong: Sequence[WrongLabel], thumbnails: Thumbnails
) -> dict[str, Any]:
    items = [
        {
            **_picture(pool, each.row, thumbnails),
            "suggested": pool.classes[each.suggested],
            "probability": each.probability,
            "label_probability": each.label_probability,
        }
        for each in wrong[:MOST_WRONG_LABELS]
    ]
    return {"count": len(wrong), "items": items}


def _alike_document(pool: Pool, alike: LookAlikes, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return the pairs but for those that the data check's hashes find, too."""
    items: list[dict[str, Any]] = []
    copies = 0
    for each in alike.pairs:
        if len(items) == MOST_LOOK_ALIKES:
            break
        pair = [pool.place(each.row), pool.place(each.other)]
        if thumbnails.look_the_same(*pair):
            copies += 1
            continue
        first, second = (_picture(pool, row, thumbnails) for row in (each.row, each.other))
        items.append({"first": first, "second": second, "cosine": each.cosine})
    count = len(alike.pairs) - copies
    return {"count": count, "copies": copies, "bar": alike.bar, "items": items}


def _where(
    examined: Examined,
    pool: Pool,
    judged: Judged | None,
    parts: _Parts,
    thumbnails: Thumbnails,
) -> dict[str, Any]:
    """Return the worst mistakes, each with the file that shows where the network looked."""
    if examined.mistakes is None and not (judged and judged.knows):
        return {"items": [], "why_not": "nothing is known of the mistakes of this network"}
    mistakes, network = examined.mistakes, examined.network
    if mistakes is None and judged:
        mistakes = parts.part(
            "where the network looked", lambda: _own(pool, judged, parts, network)
        )
        if mistakes is None:
            why = "the head of this network is not a plain linear one: a training job shows it"
            return {"items": [], "why_not": why}
    shown = list(mistakes or ())[:MOST_MAPS]
    if not shown:
        return {"items": [], "why_not": "there were no mistakes"}
    try:
        items = parts.part(
            "where the network looked", lambda: _maps(shown, network, thumbnails, parts.deadline)
        )
    except (NoMapError, ImageError) as error:
        return {"items": [], "why_not": str(error)}
    return {"items": items or [], "why_not": "" if items else "there was no time"}


def _own(pool: Pool, judged: Judged, parts: _Parts, network: Network) -> list[Mistake] | None:
    """Put a head into the network that learned from the first split; return its worst mistakes."""
    size = len(pool.splits[0])
    heads = fit_heads(
        pool.numbers[:size],
        pool.labels[:size],
        torch.ones(1, size, dtype=torch.bool),
        classes=len(pool.classes),
        penalties=judged.penalty,
        deadline=parts.deadline,
    )
    head = heads.one(0)
    if not put_head(network.model, pool.projection.whole(head)):
        return None
    last = pool.splits[-1]
    probabilities = head.probabilities(pool.numbers)
    return worst_mistakes(last, probabilities, MOST_MAPS, first=len(pool) - len(last))


def _maps(
    mistakes: Sequence[Mistake],
    network: Network,
    thumbnails: Thumbnails,
    deadline: Deadline,
) -> list[dict[str, Any]]:
    items = []
    classes = network.card.classes
    for rank, each in enumerate(mistakes):
        deadline.check()
        pixels = pixels_of([each], network.card)
        places = activation_maps(
            network.model, network.card, network.compute, pixels=pixels, answers=[each.predicted]
        )
        image = overlay(pixels[0], places[0], thumbnails.side)
        items.append(
            {
                "split": each.split.name,
                "path": each.split.paths[each.index],
                "label": classes[each.split.labels[each.index]],
                "predicted": classes[each.predicted],
                "probability": each.probability,
                "picture": thumbnails.of(each.split, each.index),
                "file": thumbnails.keep(f"where-{rank:02d}.jpg", image),
            }
        )
    return items
