"""Names that jobs, tasks and dashboards share: channels, metrics and files.

Standard library only, because both the orchestrator (no torch) and the job (no Prefect, no boto3)
import it. The code that prints a metric and the code that parses it use the same two functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypedDict, get_args

from sm_entrypoints.contract.choices import RuleAction
from sm_entrypoints.contract.sentences import did_you_mean, nearest

TRAIN_CHANNEL = "train"
VALID_CHANNEL = "valid"
TEST_CHANNEL = "test"
WEIGHTS_CHANNEL = "weights"
# Trial tables of earlier searches, which a packed search learns from.
PARENTS_CHANNEL = "parents"
# What backbones made of pictures before; never needed, see :mod:`sm_entrypoints.features`.
FEATURES_CHANNEL = "features"
SPLITS = (TRAIN_CHANNEL, VALID_CHANNEL, TEST_CHANNEL)

TRAIN_PROGRAM = "sm_entrypoints/train.py"
COMPARE_PROGRAM = "sm_entrypoints/compare.py"
SEARCH_PROGRAM = "sm_entrypoints/search.py"
INFERENCE_PROGRAM = "inference.py"

# What torchvision's pretrained classifiers are normalised with, by channel, of pixels of 0 to 1:
# ``weights.transforms()`` of every one of them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# In the weights channel: the only file, without a classification head or with one.
WEIGHTS_FILE = "weights.safetensors"

MODEL_ARCHIVE = "model.tar.gz"
# In it.
MODEL_WEIGHTS_FILE = "model.safetensors"
MODEL_CARD_FILE = "model.json"
MODEL_CODE_FOLDER = "code"
# What a container installs: of a job at the root of its source, of a model in its code folder.
REQUIREMENTS_FILE = "requirements.txt"

# In output.tar.gz (the job's SM_OUTPUT_DATA_DIR).
METRICS_FILE = "metrics.jsonl"
EVALUATION_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.csv"
VALID_PREDICTIONS_FILE = "valid_predictions.csv"
MISTAKES_FILE = "mistakes.json"
MISTAKES_FOLDER = "mistakes"
# What features say about the pictures, and small pictures beside it.
PICTURES_FILE = "pictures.json"
PICTURES_FOLDER = "pictures"
TRAINING_SUMMARY_FILE = "training.json"
INSTRUMENTATION_FOLDER = "instrumentation"
STEPS_FILE = "steps.csv"
REDUCTIONS_FILE = "reductions.jsonl"
INSTRUMENTATION_SUMMARY_FILE = "summary.json"
HISTOGRAMS_FILE = "histograms.jsonl"
WORKERS_FILE = "workers.csv"
OPERATORS_FILE = "operators.csv"
TRACE_FILE = "trace.json.gz"
SAVED_TENSORS_FILE = "saved_tensors.json"
RULES_FILE = "rules.json"
VERDICT_FILE = "verdict.json"
COMPARISON_FILE = "comparison.json"
# Of a packed search: what SageMaker lists of a tuning job's trials, their epochs, and the summary.
TRIALS_FILE = "trials.json"
TRIAL_METRICS_FILE = "trial_metrics.jsonl"
SEARCH_SUMMARY_FILE = "search.json"
# What the rules that a request names found (DebugRuleConfigurations, ProfilerRuleConfigurations).
REQUESTED_RULES_FILE = "requested_rules.json"
SYSTEM_FOLDER = "profiler-output/system/incremental"
RULE_REPORTS_FOLDER = "profiler-output/profiler-reports"

# Rules that look at tensors while the job trains: they can stop it.
ONLINE_RULES = (
    "AllZero",
    "CheckInputImages",
    "DeadRelu",
    "ExplodingTensor",
    "LossNotDecreasing",
    "Overfit",
    "Overtraining",
    "PoorWeightInitialization",
    "SaturatedActivation",
    "StalledTrainingRule",
    "TensorVariance",
    "UnchangedTensor",
    "VanishingGradient",
    "WeightUpdateRatio",
)
# Rules that need the whole job: SageMaker's profiler report, ours for CPUs, and those of the data.
FINAL_RULES = (
    "BatchSize",
    "BatchSizeThroughput",
    "CPUBottleneck",
    "ClassImbalance",
    "Confusion",
    "DataWait",
    "Dataloader",
    "GPUMemoryIncrease",
    "IOBottleneck",
    "IOWait",
    "LoadBalancing",
    "LowCPUUtilization",
    "LowGPUUtilization",
    "MaxInitializationTime",
    "MemoryGrowth",
    "OverallFrameworkMetrics",
    "OverallSystemUsage",
    "SimilarAcrossRuns",
    "StepOutlier",
    "ThreadOversubscription",
)
# All rules (a test compares them with the job's catalogue), and what one may do when it triggers.
RULES = tuple(sorted(ONLINE_RULES + FINAL_RULES))
RULE_ACTIONS = get_args(RuleAction)
# SageMaker's rule that is a report of all its profiler rules.
PROFILER_REPORT_RULE = "ProfilerReport"
# A member of our own reports in AWS's schema: tells them from those that SageMaker wrote.
REPORT_ORIGIN = "EvaluatedBy"

# torchvision's image classifiers, ``torchvision.models.list_models(module=torchvision.models)``
# of 0.29 (a test compares): known here so that a typo costs nothing.
_ARCHITECTURES = """
alexnet convnext_base convnext_large convnext_small convnext_tiny
densenet121 densenet161 densenet169 densenet201 efficientnet_b0
efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s
googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75
mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small
regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf
regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf
regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf
resnet101 resnet152 resnet18 resnet34 resnet50
resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0
shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b
swin_s swin_t swin_v2_b swin_v2_s swin_v2_t
vgg11 vgg11_bn vgg13 vgg13_bn vgg16
vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32
vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""
ARCHITECTURES = tuple(_ARCHITECTURES.split())

