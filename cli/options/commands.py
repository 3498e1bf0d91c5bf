"""The options of every command. Standard library only: ``--help`` must be instant."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cli.options.run import add_options, add_run_options
from tasks.parameters.options import IMPROVE_OPTIONS

_EPILOG = "Settings are WHIPPET_* environment variables: see README.md. Docs: docs/."
_AddOptions = Callable[[argparse.ArgumentParser], None]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="whippet",
        description="Train image classifiers on SageMaker with Prefect; rehearse on this machine.",
        epilog=_EPILOG,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for function, add_own, text in _COMMANDS:
        module, _, attribute = function.rpartition(".")
        name, description = attribute.replace("_", "-"), text[0].upper() + text[1:] + "."
        command = commands.add_parser(name, help=text, description=description)
        command.set_defaults(module=module, function=attribute)
        add_own(command)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="name of the run (default: a new one)")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that did not finish")
    add_run_options(parser)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="name of the run")
    parser.add_argument("--json", action="store_true", help="all of it, with whole requests")
    add_run_options(parser)


def _add_improve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="latest", help="name of the run (default: latest)"
    )
    add_options(parser, IMPROVE_OPTIONS)


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", nargs="+", help="JPEG or PNG files, or folders; with --out, one folder"
    )
    parser.add_argument("--endpoint", help="its name (default: the latest run's)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="label a whole folder by a batch transform job, without an endpoint: .csv or .jsonl",
    )
    parser.add_argument(
        "--training-job", metavar="NAME", help="with --out: whose model (default: the latest run's)"
    )
    parser.add_argument("--instance-type", help="with --out: default ml.m5.large")
    parser.add_argument("--max-usd", metavar="USD", help="with --out: hard cap, or it refuses")


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    statuses = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")
    parser.add_argument("--status", choices=statuses, help="only jobs of this status")


def _add_logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of the training or transform job")
    parser.add_argument("-f", "--follow", action="store_true", help="until the job ends")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="latest", help="name of the run (default latest)")
    parser.add_argument("--pdf", action="store_true", help="as report.pdf too, by Chromium")
    parser.add_argument("--open", action="store_true", help="show it in a browser")


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", help="name of a data set or of a training job, or s3://bucket/prefix"
    )
    parser.add_argument("folder", help="made when it is not there; nothing in it is deleted")


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        help="a folder (debug-output, profiler-output, rule-output, …), s3://bucket/prefix, or the "
        "name of a run",
    )
    parser.add_argument("--output", metavar="DIR", help="new folder of the report")
    parser.add_argument(
        "--other",
        metavar="SOURCE",
        action="append",
        default=[],
        help="another job: are the two the same run? repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print verdict.json instead of text")
    parser.add_argument("--open", action="store_true", help="show the report in a browser")


def _add_clean_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("endpoint", nargs="?", help="only this one, whatever its time to live")
    parser.add_argument("--all", action="store_true", help="all endpoints that Whippet made")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _add_iam(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", metavar="ID", help="default: of WHIPPET_ROLE_ARN")
    parser.add_argument("--region", help="default: WHIPPET_REGION")
    parser.add_argument("--bucket", help="default: WHIPPET_BUCKET, or SageMaker's own name for it")
    parser.add_argument("--prefix", help="key prefix in the bucket (default: WHIPPET_PREFIX)")
    parser.add_argument("--role", metavar="NAME", help="execution role, with its path")
    parser.add_argument("--names", metavar="PREFIX", help="only runs whose names begin so")
    parser.add_argument(
        "--feature",
        action="append",
        default=[],
        choices=(
            *("async", "autoscaling", "create-bucket", "kms", "own-image"),
            *("transform", "vpc"),
        ),
        help="also what this needs; repeatable",
    )
    parser.add_argument("--kms-key", metavar="ID", help="the key, for --feature kms")
    parser.add_argument(
        "--json", choices=("user", "role", "trust"), help="one policy document, to be attached"
    )


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    parser.add_argument("--account", metavar="ID", help="default: of WHIPPET_ROLE_ARN")
    parser.add_argument("--region", help="default: WHIPPET_REGION")
    parser.add_argument(
        "--repository", default="whippet-serving", help="in the registry (default whippet-serving)"
    )


def _add_lint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="a training or tuning job of the platform")
    parser.add_argument("--log", metavar="FILE", help="somebody else's log; no platform is needed")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME=REGEX",
        help="how SageMaker reads a metric from that log; repeatable",
    )
    parser.add_argument("--objective", metavar="NAME", help="the metric that a search optimises")
    parser.add_argument(
        "--request", metavar="FILE", help="a tuning or training request as JSON, with --log or not"
    )
    parser.add_argument("--classes", type=int, metavar="N", help="classes of the data")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    archive = parser.add_mutually_exclusive_group()
    archive.add_argument("--model-data", metavar="FILE", help="a model.tar.gz to check")
    archive.add_argument("--run", help="check the model of this run (latest is one)")
    archive.add_argument(
        "--model", default="resnet18", help="else: a fresh model of this kind (default resnet18)"
    )
    parser.add_argument("--code", metavar="DIR", help="your own inference.py, put into the archive")
    parser.add_argument("--image", metavar="FILE", help="a good image to ask about")


def _add_api(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, default=4180, help="on 127.0.0.1 (default 4180; 0: any)"
    )
    parser.add_argument(
        "--s3-endpoint", metavar="URL", help="S3 server of inputs and outputs (default: folders)"
    )


def _add_nothing(_: argparse.ArgumentParser) -> None:
    """Leave a command without options of its own."""


# The function behind a command (its last part names the command), its options, its help.
_COMMANDS: tuple[tuple[str, _AddOptions, str], ...] = (
    (
        "cli.run.run",
        _add_run,
        "sync, tune, train, report, deploy and query: the whole pipeline on a folder of images",
    ),
    (
        "cli.plan.plan",
        _add_plan,
        "print every request that a run would send, what it costs at most, and what it needs",
    ),
    (
        "cli.improve.improve",
        _add_improve,
        "measure the change that a run's verdict proposes, and keep it only if it is better",
    ),
    ("cli.predict.predict", _add_predict, "ask an endpoint about images"),
    ("cli.inspection.jobs", _add_jobs, "list tuning, training and transform jobs"),
    ("cli.inspection.logs", _add_logs, "print the log of a training or transform job"),
    ("cli.inspection.endpoints", _add_nothing, "list endpoints"),
    ("cli.report.report", _add_report, "write a run's report again"),
    (
        "cli.fetch.fetch",
        _add_fetch,
        "bring a data set, or what a training job wrote, from the bucket to a folder, verified",
    ),
    (
        "cli.explain.explain",
        _add_explain,
        "say what holds a training back, from what smdebug and SageMaker's profiler wrote earlier",
    ),
    (
        "cli.inspection.clean_up",
        _add_clean_up,
        "remove endpoints whose time to live has passed, with their configs and models",
    ),
    ("cli.iam.iam", _add_iam, "print the least-privilege policies for AWS, with reasons"),
    (
        "cli.image.image",
        _add_image,
        "print the commands that build the serving image and push it to your registry",
    ),
    (
        "cli.lint.lint",
        _add_lint,
        "check that an objective and its metrics are what they claim to be, before money is spent",
    ),
    (
        "cli.doctor.doctor.doctor",
        _add_doctor,
        "check this set-up, and a model archive with its inference.py before it costs money",
    ),
    (
        "cli.server.commands.up",
        _add_nothing,
        "start this project's Prefect server, if it does not run, and say how to sign in",
    ),
    (
        "cli.api.api",
        _add_api,
        "serve the local SageMaker over HTTP for boto3, the AWS CLI and the SageMaker SDK",
    ),
    (
        "cli.server.commands.down",
        _add_nothing,
        "stop what Whippet started on this machine, only that",
    ),
)
