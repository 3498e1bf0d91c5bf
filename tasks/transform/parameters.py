"""The parameters of a batch transform of pictures."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tasks.parameters.form import group
from tasks.parameters.run import Parameters


class TransformParameters(Parameters):
    """Pictures, the model that they go through, and where the answers are written."""

    images: str = Field(
        min_length=1, title="Pictures", description="Folder of pictures, in any depth."
    )
    out: str = Field(
        min_length=1,
        title="Answers",
        description="File of the answers: .csv, or .jsonl with every label.",
    )
    training_job: str | None = Field(
        None,
        title="Training job",
        description="Training job whose model answers; default: the latest run's.",
    )
    instance_type: str = Field(
        "ml.m5.large", pattern=r"^ml\.", title="Instance type", description="Transform instance."
    )
    max_concurrency: int = Field(
        1,
        ge=1,
        le=16,
        title="Pictures at a time",
        description="Pictures that the model gets at a time.",
    )
    max_seconds: int = Field(
        3600,
        ge=60,
        le=432_000,
        title="Longest run time (seconds)",
        description="The job is stopped after this many seconds.",
    )
    max_usd: Decimal | None = Field(
        None,
        gt=0,
        title="Most to spend (USD)",
        description="Hard cap in USD: refused where max_seconds could cost more.",
    )
    top_k: int = Field(
        5, ge=1, le=100, title="Labels in an answer", description="Most probable first."
    )


Transform = Annotated[
    TransformParameters, group("Pictures", "What to label, and where the labels go.")
]