# Of metrics.jsonl, a line for each epoch and split, and of predictions.csv, a row for each picture.
METRIC_COLUMNS = (
    "epoch",
    "split",
    "loss",
    "accuracy",
    "top5_accuracy",
    "samples",
    "seconds",
    "learning_rate",
)
# Of trial_metrics.jsonl; ``trial`` counts from 1.
TRIAL_METRIC_COLUMNS = ("trial", *METRIC_COLUMNS)
PREDICTION_COLUMNS = (
    "path",
    "label",
    "predicted",
    "probability",
    "label_probability",
    "loss",
    "correct",
)
# One step's wall time, in seconds, is the sum of these phases.
STEP_PHASES = ("data_wait", "transfer", "forward", "backward", "optimizer")
# What ran in a step: the whole network over images, or its tail alone over kept features. Files of
# earlier versions lack the column: then it was the whole network.
WHOLE_NETWORK, TAIL_ALONE = "whole", "tail"
STEP_COLUMNS = ("step", "epoch", "mode", "started", *STEP_PHASES, "samples", "network")
# A batch as a loader's worker made it; ``started`` in unix seconds.
WORKER_COLUMNS = ("pid", "started", "seconds", "samples")
# An operator of the torch.profiler window; ``share`` is self time of all self time.
OPERATOR_COLUMNS = (
    "name",
    "calls",
    "self_cpu_seconds",
    "cpu_seconds",
    "self_device_seconds",
    "device_seconds",
    "share",
)

OBJECTIVE_METRIC = "valid:loss"

# Variable by which the trials of a search, which have one checkpoint location, keep theirs apart:
# each below its job's name. What a spot interruption restarts has the name that it had.
CHECKPOINTS_BY_JOB = "WHIPPET_CHECKPOINTS_BY_JOB"
EPOCH_METRICS = (
    "train:loss",
    "train:accuracy",
    "valid:loss",
    "valid:accuracy",
    "valid:top5_accuracy",
    "epoch:seconds",
)
FINAL_METRICS = ("test:loss", "test:accuracy", "test:top5_accuracy")
# ``epoch`` is the progress of a job, readable from its description.
METRIC_NAMES = ("epoch", *EPOCH_METRICS, *FINAL_METRICS)
# Of a comparison job: share of its time that is used (0 to 1), and changed / as trained so far.
COMPARISON_METRICS = ("compare:progress", "compare:ratio")
# Of a packed search: trials that have ended, of how many, and the lowest objective so far.
SEARCH_METRICS = ("search:trials_done", "search:trials", "search:best_valid_loss")

METRIC_PREFIX = "[metrics] "
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"


def require_architecture(name: str) -> str:
    """Return ``name`` when torchvision has a classifier of that name.

    Raises:
        ValueError: unknown; the message names the nearest ones.
    """
    if name in ARCHITECTURES:
        return name
    hint = did_you_mean(nearest(name, ARCHITECTURES, most=3), str)
    raise ValueError(f"unknown model {name!r}: {hint or 'known: ' + ', '.join(ARCHITECTURES)}")


def require_rule_action(rule: str, action: str) -> None:
    """Check that ``rule`` exists and can do ``action``.

    Raises:
        ValueError: it does not, or it cannot; the message names the nearest rule, or why.
    """
    if rule not in RULES:
        hint = did_you_mean(nearest(rule, RULES))
        known = f"{hint} Known" if hint else "known"
        raise ValueError(f"unknown rule {rule!r}: {known}: {', '.join(RULES)}")
    if action not in RULE_ACTIONS:
        raise ValueError(f"rule {rule}: action {action!r} is not one of {', '.join(RULE_ACTIONS)}")
    if action == "stop" and rule not in ONLINE_RULES:
        raise ValueError(
            f"rule {rule} cannot stop a training, because it is evaluated afterwards: use warn "
            f"or off, or one of {', '.join(ONLINE_RULES)}"
        )


def metric_regex(name: str) -> str:
    """Return the SageMaker ``MetricDefinitions`` regex that reads ``name`` from a metric line.

    NaN and infinities do not match: CloudWatch cannot store them, and an objective that is not
    a number must count as missing, not as a value.
    """
    return f'"{re.escape(name)}": {_NUMBER}'


class MetricDefinition(TypedDict):
    """A metric's name, and the regex by which SageMaker reads it from the log."""

    Name: str
    Regex: str


def metric_definitions(names: Sequence[str] = METRIC_NAMES) -> list[MetricDefinition]:
    """Return the ``MetricDefinitions`` member of a SageMaker request."""
    return [{"Name": name, "Regex": metric_regex(name)} for name in names]


def format_metrics(values: Mapping[str, float]) -> str:
    """Return one line of stdout that carries metrics, full precision, in the metric contract.

    Raises:
        ValueError: a name that no metric definition reads.
    """
    names = (*METRIC_NAMES, *COMPARISON_METRICS, *SEARCH_METRICS)
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ValueError(f"unknown metrics {unknown}; known: {list(names)}")
    return METRIC_PREFIX + json.dumps(dict(values))
