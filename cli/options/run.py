"""The options of a run. Standard library only: ``--help`` must be instant."""

from __future__ import annotations

import argparse
from typing import Any

from cli.options.endpoint import add_endpoint_options
from sm_entrypoints import contract


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` and `plan` share: data, model, search, training, resources, cost."""
    parser.add_argument(
        "--platform", choices=("local", "aws"), help="where it runs (default: WHIPPET_PLATFORM)"
    )
    add_data_options(parser)
    _add_model_options(parser)
    _add_tuning_options(parser)
    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=int, help="of the final training (default: the best's)")
    training.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a hyperparameter of every job: {', '.join(contract.HYPERPARAMETERS)}",
    )
    training.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="NAME=ACTION",
        help="what a rule does in the final training: warn (default), stop it, or off; repeatable",
    )
    training.add_argument(
        "--debugger",
        choices=("auto", "on", "off"),
        help="save tensors with smdebug; auto (default): unless SageMaker refuses",
    )
    training.add_argument(
        "--no-debugger", action="store_const", const="off", dest="debugger", help="--debugger off"
    )
    add_endpoint_options(parser)
    _add_resource_options(parser)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add what can be said about the folder of images: docs/data.md."""
    data = parser.add_argument_group("data (docs/data.md)")
    data.add_argument("--data", help="folder of images (default: samples/clipart)")
    data.add_argument(
        "--data-name",
        metavar="NAME",
        help="of the data set in the bucket (default: the folder's, and digits of where it lies)",
    )
    data.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="SPLIT=FOLDER",
        help="the folder of train, valid or test, where its name does not say it; repeatable",
    )
    data.add_argument(
        "--no-splits",
        action="store_true",
        default=None,
        help="every folder is a class, also one that is called train or test",
    )
    _add_ways_to_read(data)


def _add_ways_to_read(data: argparse._ArgumentGroup) -> None:
    data.add_argument(
        "--valid-share",
        type=float,
        metavar="SHARE",
        help="of train that is split off where there is no valid split (default 0.15)",
    )
    data.add_argument(
        "--test-share",
        type=float,
        metavar="SHARE",
        help="of train that is split off where there is no test split (default 0.15)",
    )
    data.add_argument(
        "--convert",
        action="store_true",
        default=None,
        help="read WebP, BMP, GIF, TIFF and AVIF too, as PNG or JPEG; the folder stays as it is",
    )
    data.add_argument(
        "--skip-bad",
        action="store_true",
        default=None,
        help="leave out files that cannot be read, and list them in the run's folder",
    )
    data.add_argument(
        "--delete-removed",
        action="store_true",
        default=None,
        help="delete objects in the bucket whose images left the folder",
    )


def data_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the data that were given; None stands for not given.

    Raises:
        ParameterError: splits are said in two ways that contradict each other, or not as
            SPLIT=FOLDER.
    """
    from platforms.errors import ParameterError

    splits: dict[str, str] | None = {} if arguments.no_splits else None
    for text in arguments.split:
        split, equals, folder = text.partition("=")
        if splits is not None and arguments.no_splits:
            raise ParameterError("--no-splits says that there are none: leave out --split")
        if not equals or not folder or split not in contract.SPLITS:
            raise ParameterError(
                f"--split {text!r}: write train=FOLDER, valid=FOLDER or test=FOLDER, "
                "such as --split train=Training"
            )
        splits = {**(splits or {}), split: folder}
    return {
        "name": arguments.data_name,
        "splits": splits,
        "valid_share": arguments.valid_share,
        "test_share": arguments.test_share,
        "convert": arguments.convert,
        "skip_bad": arguments.skip_bad,
        "delete_removed": arguments.delete_removed,
    }


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument("--model", help="any torchvision classifier (default resnet18)")
    model.add_argument("--weights", help="imagenet (default), none, or a file or s3 URI")
    model.add_argument("--trainable", choices=("auto", "head", "all"), help="what is trained")
    model.add_argument("--image-size", type=int, metavar="PIXELS", help="input side (default 224)")


def _add_tuning_options(parser: argparse.ArgumentParser) -> None:
    tuning = parser.add_argument_group("hyperparameter search")
    tuning.add_argument("--max-jobs", type=int, help="trials (default 6)")
    tuning.add_argument("--max-parallel-jobs", type=int, help="trials at a time (default 1)")
    tuning.add_argument("--max-epochs", type=int, help="epochs of a trial (default 4)")
    tuning.add_argument("--strategy", choices=("Bayesian", "Random", "Hyperband", "Grid"))
    tuning.add_argument("--early-stopping", choices=("Off", "Auto"))
    tuning.add_argument("--preset", choices=("quick", "lr-batch-epochs", "lr-batch-eps-decay"))
    tuning.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="search NAME in LOW:HIGH, LOW:HIGH:log or A,B,C; replaces the preset; repeatable",
    )
    tuning.add_argument("--seed", type=int, help="of the split, the search and the training")


def _add_resource_options(parser: argparse.ArgumentParser) -> None:
    resources = parser.add_argument_group("resources and cost")
    resources.add_argument("--instance-type", help="of jobs (default ml.m5.xlarge)")
    resources.add_argument("--instance-count", type=int, help="instances a job (default 1)")
    resources.add_argument(
        "--volume-gb", type=int, metavar="GB", help="of an instance (default 30)"
    )
    resources.add_argument("--spot", action="store_true", help="spare capacity, resumed by itself")
    resources.add_argument("--max-wait", type=int, metavar="SECONDS", help="for spot and the job")
    resources.add_argument(
        "--keep-alive", type=int, metavar="SECONDS", help="keep instances warm for the next job"
    )
    resources.add_argument("--max-runtime", type=int, metavar="SECONDS", help="limit of one job")
    resources.add_argument(
        "--max-usd", metavar="USD", help="hard cap on what all of it can cost, or it is refused"
    )


def resource_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the jobs' resources that were given; None stands for not given."""
    return {
        "instance_type": arguments.instance_type,
        "instance_count": arguments.instance_count,
        "volume_gb": arguments.volume_gb,
        "max_runtime_seconds": arguments.max_runtime,
        "spot": arguments.spot or None,
        "max_wait_seconds": arguments.max_wait,
        "keep_alive_seconds": arguments.keep_alive,
        "max_usd": arguments.max_usd,
    }
