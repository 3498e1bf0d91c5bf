"""Examine each image file only once: results are remembered while the file stays the same."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import PIL
from pydantic import JsonValue

from sm_entrypoints.images.look import Look
from tasks.dataset.checking.conversion import Converter
from tasks.dataset.checking.images import ImageFacts, inspect_image
from tasks.dataset.checking.stat_cache import StatCache, identity

# Change it with what ``inspect_image`` finds; another Pillow may decode what this one refused.
_INSPECTION = 2


def open_memory(folder: Path, root: Path) -> StatCache:
    """Return the memory of a data folder; ``folder`` holds those of all."""
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return StatCache(folder / f"{name}.json", f"image {_INSPECTION}, Pillow {PIL.__version__}")


def inspect_once(memory: StatCache, path: Path, converter: Converter | None = None) -> ImageFacts:
    """Return what :func:`tasks.dataset.checking.images.inspect_image` finds, from memory if it is
    there.

    Files with a problem are examined each time.
    """
    try:
        remembered = memory.get(path)
        if remembered is not None:
            facts = _facts(remembered)
            if facts.converted is None or (converter and Path(facts.converted).exists()):
                return facts
        before = identity(path)
        inspected = inspect_image(path, converter)
        if inspected.problem is None:
            memory.put(path, before, _value(inspected))
    except OSError:
        return inspect_image(path, converter)
    return inspected


def _value(facts: ImageFacts) -> JsonValue:
    value = asdict(facts)
    if facts.look:
        value["look"] = [
            b64encode(part).decode() for part in (facts.look.gradients, facts.look.colours)
        ]
    return value


def _facts(remembered: JsonValue) -> ImageFacts:
    value = cast(dict[str, Any], remembered)  # by its kind: only _value wrote it
    if value["look"]:
        gradients, colours = (b64decode(part) for part in value["look"])
        value = {**value, "look": Look(gradients=gradients, colours=colours)}
    return ImageFacts(**value)
