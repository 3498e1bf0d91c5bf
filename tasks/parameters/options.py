"""The options of ``whippet run``, ``plan`` and ``improve``, one row each.

From these rows come the parser, the way from its options to a flow's parameters, the command line
that a report prints (:mod:`tasks.parameters.command_line`), and what the forms say. A test compares
them with the models. Standard library only: ``--help`` must be instant.
"""

from __future__ import annotations

from typing import get_args

from sm_entrypoints import contract
from sm_entrypoints.contract.choices import DebuggerUse, Measure, Preset, Strategy
from sm_entrypoints.contract.hyperparameters import Trainable
from tasks.parameters.option import Alias, Option

# What `run` and `plan` share, by the titles of their help.
RUN_SECTIONS = {
    "data (docs/data.md)": (
        Option("--data", "data.path", "folder of images", "samples/clipart", notation="path"),
        Option(
            "--data-name NAME",
            "data.name",
            "name of the data set in the bucket; default: the folder's, and six digits of where "
            "it lies",
        ),
        Option(
            "--split SPLIT=FOLDER",
            "data.splits",
            "the folder of train, valid or test, where its name does not say it",
            notation="split",
            alias=Alias(
                "--no-splits",
                None,
                "every folder is a class, also one that is called train or test",
            ),
        ),
        Option(
            "--valid-share SHARE",
            "data.valid_share",
            "share of train that is split off if there is no valid split",
            0.15,
        ),
        Option(
            "--test-share SHARE",
            "data.test_share",
            "share of train that is split off if there is no test split",
            0.15,
        ),
        Option(
            "--convert",
            "data.convert",
            "read WebP, BMP, GIF, TIFF and AVIF too, as PNG or JPEG; the folder is not changed",
            notation="switch",
        ),
        Option(
            "--skip-bad",
            "data.skip_bad",
            "leave out files that cannot be read, and list them in the run's folder",
            notation="switch",
        ),
        Option(
            "--delete-removed",
            "data.delete_removed",
            "delete objects in the bucket whose images left the folder",
            notation="switch",
        ),
    ),
    "model": (
        Option(
            "--model",
            "model.architecture",
            "any torchvision classifier; several with commas, or auto: the search chooses, see "
            "docs/networks.md",
            "resnet18",
        ),
        Option(
            "--weights",
            "model.weights",
            "imagenet, none, or a state_dict or safetensors file (path or s3 URI)",
            "imagenet",
            words={"imagenet": "imagenet", "none": "none"},
            notation="path",
        ),
        Option(
            "--trainable",
            "model.trainable",
            "head: frozen backbone; all: fine-tune every layer; auto: all if weights=none",
            "auto",
            choices=get_args(Trainable),
        ),
        Option("--image-size PIXELS", "model.image_size", "side of the square input, pixels", 224),
    ),
    "hyperparameter search": (
        Option(
            "--max-jobs",
            "tuning.max_jobs",
            "trials; default: 64 in a packed search, 6 in a tuning job",
            type=int,
        ),
        Option("--max-parallel-jobs", "tuning.max_parallel_jobs", "trials at the same time", 1),
        Option("--max-epochs", "tuning.max_epochs", "epochs of a trial", 4),
        Option(
            "--strategy",
            "tuning.strategy",
            "packed: all trials in one training job; the others: a tuning job; auto: packed where "
            "the backbone is frozen, else Bayesian",
            "auto",
            choices=get_args(Strategy),
        ),
        Option(
            "--early-stopping",
            "tuning.early_stopping",
            "stop hopeless trials",
            "Off",
            choices=("Off", "Auto"),
        ),
        Option(
            "--preset",
            "tuning.preset",
            "ranges that are searched, see docs/tuning.md",
            "quick",
            choices=get_args(Preset),
        ),
        Option(
            "--range NAME=RANGE",
            "tuning.ranges",
            "search NAME in LOW:HIGH, LOW:HIGH:log or A,B,C; replaces the preset",
            notation="range",
        ),
        Option("--seed", "data.seed tuning.seed", "of the split, the search and the training", 0),
    ),
    "training": (
        Option(
            "--epochs",
            "training.epochs",
            "epochs of the final training; default: the best trial's",
            type=int,
        ),
        Option(
            "--fine-tune",
            "training.fine_tune",
            "after the head, train all layers in one more job; keep that if it is better",
            notation="switch",
        ),
        Option(
            "--set NAME=VALUE",
            "tuning.fixed training.hyperparameters",
            "a hyperparameter of every job (docs/hyperparameters.md): "
            + ", ".join(contract.HYPERPARAMETERS),
            notation="assignment",
        ),
        Option(
            "--rule NAME=ACTION",
            "training.rules",
            "what a rule does in the final training: warn (default), stop it, or off",
            notation="rule",
        ),
        Option(
            "--debugger",
            "training.debugger",
            "save tensors with smdebug (DebugHookConfig); auto: unless SageMaker refuses it",
            "auto",
            choices=get_args(DebuggerUse),
            alias=Alias("--no-debugger", "off", "--debugger off"),
        ),
    ),
    "endpoint (docs/serving.md)": (
        Option(
            "--kind",
            "deployment.kind",
            "how the endpoint is served and billed",
            "real-time",
            choices=("real-time", "serverless", "async"),
            words={"real-time": "real_time", "async": "asynchronous"},
        ),
        Option(
            "--hours-to-live",
            "deployment.hours_to_live",
            "clean-up removes the endpoint after this many hours",
            8.0,
        ),
        Option(
            "--endpoint-instance-type",
            "deployment.instance_type",
            "hosting instance",
            "ml.t2.medium",
        ),
        Option(
            "--max-instances N",
            "deployment.max_instances",
            "real time: scale up to this many instances",
            type=int,
        ),
        Option("--memory-mb", "deployment.memory_mb", "serverless: memory of a worker, MB", 3072),
        Option(
            "--max-concurrency N",
            "deployment.max_concurrency",
            "serverless: calls at a time; more are throttled",
            5,
        ),
    ),
    "approval (docs/operate.md)": (
        Option(
            "--approve",
            "deployment.approve",
            "ask a person before the model is deployed; when-worse: unless it is shown to be no "
            "worse than the model in service",
            "never",
            choices=("always", "when-worse", "never"),
            words={"when-worse": "when_worse"},
        ),
        Option(
            "--margin POINTS",
            "deployment.margin_points",
            "when-worse: points of test accuracy that the model may be worse by",
            2.0,
        ),
        Option(
            "--approve-hours HOURS",
            "deployment.approve_hours",
            "the question waits this long; then the answer is no",
            24.0,
        ),
    ),
    "resources and cost": (
        Option("--instance-type", "resources.instance_type", "instance of jobs", "ml.m5.xlarge"),
        Option("--instance-count", "resources.instance_count", "instances per job", 1),
        Option("--volume-gb GB", "resources.volume_gb", "storage of an instance, GB", 30),
        Option(
            "--spot",
            "resources.spot",
            "spare capacity: cheaper, and may be interrupted; jobs are resumed by themselves",
            notation="switch",
        ),
        Option(
            "--max-wait SECONDS",
            "resources.max_wait_seconds",
            "spot: limit of capacity and job together; default: twice the job's",
            type=int,
        ),
        Option(
            "--keep-alive SECONDS",
            "resources.keep_alive_seconds",
            "warm pool: instances wait this long for the next job",
            0,
        ),
        Option(
            "--max-runtime SECONDS",
            "resources.max_runtime_seconds",
            "a job is stopped after this, whatever happens",
            7200,
        ),
        Option(
            "--max-usd USD",
            "resources.max_usd",
            "a hard cap: jobs get fewer and shorter to keep it, or the run is refused",
        ),
    ),
}
RUN_OPTIONS = tuple(option for section in RUN_SECTIONS.values() for option in section)

IMPROVE_OPTIONS = (
    Option(
        "--change NAME=VALUE",
        "improvement.change",
        "hyperparameters to change; default: what the run's verdict proposes",
        notation="assignment",
    ),
    Option(
        "--measure",
        "improvement.measure",
        "what decides: seconds or validation loss; auto: what the change is for",
        "auto",
        choices=get_args(Measure),
    ),
    Option(
        "--seconds", "improvement.seconds", "time for the comparison, without its start", 120, float
    ),
    Option("--pairs", "improvement.pairs", "least pairs of blocks, for speed", 6),
    Option(
        "--max-usd USD",
        "improvement.max_usd",
        "hard cap of the comparison; default: what the run's own cap leaves",
    ),
)


_BY_PARAMETER = {row.parameters: row for row in (*RUN_OPTIONS, *IMPROVE_OPTIONS)}


def option_of(parameter: str) -> Option:
    """Return the option that stands for one parameter, ``group.name``."""
    return _BY_PARAMETER[parameter]
