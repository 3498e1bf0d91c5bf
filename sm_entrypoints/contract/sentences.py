"""Build sentences from other sentences, with exactly one end mark between two of them.

Errors, reasons and advice, ours and other people's, may or may not end in a full stop. Code that
embeds one in a sentence uses these functions instead of adding a full stop itself. Standard library
only, because both sides of the project need it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

_LOOSE = " \t\r\n.,;"
# Nothing follows these: they end a sentence, or the text is one that was cut.
_ENDS = ("…", "...", "?", "!", ":")


def clause(said: object) -> str:
    """Return ``said`` without a full stop at its end, so that a sentence can continue after it. An
    ellipsis, a question mark and an exclamation mark stay, since they carry meaning. An error is
    converted to its message.
    """
    text = str(said).rstrip()
    if text.endswith(_ENDS) and not text.endswith((":", "....")):
        return text
    return text.rstrip(f"{_LOOSE}:") or text


def ended(said: object) -> str:
    """Return ``said`` with exactly one end mark; nothing for nothing.

    What ends with an ellipsis, a question mark, an exclamation mark or a colon gets no other.
    """
    text = str(said).rstrip()
    if not text or (text.endswith(_ENDS) and not text.endswith("....")):
        return text
    return f"{text.rstrip(_LOOSE)}."


def joined(*sentences: object) -> str:
    """Return sentences one after another, each with its end mark; those that are empty left out."""
    return " ".join(filter(None, map(ended, sentences)))


def counted(count: int, one: str, many: str = "") -> str:
    """Return so many things in words, such as ``1 image`` or ``1,200 images``.

    ``many`` is the plural where ``one`` with an s is none.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def nearest(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known names that ``name`` may have meant, the likeliest first, in any case.

    ``cutoff`` is how alike they must be, from 0 to 1 for the same.
    """
    by_fold = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), by_fold, n=most, cutoff=cutoff)
    return [by_fold[each] for each in near]


def did_you_mean(names: Iterable[str], quoted: Callable[[str], str] = repr) -> str:
    """Return the question whether one of these was meant; nothing where there are none."""
    meant = " or ".join(map(quoted, names))
    return f"did you mean {meant}?" if meant else ""
