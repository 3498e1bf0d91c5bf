"""The edge between instrumentation and training: a failure in the first stays there."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Containment:
    """Run parts of the instrumentation until one of them fails; then run none any more.

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
        # Whatever it is (a full disk, a hook of a library, a tensor of an odd type): measuring a
        # training job must not end it.
        except Exception as error:  # noqa: BLE001
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        if self.failure is not None:
            return
        self.failure = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{self._name} switched off ({self.failure}); training goes on.", flush=True)
        try:
            self._on_failure()
        except Exception as second:  # noqa: BLE001 - as above
            print(f"{self._name}: could not clean up ({second})", flush=True)
