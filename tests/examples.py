"""Run the examples in docstrings. Not a test itself: both halves of the suite use it."""

import doctest
import importlib
from typing import Any

_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_examples(place: str, **given: Any) -> None:
    """Run the example of ``module:name``; it sees what is ``given`` and its own imports, no more.

    Raises:
        AssertionError: there is no example, or it prints something else.
    """
    module, _, name = place.partition(":")
    documented = getattr(importlib.import_module(module), name)
    tests = doctest.DocTestFinder(recurse=False).find(documented, name, globs=dict(given))
    examples = [test for test in tests if test.examples]
    assert examples, f"{place} has no example"
    printed: list[str] = []
    for example in examples:
        runner = doctest.DocTestRunner(optionflags=_OPTIONS, verbose=False)
        failed, _ = runner.run(example, out=printed.append)
        assert failed == 0, "".join(printed)
