"""What people call the splits of a data set: ``Training``, ``seg_test``, ``val2017``, ``dev``."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL

_WORDS = {
    TRAIN_CHANNEL: "train training trn trainval trainvalid learn learning fit fitting",
    VALID_CHANNEL: "val valid validation validate validating validn vld dev devel development "
    "eval evaluation evaluate evaluating tuning",
    TEST_CHANNEL: "test tests testing tst holdout heldout",
}
# Of two folders for validation, such a one is the test.
_RATHER_TEST = frozenset({"eval", "evaluation", "evaluate", "evaluating"})
# Words that say nothing: "train_images" is "train".
_NOISE_WORDS = """
set sets data dataset datasets image images img imgs picture pictures photo photos pic pics jpg
jpeg png file files folder folders dir split splits sample samples example examples part subset
all full final new resized cropped raw original originals the of for and in
"""
NOISE = frozenset(_NOISE_WORDS.split())
# Folders of pictures that nobody labelled, beside the splits.
_UNLABELLED_WORDS = """
pred preds predict prediction predictions unlabeled unlabelled unlabel unknown unsorted unsup
unsupervised extra submission inference infer query queries unclassified
"""
UNLABELLED = frozenset(_UNLABELLED_WORDS.split())
# What "valid" and "test" are beside when they are classes.
_COUNTERPARTS = frozenset(["invalid", "expired", "fake", "control", "controls", "placebo"])
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words.split()}
_ENDINGS = ("set", "sets", "data", "dataset", "images", "imgs", "split", "folder", "dir")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitName:
    """What a folder's name says.

    Attributes:
        split: the channel.
        rest: words that have nothing to do with splits: ``("seg",)`` of ``seg_train``.
        rather_test: it may as well mean the test: ``eval``.
    """

    split: str
    rest: tuple[str, ...]
    rather_test: bool = False


def split_name(name: str) -> SplitName | None:
    """Return what a folder's name says about splits; None when it names none, or several."""
    words = words_of(name)
    splits = {_SPLIT_OF[word] for word in words if word in _SPLIT_OF}
    if len(splits) != 1:
        return None
    rest = tuple(word for word in words if word not in _SPLIT_OF and word not in NOISE)
    return SplitName(
        split=splits.pop(), rest=rest, rather_test=any(word in _RATHER_TEST for word in words)
    )


def is_unlabelled_name(name: str) -> bool:
    """Tell whether a name stands for pictures without labels: ``seg_pred``, ``unlabeled``."""
    return any(word in UNLABELLED for word in words_of(name))


def is_counterpart(name: str) -> bool:
    """Tell whether "valid" or "test" is a class beside one of this name: ``invalid``."""
    return any(word in _COUNTERPARTS for word in words_of(name))


def says_nothing(name: str) -> bool:
    """Tell whether a name is not that of a class: ``images``, ``data_set``, ``photos2``."""
    words = words_of(name)
    return bool(words) and all(word in NOISE for word in words)


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case, without numbers: ``TestSet2`` is test, set."""
    plain = unicodedata.normalize("NFKC", name)
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    plain = re.sub(r"(?i)hold[\W_]*out", "holdout", re.sub(r"(?i)held[\W_]*out", "heldout", plain))
    raw_words = re.findall(r"[^\W\d_]+", plain.casefold())
    return [part for word in raw_words for part in _parts(word)]


def _parts(word: str) -> list[str]:
    """Return ``trainset`` as train, set; other words as they are."""
    for ending in _ENDINGS:
        if word.endswith(ending) and word.removesuffix(ending) in _SPLIT_OF:
            return [word.removesuffix(ending), ending]
    return [word]
