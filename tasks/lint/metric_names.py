"""What a metric's name says: the split it was measured on, and what it measures.

Scripts name their metrics freely (``valid:loss``, ``average test loss``, ``val_acc1``,
``eval/top5``), so this reads words, not fixed names. If the words disagree, it concludes nothing.
"""

from __future__ import annotations

import re
from typing import Literal

from sm_entrypoints import contract

Kind = Literal["loss", "accuracy"]

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# \d, \s and \. in a regex are no words; groups such as (?P<name>...) may be.
_ESCAPE = re.compile(r"\\.")
_TOP_K = re.compile(r"(?:top|acc(?:uracy)?)[-_ @]?(?!1(?!\d))\d", re.IGNORECASE)
_SPLITS = {
    contract.TRAIN_CHANNEL: {"train", "training", "trn"},
    contract.VALID_CHANNEL: {"valid", "validation", "val", "eval", "evaluation", "dev", "holdout"},
    contract.TEST_CHANNEL: {"test", "testing", "tst"},
}
SPLIT_OF_WORD = {word: split for split, words in _SPLITS.items() for word in words}
_LOSSES = {"loss", "losses", "nll", "crossentropy", "perplexity", "mse", "rmse", "mae"}
# Shares of 0 to 1, or per cent of 0 to 100.
_ACCURACIES = {"acc", "accuracy", "auc", "precision", "recall"}


def words(text: str) -> list[str]:
    """Return the words of a name or a regex in order, lower case; camel case is two words."""
    return [word.lower() for word in _WORD.findall(_ESCAPE.sub(" ", text))]


def split_of(text: str) -> str | None:
    """Return ``train``, ``valid`` or ``test``; None when the text names none or several."""
    splits = {SPLIT_OF_WORD[word] for word in words(text) if word in SPLIT_OF_WORD}
    return splits.pop() if len(splits) == 1 else None


def nearest_split(text: str) -> str | None:
    """Return the split that ``text`` names last: whose number follows it on a line of a log."""
    named = [SPLIT_OF_WORD[word] for word in words(text) if word in SPLIT_OF_WORD]
    return named[-1] if named else None


def kind_of(name: str) -> Kind | None:
    """Return ``loss`` (less is better), ``accuracy`` (more is better), or None."""
    parts = set(words(name))
    loss, accuracy = bool(parts & _LOSSES), bool(parts & _ACCURACIES)
    if loss == accuracy:
        return None
    return "loss" if loss else "accuracy"


def is_top_k(name: str) -> bool:
    """Say whether an accuracy counts more than the first guess, such as ``top5_accuracy``."""
    return _TOP_K.search(name) is not None
