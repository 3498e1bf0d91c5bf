"""The boundary between instrumentation and training: failures of the former stay there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sm_entrypoints.contract.sentences import clause

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Containment:
    """Run parts of the instrumentation until one of them fails; then run none any more.

    Every error counts, ``SystemExit`` too; only the user's ``KeyboardInterrupt`` passes.
    ``failure`` is None, or what went wrong. The failure is printed once, in one line, and
    ``on_failure`` is called once so that hooks can be taken off the model.
    """

    def __init__(self, name: str, *, on_failure: Callable[[], None]) -> None:
        self._name = name
        self._on_failure = on_failure
        self.failure: str | None = None

    def run(
        self,
        work: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result | None:
        """Return what ``work`` returns, or None when it fails or something failed before."""
        if self.failure is not None:
            return None
        return self.attempt(work, *arguments, **options)

    def attempt(
        self,
        work: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result | None:
        """Do as :meth:`run`, even after a failure: for work that closes and cleans up."""
        try:
            return work(*arguments, **options)
        except KeyboardInterrupt:  # the user's
            raise
        # Whatever it is (a full disk, a hook of a library, a tensor of an odd type, a library that
        # calls sys.exit): measuring a training job must not end it.
        except BaseException as error:  # noqa: BLE001
            self._fail(error)
            return None

    def _fail(self, error: BaseException) -> None:
        if self.failure is not None:
            return
        self.failure = describe(error)
        _say(f"{self._name} switched off ({clause(self.failure)}); training continues.")
        try:
            self._on_failure()
        except KeyboardInterrupt:
            raise
        except BaseException as second:  # noqa: BLE001 - as above
            _say(f"{self._name}: could not clean up ({clause(describe(second))})")


def describe(error: BaseException) -> str:
    """Return an error in one line: its type, and its text if it has one that can be read."""
    try:
        return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    except Exception:  # noqa: BLE001 - the text of somebody else's error may fail as well
        return type(error).__name__


def _say(line: str) -> None:
    # Where nobody reads any more, the failure still stands in the summary.
    with contextlib.suppress(OSError, ValueError):
        print(line, flush=True)
