"""The parts of a run's record that tell how it was decided whether its model goes into service."""

from __future__ import annotations

from typing import Literal

from tasks.runs.record_parts import Part

# What a comparison can tell; see tasks/approval/comparison.py.
Outcome = Literal["better", "not worse", "worse", "too few pictures to tell"]
# How the last state's message of a run begins whose model was refused.
NOT_DEPLOYED = "Not deployed"


class Comparison(Part):
    """How the new model and the one in service answered the same test pictures.

    ``difference`` of their accuracies, new less old, lies between ``lower`` and ``upper`` with 90%
    confidence, so each of the two is passed by chance once in twenty; ``margin`` is the loss that
    is put up with. All four are shares. ``p_value`` is that of McNemar's exact test of whether the
    two differ at all. ``enough`` pictures would usually tell. ``note`` is what makes it less than
    fair.
    """

    training_job: str
    endpoint: str
    run: str
    pictures: int
    both_right: int
    only_new_right: int
    only_old_right: int
    both_wrong: int
    difference: float
    lower: float
    upper: float
    margin: float
    p_value: float
    outcome: Outcome
    enough: int
    note: str = ""


class Approval(Part):
    """A person's yes or no to the model of one training job, or the question that still waits.

    Attributes:
        flow_run_id: of the run that asked; another one that goes on with the run asks anew.
        key: what Prefect knows the question by; each is asked once.
        asked, until, answered: when (ISO 8601); nothing answers after ``until``.
        answer: ``yes`` or ``no``; None while nobody has answered.
        reason: what was said with the answer, or why there is none.
        sentence: what the question is about, in one sentence.
    """

    training_job: str
    flow_run_id: str
    key: str
    asked: str
    until: str
    sentence: str
    answer: Literal["yes", "no"] | None = None
    answered: str | None = None
    reason: str = ""

    @property
    def waits(self) -> bool:
        """Whether nobody has answered yet."""
        return self.answer is None
