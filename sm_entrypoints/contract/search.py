"""What a packed search is asked to do: the one hyperparameter ``search`` of ``search.py``.

A packed search trains the heads of all its trials together, in one training job, on features that
were computed once. Its other hyperparameters are those of ``train.py``, the same for every trial.
Not for the values of one trial: ``arguments``. Standard library only.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.hyperparameters import hyperparameter
from sm_entrypoints.contract.networks import read_networks
from sm_entrypoints.contract.search_ranges import RangeError, SearchedRange, read_range
from sm_entrypoints.contract.sentences import clause, did_you_mean, nearest
from sm_entrypoints.contract.wire import decode

# The hyperparameter that carries the plan, and how long SageMaker lets a value be.
SEARCH_HYPERPARAMETER = "search"
MOST_CHARACTERS = 2_500
MOST_TRIALS = 10_000
# What SageMaker lets a training job be called: it becomes the name of a folder.
_JOB_NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"

# What each head may have for itself. All else changes the features, which the trials share.
PACKABLE = (
    "batch_size",
    "epochs",
    "eps",
    "label_smoothing",
    "lr",
    "momentum",
    "optimizer",
    "patience",
    "schedule",
    "seed",
    "warmup_epochs",
    "weight_decay",
)

Sampling = Literal["tpe", "random"]
Pruning = Literal["auto", "on", "off"]


class SearchPlanError(JobError, ValueError):
    """Raised when a plan cannot be read or packed; says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What to search, and how often to try.

    Attributes:
        trials: how many heads are tried.
        ranges: what is drawn for each, by the name of the hyperparameter.
        seed: of the draws; the trainings have the hyperparameter ``seed``.
        max_epochs: no trial trains longer; None: as long as its ``epochs`` says.
        sampling: ``tpe`` learns from finished trials, ``random`` does not.
        generation: how many trials are drawn, and trained together, at a time.
        pruning: whether trials that fall behind end early; ``auto``: where it pays, which is
            from ten epochs on.
        networks: what to choose among before the search, as in :mod:`contract.networks`; none:
            the hyperparameter ``model`` is the network.
        continues: the first attempt at this search, whose finished trials are taken over; none:
            this job is it. A list, because SageMaker's toolkit keeps no quotes elsewhere.
    """

    trials: int
    ranges: Mapping[str, SearchedRange]
    seed: int = 0
    max_epochs: int | None = None
    sampling: Sampling = "tpe"
    generation: int = 16
    pruning: Pruning = "auto"
    networks: tuple[str, ...] = ()
    continues: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every member, so that no instance with a wrong one exists.

        Raises:
            SearchPlanError: names the member, its value and what is allowed.
        """
        _require_whole("trials", self.trials, 1, MOST_TRIALS)
        _require_whole("seed", self.seed, 0, 2**31 - 1)
        _require_whole("generation", self.generation, 1, MOST_TRIALS)
        if self.max_epochs is not None:
            _require_whole("max_epochs", self.max_epochs, 1, 100_000)
        _require_word("sampling", self.sampling, get_args(Sampling))
        _require_word("pruning", self.pruning, get_args(Pruning))
        if not self.ranges:
            raise SearchPlanError(f"{_PLAN} ranges is empty: name a hyperparameter to search")
        for name in self.ranges:
            reason = why_not_searched(name)
            if reason:
                raise SearchPlanError(f"{_PLAN} {reason}")
        self._require_epochs()
        self._require_attempt()
        try:
            read_networks(self.networks)
        except ValueError as error:
            raise SearchPlanError(f"{_PLAN} networks: {error}") from None

    def _require_epochs(self) -> None:
        span, most = self.ranges.get("epochs"), self.max_epochs
        if span is None or most is None:
            return
        least = min(map(float, span.values)) if span.values else span.low
        if least > most:
            raise SearchPlanError(
                f"{_PLAN} the range of epochs begins at {least:g}, above max_epochs={most}: lower "
                "it, or raise max_epochs"
            )

    def _require_attempt(self) -> None:
        names = self.continues
        if len(names) > 1 or not all(re.fullmatch(_JOB_NAME, name) for name in names):
            raise SearchPlanError(
                f"{_PLAN} continues={list(names)!r} must be a list of one name of a training job, "
                "the first attempt at this search"
            )

    def to_json(self) -> str:
        """Return the plan as the hyperparameter's value, which :meth:`from_json` reads back equal.

        Raises:
            SearchPlanError: it is longer than SageMaker lets a hyperparameter be.
        """
        document = {
            "trials": self.trials,
            "ranges": {name: span.document() for name, span in self.ranges.items()},
            "seed": self.seed,
            "max_epochs": self.max_epochs,
            "sampling": self.sampling,
            "generation": self.generation,
            "pruning": self.pruning,
            **({"networks": list(self.networks)} if self.networks else {}),
            **({"continues": list(self.continues)} if self.continues else {}),
        }
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        if len(text) > MOST_CHARACTERS:
            raise SearchPlanError(
                f"{_PLAN} it takes {len(text):,} characters, but a hyperparameter has at most "
                f"{MOST_CHARACTERS:,}: search fewer hyperparameters, or fewer values of each"
            )
        return text

    @classmethod
    def from_json(cls, text: str) -> SearchPlan:
        """Read a plan, also as SDKs and SageMaker's toolkit pass it on: quoted, or as Python.

        Raises:
            SearchPlanError: not JSON, a member missing, unknown or wrong; the message names it.
        """
        return cls.from_document(_document(text))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SearchPlan:
        """Read a plan from its members; ranges are those of ``tasks/parameters/ranges.py``.

        Raises:
            SearchPlanError: a member is missing, unknown or wrong; the message names it.
        """
        known = list(cls.__dataclass_fields__)
        for name in document:
            if name not in known:
                hint = did_you_mean(nearest(str(name), known))
                listed = f"{hint} Known" if hint else "known"
                raise SearchPlanError(f"{_PLAN} unknown member {name!r}: {listed}: {known}")
        missing = [name for name in ("trials", "ranges") if name not in document]
        if missing:
            raise SearchPlanError(f"{_PLAN} {missing[0]} is missing: give it")
        spans = document["ranges"]
        if not isinstance(spans, Mapping):
            raise SearchPlanError(f"{_PLAN} ranges={spans!r} is not an object by hyperparameter")
        ranges = {name: _range(name, spans[name]) for name in spans}
        lists = {name: _names(name, document.get(name, ())) for name in ("networks", "continues")}
        return cls(**{**document, "ranges": ranges, **lists})


