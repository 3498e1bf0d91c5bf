"""Everything that rules look at, as plain values and NumPy arrays, for any job, even imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_entrypoints.contract.tensor_records import TensorRecord

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Values of one system metric of one node: ``timestamps`` in unix seconds, ascending."""

    node: str
    dimension: str
    name: str
    timestamps: Numbers
    values: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRule:
    """What a rule of SageMaker's own ProfilerReport found: ``profiler-reports/<Rule>.json``.

    ``parameters`` are its thresholds, as text.
    """

    rule: str
    triggered: int
    violations: int
    datapoints: int
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What a job left behind; an empty member stands for what was not recorded.

    Attributes:
        records: tensor statistics in the order of time.
        system: the system sampler's series (CPUUtilization of cpu0, …).
        steps: columns of ``steps.csv`` by name (``contract.STEP_COLUMNS``), one entry a step;
            ``mode`` and ``network`` are arrays of str.
        workers: columns of ``workers.csv`` by name (``contract.WORKER_COLUMNS``).
        epochs: the objects of ``metrics.jsonl``.
        evaluation: ``evaluation.json``.
        class_counts: training images by class.
        job: ``training.json`` (arguments, seconds, threads, device, …).
        summary: ``summary.json`` of the instrumentation.
        cores: logical cores of the node, 0 when unknown.
        others: ``records`` of other runs to compare with.
        theirs: what SageMaker's own report on this job says.
    """

    records: Sequence[TensorRecord] = ()
    system: Sequence[Series] = ()
    steps: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    workers: Mapping[str, Numbers] = field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()
    evaluation: Mapping[str, Any] | None = None
    class_counts: Mapping[str, int] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    cores: int = 0
    others: Sequence[Sequence[TensorRecord]] = ()
    theirs: Sequence[ForeignRule] = ()
