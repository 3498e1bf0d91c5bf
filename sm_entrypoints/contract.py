"""Names that jobs, tasks and dashboards share: channels, metrics and files.

Standard library only, because it is imported by the orchestrator (no torch) and by the job
(no Prefect, no boto3). Whoever prints a metric and whoever parses it use the same two functions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

TRAIN_CHANNEL = "train"
VALID_CHANNEL = "valid"
TEST_CHANNEL = "test"
WEIGHTS_CHANNEL = "weights"
SPLITS = (TRAIN_CHANNEL, VALID_CHANNEL, TEST_CHANNEL)

TRAIN_PROGRAM = "sm_entrypoints/train.py"
INFERENCE_PROGRAM = "inference.py"

# In the weights channel: the only file, without a classification head or with one.
WEIGHTS_FILE = "weights.safetensors"

# In model.tar.gz.
MODEL_WEIGHTS_FILE = "model.safetensors"
MODEL_CARD_FILE = "model.json"
MODEL_CODE_FOLDER = "code"

# In output.tar.gz (the job's SM_OUTPUT_DATA_DIR).
METRICS_FILE = "metrics.jsonl"
EVALUATION_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.csv"
MISTAKES_FILE = "mistakes.json"
MISTAKES_FOLDER = "mistakes"
TRAINING_SUMMARY_FILE = "training.json"
INSTRUMENTATION_FOLDER = "instrumentation"
STEPS_FILE = "steps.csv"
REDUCTIONS_FILE = "reductions.jsonl"
INSTRUMENTATION_SUMMARY_FILE = "summary.json"
SYSTEM_FOLDER = "profiler-output/system/incremental"
DEBUG_FOLDER = "debug-output"

# One step's wall time, in seconds, is the sum of these phases.
STEP_PHASES = ("data_wait", "transfer", "forward", "backward", "optimizer")
STEP_COLUMNS = ("step", "epoch", "mode", "started", *STEP_PHASES, "samples")

OBJECTIVE_METRIC = "valid:loss"
EPOCH_METRICS = (
    "train:loss",
    "train:accuracy",
    "valid:loss",
    "valid:accuracy",
    "valid:top5_accuracy",
    "epoch:seconds",
)
FINAL_METRICS = ("test:loss", "test:accuracy", "test:top5_accuracy")
METRIC_NAMES = (*EPOCH_METRICS, *FINAL_METRICS)

METRIC_PREFIX = "[metrics] "
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"


def metric_regex(name: str) -> str:
    """Return the SageMaker ``MetricDefinitions`` regex that reads ``name`` from a metric line.

    NaN and infinities do not match: CloudWatch cannot store them, and an objective that is not
    a number must count as missing, not as a value.
    """
    return f'"{re.escape(name)}": {_NUMBER}'


def metric_definitions() -> list[dict[str, str]]:
    """Return the ``MetricDefinitions`` member of a SageMaker request."""
    return [{"Name": name, "Regex": metric_regex(name)} for name in METRIC_NAMES]


def format_metrics(values: Mapping[str, float]) -> str:
    """Return one line of stdout that carries metrics, full precision, in the metric contract.

    Raises:
        ValueError: a name that no metric definition reads (``epoch`` is always allowed).
    """
    unknown = sorted(set(values) - {"epoch", *METRIC_NAMES})
    if unknown:
        raise ValueError(f"unknown metrics {unknown}; known are {list(METRIC_NAMES)}")
    return METRIC_PREFIX + json.dumps(dict(values))


def parse_metrics(line: str) -> dict[str, float] | None:
    """Return the metrics of one line of a log, or None when the line carries none.

    Values that are not finite are dropped, as the regex of :func:`metric_regex` drops them.
    """
    start = line.find(METRIC_PREFIX)
    if start < 0:
        return None
    try:
        values = json.loads(line[start + len(METRIC_PREFIX) :])
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