_PLAN = f"hyperparameter {SEARCH_HYPERPARAMETER}:"


def why_not_searched(name: str) -> str | None:
    """Return why a packed search cannot search a hyperparameter; None where it can."""
    try:
        row = hyperparameter(name)
    except ValueError as error:
        return clause(error)
    if name in PACKABLE:
        return None
    if row.makes_data:
        return (
            f"{name} cannot be searched by trials that share their features, which it changes: "
            "give it one value"
        )
    return f"{name} is the same for all trials of one job: give it one value"


def why_not_packed(fixed: Mapping[str, object]) -> str | None:
    """Return why trials with these fixed hyperparameters cannot share features; None if they can.

    Whether the backbone is frozen follows from ``trainable`` and the weights, so a ``trainable``
    of ``auto`` says nothing here.
    """
    values = {name: str(value).strip().strip('"').lower() for name, value in fixed.items()}
    augmentation, views = values.get("augmentation", "none"), values.get("views", "0")
    if augmentation != "none" and not hyperparameter("views").read(views):
        enough = (
            "views=1, which mirrors each image once"
            if augmentation == "flip"
            else "views=4, which makes 4 random versions of each image once"
        )
        return (
            f"augmentation={augmentation} changes the images in every epoch, so that they have no "
            f"features to share: set {enough}, or augmentation=none"
        )
    if values.get("trainable") == "all":
        return (
            "trainable=all changes the whole network with every step, so that images have no "
            "features to share: set trainable=head"
        )
    if values.get("cache_features") == "false":
        return "cache_features=false keeps no features to share: set cache_features=auto"
    if values.get("instrumentation") == "on":
        return (
            "instrumentation=on watches one network, but the heads of all trials learn together: "
            "set instrumentation=auto"
        )
    return None


def _names(member: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise SearchPlanError(f"{_PLAN} {member}={value!r} is not a list of names")
    return tuple(value)


def _document(text: str) -> dict[str, Any]:
    document = decode(text, times=2)
    if isinstance(document, str):
        # SageMaker's toolkit decodes JSON objects, and passes on what Python writes of them, the
        # outermost as ``name=value,…`` with words unquoted.
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            document = _python(document.strip())
    if not isinstance(document, dict):
        raise SearchPlanError(f"{_PLAN} {str(text)[:80]!r} is not a JSON object: give a plan")
    return document


def _python(text: str) -> object:
    """Return what Python's text of an object, or of its members, stands for.

    Raises:
        ValueError, SyntaxError: it is neither.
    """
    if text.startswith("{"):
        return ast.literal_eval(text)
    call = ast.parse(f"dict({text})", mode="eval").body
    if not isinstance(call, ast.Call) or call.args or not call.keywords:
        raise ValueError(text)
    return {
        str(each.arg): each.value.id
        if isinstance(each.value, ast.Name)
        else ast.literal_eval(each.value)
        for each in call.keywords
    }


def _range(name: str, document: object) -> SearchedRange:
    reason = why_not_searched(name)
    if reason:
        raise SearchPlanError(f"{_PLAN} {reason}")
    try:
        return read_range(name, document)
    except RangeError as error:
        raise SearchPlanError(f"{_PLAN} {error}") from None


def _require_whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise SearchPlanError(
            f"{_PLAN} {name}={value!r} must be a whole number from {low:,} to {high:,}"
        )


def _require_word(name: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        raise SearchPlanError(f"{_PLAN} {name}={value!r} must be one of {', '.join(words)}")
