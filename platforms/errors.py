"""Errors for people: one sentence each, without a traceback.

SageMaker's own errors stay ``botocore.exceptions.ClientError`` on every platform; the classes here
are for everything else that goes wrong.
"""

from __future__ import annotations

from collections.abc import Sequence


class WhippetError(Exception):
    """Root of every error whose message is meant for the user and says what to do next."""


class SettingsError(WhippetError):
    """Raised when a setting is missing or points to something that does not work."""


class DataError(WhippetError):
    """Raised when the user's data set, weights or image cannot be used; before any cost."""


class ParameterError(WhippetError):
    """Raised when a flow parameter is out of range or contradicts another one."""


class JobFailed(WhippetError):
    """Raised when a training or tuning job ended in any status but ``Completed``."""


class EndpointFailed(WhippetError):
    """Raised when an endpoint did not come into service, or did not pass its smoke test."""


class NameTaken(WhippetError):
    """Raised when a resource of that name exists and was created by another request."""


class DeadlinePassed(WhippetError):
    """Raised when a wait took longer than its deadline; names what was waited for."""


class RunStopped(WhippetError):
    """Raised when somebody cancelled the run; its jobs are stopped."""


def shown(path: str) -> str:
    """Return a path that any terminal, log and UTF-8 file can hold: odd characters escaped."""
    return path if path.isprintable() else repr(path)[1:-1]


def some(names: Sequence[str], limit: int = 5) -> str:
    """Return names in quotes with commas, cut to ``limit`` with a count of the rest."""
    quoted = ", ".join(f"'{shown(name)}'" for name in names[:limit])
    rest = len(names) - limit
    return f"{quoted} and {rest} more" if rest > 0 else quoted


def without_pydantics_words(message: str) -> str:
    """Return a problem that pydantic reports as we worded it: ``Value error,`` is pydantic's."""
    return message.removeprefix("Value error, ")
