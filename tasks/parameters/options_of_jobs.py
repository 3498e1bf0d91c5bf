"""The options of ``whippet run`` and ``plan`` that say what jobs do: one row each.

Those of endpoints, resources and ``improve`` are in :mod:`tasks.parameters.options`.
"""

from __future__ import annotations

from typing import get_args

from sm_entrypoints import contract
from sm_entrypoints.contract.choices import DebuggerUse, Lint, Preset, Strategy
from sm_entrypoints.contract.hyperparameters import Trainable
from tasks.parameters.option import Alias, Option

# By the titles of their help.
JOB_SECTIONS = {
    "data (docs/data.md)": (
        Option(
            "--data",
            "data.path",
            "folder of images: train/, valid/ and test/ of classes, or folders of classes only",
            "samples/clipart",
            notation="path",
            title="Folder of images",
            is_common=True,
        ),
        Option(
            "--data-name NAME",
            "data.name",
            "name of the data set in the bucket; default: the folder's, and six digits of where "
            "it lies",
            title="Name of the data set",
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
            title="Folders of the splits",
        ),
        Option(
            "--valid-share SHARE",
            "data.valid_share",
            "share of train that is split off if there is no valid split",
            0.15,
            title="Validation share",
        ),
        Option(
            "--test-share SHARE",
            "data.test_share",
            "share of train that is split off if there is no test split",
            0.15,
            title="Test share",
        ),
        Option(
            "--convert",
            "data.convert",
            "read WebP, BMP, GIF, TIFF and AVIF too, as PNG or JPEG; the folder is not changed",
            notation="switch",
            title="Read other image formats",
        ),
        Option(
            "--skip-bad",
            "data.skip_bad",
            "leave out files that cannot be read, and list them in the run's folder",
            notation="switch",
            title="Skip unreadable files",
        ),
        Option(
            "--delete-removed",
            "data.delete_removed",
            "delete objects in the bucket whose images left the folder",
            notation="switch",
            title="Delete removed images",
        ),
    ),
    "model": (
        Option(
            "--model",
            "model.architecture",
            "any torchvision classifier; several with commas, or auto: the search chooses, see "
            "docs/networks.md",
            "resnet18",
            title="Architecture",
            is_common=True,
        ),
        Option(
            "--weights",
            "model.weights",
            "pretrained weights: imagenet, none, or a state_dict or safetensors file (path or s3 "
            "URI)",
            "imagenet",
            words={"imagenet": "imagenet", "none": "none"},
            notation="path",
            title="Weights",
        ),
        Option(
            "--trainable",
            "model.trainable",
            "what trains: head (the backbone is frozen), all (every layer), or auto: all if "
            "weights=none",
            "auto",
            choices=get_args(Trainable),
            title="What trains",
        ),
        Option(
            "--image-size PIXELS",
            "model.image_size",
            "side of the square input, pixels",
            224,
            title="Image size (pixels)",
            is_common=True,
        ),
    ),
    "hyperparameter search": (
        Option(
            "--max-jobs",
            "tuning.max_jobs",
            "how many trials; default: 64 in a packed search, 6 in a tuning job",
            type=int,
            title="Trials",
            is_common=True,
        ),
        Option(
            "--max-parallel-jobs",
            "tuning.max_parallel_jobs",
            "trials at the same time",
            1,
            title="Trials at the same time",
        ),
        Option(
            "--max-epochs",
            "tuning.max_epochs",
            "epochs that each trial trains at most",
            4,
            title="Epochs of a trial",
            is_common=True,
        ),
        Option(
            "--strategy",
            "tuning.strategy",
            "how trials run: packed into one training job, or by a tuning job of that strategy; "
            "auto: packed where the backbone is frozen, else Bayesian",
            "auto",
            choices=get_args(Strategy),
            title="Strategy",
        ),
        Option(
            "--early-stopping",
            "tuning.early_stopping",
            "stop hopeless trials",
            "Off",
            choices=("Off", "Auto"),
            title="Early stopping",
        ),
        Option(
            "--preset",
            "tuning.preset",
            "ranges that are searched, see docs/tuning.md",
            "quick",
            choices=get_args(Preset),
            title="Preset of ranges",
        ),
        Option(
            "--range NAME=RANGE",
            "tuning.ranges",
            "search NAME in LOW:HIGH, LOW:HIGH:log or A,B,C; replaces the preset",
            notation="range",
            title="Own ranges (JSON)",
        ),
        Option(
            "--seed",
            "data.seed tuning.seed",
            "seed of the split, the search and the training",
            0,
            title="Seed",
        ),
        Option(
            "--warm-start-from SEARCH",
            "tuning.warm_start_from",
            "a finished tuning job to learn from; up to five",
            notation="list",
            title="Searches to learn from",
        ),
        Option(
            "--lint",
            "tuning.lint",
            "what findings about the trials' metrics do: end the run, warn, or nothing",
            "error",
            choices=get_args(Lint),
            title="Lint of the trials",
        ),
    ),
    "training": (
        Option(
            "--epochs",
            "training.epochs",
            "epochs of the final training; default: the best trial's",
            type=int,
            title="Epochs of the final training",
        ),
        Option(
            "--fine-tune",
            "training.fine_tune",
            "after the head, train all layers in one more job; keep that if it is better",
            notation="switch",
            title="Fine-tune all layers afterwards",
            is_common=True,
        ),
        Option(
            "--set NAME=VALUE",
            "tuning.fixed training.hyperparameters",
            "a hyperparameter of every job (docs/hyperparameters.md): "
            + ", ".join(contract.HYPERPARAMETERS),
            notation="assignment",
            title="Fixed hyperparameters (JSON)",
        ),
        Option(
            "--rule NAME=ACTION",
            "training.rules",
            "what a rule does in the final training: warn (default), stop it, or off",
            notation="rule",
            title="Actions of rules (JSON)",
        ),
        Option(
            "--debugger",
            "training.debugger",
            "save tensors with smdebug (DebugHookConfig); auto: unless SageMaker refuses it",
            "auto",
            choices=get_args(DebuggerUse),
            alias=Alias("--no-debugger", "off", "--debugger off"),
            title="Save tensors with smdebug",
        ),
        Option(
            "--save-interval STEPS",
            "training.save_interval",
            "steps between saved tensors; losses are saved at every step",
            20,
            title="Steps between saved tensors",
        ),
        Option(
            "--profiling-interval MS",
            "training.profiling_interval_ms",
            "milliseconds between samples of the system: 100, 200, 500, 1000, 5000 or 60000",
            500,
            title="Time between system samples (ms)",
        ),
    ),
}
