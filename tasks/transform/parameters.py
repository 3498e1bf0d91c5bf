"""The parameters of a batch transform of pictures."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tasks.parameters.run import Parameters


class TransformParameters(Parameters):
    """Pictures, the model that they go through, and where the answers are written."""

    images: str = Field(min_length=1, description="Folder of pictures, in any depth.")
    out: str = Field(
        min_length=1, description="File of the answers: .csv, or .jsonl with every label."
    )
    training_job: str | None = Field(
        None, description="Training job whose model answers; default: the latest run's."
    )
    instance_type: str = Field("ml.m5.large", pattern=r"^ml\.", description="Transform instance.")
    max_concurrency: int = Field(
        1, ge=1, le=16, description="Pictures that the model gets at a time."
    )
    max_seconds: int = Field(
        3600, ge=60, le=432_000, description="The job is stopped after this many seconds."
    )
    max_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="Hard cap in USD: refused where max_seconds could cost more."
    )
    top_k: int = Field(5, ge=1, le=100, description="Labels in an answer.")
