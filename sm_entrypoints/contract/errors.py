"""The root of all job errors for people: one sentence, no traceback."""

from __future__ import annotations


class JobError(Exception):
    """Raised when a job cannot continue; says what failed, the offending value and what to do."""
