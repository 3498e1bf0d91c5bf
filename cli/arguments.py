"""The options of every command. Standard library only: ``--help`` must be instant."""

from __future__ import annotations

import argparse

from cli.run_arguments import add_run_options

_EPILOG = "Settings are WHIPPET_* environment variables: see README.md. Docs: docs/."


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="whippet",
        description="Train image classifiers on SageMaker with Prefect; rehearse on this machine.",
        epilog=_EPILOG,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_plan(commands)
    _add_improve(commands)
    _add_predict(commands)
    _add_inspection(commands)
    _add_explain(commands)
    _add_clean_up(commands)
    _add_iam(commands)
    _add_image(commands)
    _add_lint(commands)
    _add_doctor(commands)
    _add_servers(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: str,
    text: str,
) -> argparse.ArgumentParser:
    module, _, attribute = function.rpartition(".")
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(module=module, function=attribute)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "run",
        "cli.run.run",
        "sync, tune, train, report, deploy and query: the whole pipeline on a folder of images",
    )
    parser.add_argument("--name", help="name of the run (default: a new one)")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that did not finish")
    add_run_options(parser)


def _add_plan(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "plan",
        "cli.plan.plan",
        "print every request that a run would send, what it costs at most, and what it needs",
    )
    parser.add_argument("--name", help="name of the run")
    parser.add_argument(
        "--platform",
        choices=("local", "aws"),
        help="where it would run (default: WHIPPET_PLATFORM)",
    )
    parser.add_argument("--json", action="store_true", help="all of it, with whole requests")
    add_run_options(parser)


def _add_improve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "improve",
        "cli.improve.improve",
        "measure the change that a run's verdict proposes, and keep it only if it is better",
    )
    parser.add_argument(
        "run", nargs="?", default="latest", help="name of the run (default: latest)"
    )
    parser.add_argument(
        "--change",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="measure this instead of the verdict's change; repeatable",
    )
    parser.add_argument("--measure", choices=("auto", "speed", "quality"), help="what decides")
    parser.add_argument("--seconds", type=float, help="time for the comparison (default 120)")
    parser.add_argument("--pairs", type=int, help="least pairs of blocks for speed (default 6)")


def _add_predict(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "predict", "cli.inspection.predict", "ask an endpoint about images")
    parser.add_argument("image", nargs="+", help="JPEG or PNG files")
    parser.add_argument("--endpoint", help="its name (default: the latest run's)")


def _add_inspection(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    jobs = _command(commands, "jobs", "cli.inspection.jobs", "list tuning and training jobs")
    jobs.add_argument("--status", help="only jobs of this status, such as InProgress")
    logs = _command(commands, "logs", "cli.inspection.logs", "print the log of a training job")
    logs.add_argument("name", help="name of the training job")
    logs.add_argument("-f", "--follow", action="store_true", help="until the job ends")
    _command(commands, "endpoints", "cli.inspection.endpoints", "list endpoints")
    report = _command(commands, "report", "cli.report.report", "write a run's report again")
    report.add_argument("run", nargs="?", default="latest", help="name of the run (default latest)")
    report.add_argument("--pdf", action="store_true", help="as report.pdf too, by Chromium")
    report.add_argument("--open", action="store_true", help="show it in a browser")


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "explain",
        "cli.explain.explain",
        "say what holds a training back, from what smdebug and SageMaker's profiler wrote earlier",
    )
    parser.add_argument(
        "source",
        help="a folder (debug-output, profiler-output, rule-output, …), s3://bucket/prefix, or the "
        "name of a run",
    )
    parser.add_argument("--output", metavar="DIR", help="new folder of the report")
    parser.add_argument("--json", action="store_true", help="print verdict.json instead of text")
    parser.add_argument("--open", action="store_true", help="show the report in a browser")


def _add_clean_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "clean-up",
        "cli.inspection.clean_up",
        "remove endpoints whose time to live has passed, with their configs and models",
    )
    parser.add_argument("endpoint", nargs="?", help="only this one, whatever its time to live")
    parser.add_argument("--all", action="store_true", help="all endpoints that Whippet made")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _add_iam(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands, "iam", "cli.iam.iam", "print the least-privilege policies for AWS, with reasons"
    )
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
        choices=("async", "autoscaling", "create-bucket", "kms", "own-image", "vpc"),
        help="also what this needs; repeatable",
    )
    parser.add_argument("--kms-key", metavar="ID", help="the key, for --feature kms")
    parser.add_argument(
        "--json", choices=("user", "role", "trust"), help="one policy document, to be attached"
    )


def _add_image(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "image",
        "cli.image.image",
        "print the commands that build the serving image and push it to your registry",
    )
    parser.add_argument("--variant", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    parser.add_argument("--account", metavar="ID", help="default: of WHIPPET_ROLE_ARN")
    parser.add_argument("--region", help="default: WHIPPET_REGION")
    parser.add_argument(
        "--repository", default="whippet-serving", help="in the registry (default whippet-serving)"
    )


def _add_lint(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "lint",
        "cli.lint.lint",
        "check that an objective and its metrics are what they claim to be, before money is spent",
    )
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


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(
        commands,
        "doctor",
        "cli.doctor.doctor",
        "check this set-up, and a model archive with its inference.py before it costs money",
    )
    archive = parser.add_mutually_exclusive_group()
    archive.add_argument("--model-data", metavar="FILE", help="a model.tar.gz to check")
    archive.add_argument("--run", help="check the model of this run (latest is one)")
    archive.add_argument(
        "--model", default="resnet18", help="else: a fresh model of this kind (default resnet18)"
    )
    parser.add_argument("--code", metavar="DIR", help="your own inference.py, put into the archive")
    parser.add_argument("--image", metavar="FILE", help="a good image to ask about")


def _add_servers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _command(commands, "up", "cli.server.up", "start a Prefect server if none answers")
    api = _command(
        commands,
        "api",
        "cli.api.api",
        "serve the local SageMaker over HTTP for boto3, the AWS CLI and the SageMaker SDK",
    )
    api.add_argument("--port", type=int, default=4180, help="on 127.0.0.1 (default 4180; 0: any)")
    api.add_argument(
        "--s3-endpoint", metavar="URL", help="S3 server of inputs and outputs (default: folders)"
    )
    _command(
        commands, "down", "cli.server.down", "stop what Whippet started on this machine, only that"
    )
