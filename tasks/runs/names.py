"""Deterministic names: the same run and step always give the same name.

SageMaker's create calls take no idempotency token, so the name is the token: a retry, a resumed run
and a concurrent process all compute the same name and find each other's job.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Step = Literal["tune", "train", "finetune", "improve", "model", "config", "endpoint", "transform"]
# What a run starts that ends by itself.
JOB_STEPS: tuple[Step, ...] = ("tune", "train", "finetune", "improve", "transform")

# Service limits: 32 for a tuning job (its trials are named after it), 63 for all else.
_MOST_TUNING = 32
# Between the parts of a name that tells a run's story: "clipart · mobilenet_v2 · 64 trials".
SEPARATOR = " · "
TOKEN_LENGTH = 6
QUESTION_LENGTH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """What names derive from: a run's readable name and a token of its flow run id."""

    name: str
    token: str
    flow_run_id: str

    @property
    def prefix(self) -> str:
        """Prefix of the names of everything that this run creates."""
        return resource_name(self, "train").removesuffix("-train")


def run_token(flow_run_id: str) -> str:
    """Return the short, stable token of a flow run id."""
    return sha256(flow_run_id.encode()).hexdigest()[:TOKEN_LENGTH]


def slug(text: str, most: int) -> str:
    """Return ``text`` as SageMaker allows it in names: letters, digits, single dashes; or "run"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()
    return words[:most].strip("-") or "run"


def folder_name(text: str) -> str:
    """Return a run's name as one safe folder name that is also a valid SageMaker tag value.

    Letters of any script, digits, blanks and ``_.=+@-`` stay; all else, such as a slash or a
    leading dot, becomes a dash. ``latest`` is the newest run's and cannot be a run's own. A name
    that tells a story, in parts, gets no blanks: people type it in shells.
    """
    if SEPARATOR in text:
        text = "-".join(text.replace(SEPARATOR, " ").split())
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(c if c.isalnum() or c in " _.=+@-" else "-" for c in composed)
    # 255 bytes is the longest name that file systems take; the token must fit too.
    short = kept.encode()[:200].decode(errors="ignore").strip(" .")
    return f"{short}-run" if short in ("", "latest") else short


def resource_name(
    run: RunIdentity, step: Step, attempt: int = 1, *, question: str | None = None
) -> str:
    """Return the name of a run's resource; ``attempt`` 2 and later follow a failed one.

    A comparison (``improve``) is named after its question, too: six hexadecimal digits.
    Names that share a run share a prefix; at most 32 characters for ``tune``, which all steps
    keep, so that the prefix is the same for all of them.
    """
    words = [step, *([question] if question else []), *([str(attempt)] if attempt > 1 else [])]
    longest = len("-endpoint") + 3  # room for every step, and for "-99"
    head = slug(run.name, _MOST_TUNING - TOKEN_LENGTH - 1 - longest)
    return "-".join([head, run.token, *words])


def step_of(run: RunIdentity, name: str, *, trials: bool = False) -> Step | None:
    """Return the step of a run that a job's name tells, in any case; None: not a job of the run.

    ``trials`` belong to the step of their search, ``tune``; without it they are nobody's.
    """
    for step in JOB_STEPS:
        question = rf"-[0-9a-f]{{{QUESTION_LENGTH}}}" if step == "improve" else ""
        # SageMaker names a trial after its search: its number, and something of its own.
        trial = "(-[0-9]+-[0-9a-z]+)?" if trials and step == "tune" else ""
        own = rf"{re.escape(run.prefix)}-{step}{question}(-[0-9]{{1,2}})?{trial}"
        if re.fullmatch(own, name, re.IGNORECASE):
            return step
    return None
