"""The root of every error of a job that a person must read: one sentence, no traceback."""

from __future__ import annotations


class JobError(Exception):
    """Raised when a job cannot go on; says what failed, the offending value and what to do."""
