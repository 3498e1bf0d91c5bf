"""Determine what a saved tensor is, by its smdebug collection or else by its name.

Names are those of smdebug's PyTorch hook: ``gradient/Net_fc.weight``, ``Net_fc.weight``,
``layer1.0.relu_output_0`` (module, kind, number of the call). Users choose the names of collections
freely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# smdebug's collections, and what they are called here.
_COLLECTIONS = {
    "gradients": "gradients",
    "weights": "weights",
    "biases": "weights",
    "relu_input": "relu_input",
    "relu_output": "relu_output",
    "tanh_input": "tanh_input",
    "sigmoid_input": "sigmoid_input",
}
# The first that matches. A gradient is in no other collection, whatever its layer is called.
_PATTERNS = (
    (re.compile(r"gradient/.+"), "gradients"),
    (re.compile(r".*relu\d*_input_\d+", re.IGNORECASE), "relu_input"),
    (re.compile(r".*relu\d*_output_\d+", re.IGNORECASE), "relu_output"),
    (re.compile(r".*tanh\d*_input_\d+", re.IGNORECASE), "tanh_input"),
    (re.compile(r".*sigmoid\d*_input_\d+", re.IGNORECASE), "sigmoid_input"),
    (re.compile(r".+[._](weight|bias)"), "weights"),
)


def collection_of(name: str, collections: Mapping[str, Sequence[str]]) -> str | None:
    """Return our collection of a tensor; None if no rule uses it.

    Args:
        name: as it was saved.
        collections: names of tensors by smdebug's collection.
    """
    for theirs, ours in _COLLECTIONS.items():
        if name in collections.get(theirs, ()):
            return ours
    return next((ours for pattern, ours in _PATTERNS if pattern.fullmatch(name)), None)
