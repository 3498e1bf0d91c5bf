"""The options of ``whippet run``, ``plan`` and ``improve``, one row each.

From these rows come the parser, the way from its options to a flow's parameters, the command line
that a report prints (:mod:`tasks.parameters.command_line`), and what the forms say. A test compares
them with the models. Standard library only: ``--help`` must be instant.
"""

from __future__ import annotations

from typing import get_args

from sm_entrypoints.contract.choices import Measure
from tasks.parameters.option import Option
from tasks.parameters.options_of_jobs import JOB_SECTIONS

# What `run` and `plan` share, by the titles of their help.
RUN_SECTIONS = {
    **JOB_SECTIONS,
    "endpoint (docs/serving.md)": (
        Option(
            "--kind",
            "deployment.kind",
            "how the endpoint is served and billed",
            "real-time",
            choices=("real-time", "serverless", "async"),
            words={"real-time": "real_time", "async": "asynchronous"},
            title="Kind of endpoint",
            is_common=True,
        ),
        Option(
            "--hours-to-live",
            "deployment.hours_to_live",
            "clean-up removes the endpoint after this many hours",
            8.0,
            title="Time to live (hours)",
            is_common=True,
        ),
        Option(
            "--endpoint-instance-type",
            "deployment.instance_type",
            "type of the instances that serve",
            "ml.t2.medium",
            title="Instance type",
        ),
        Option(
            "--endpoint-instances N",
            "deployment.instance_count",
            "instances of the endpoint; where it scales, the fewest",
            1,
            title="Instances",
        ),
        Option(
            "--max-instances N",
            "deployment.max_instances",
            "real time: scale up to this many instances",
            type=int,
            title="Most instances",
        ),
        Option(
            "--invocations-per-instance N",
            "deployment.invocations_per_instance",
            "real time: invocations a minute that one instance should have, where it scales",
            200,
            title="Invocations a minute and instance",
        ),
        Option(
            "--memory-mb",
            "deployment.memory_mb",
            "serverless: memory of a worker, MB",
            3072,
            title="Memory (MB)",
        ),
        Option(
            "--max-concurrency N",
            "deployment.max_concurrency",
            "serverless: calls at a time; more are throttled",
            5,
            title="Calls at a time",
        ),
        Option(
            "--smoke-images N",
            "deployment.smoke_images",
            "labelled images that the endpoint must answer before it counts as deployed",
            6,
            title="Test images",
        ),
        Option(
            "--top-k N",
            "deployment.top_k",
            "how many labels an answer has, most probable first",
            5,
            title="Labels in an answer",
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
            title="Ask a person before deployment",
        ),
        Option(
            "--margin POINTS",
            "deployment.margin_points",
            "when-worse: points of test accuracy that the model may be worse by",
            2.0,
            title="Margin (points)",
        ),
        Option(
            "--approve-hours HOURS",
            "deployment.approve_hours",
            "the question waits this long; then the answer is no",
            24.0,
            title="Time for an answer (hours)",
        ),
    ),
    "resources and cost": (
        Option(
            "--instance-type",
            "resources.instance_type",
            "type of the instances that run jobs",
            "ml.m5.xlarge",
            title="Instance type of jobs",
            is_common=True,
        ),
        Option(
            "--instance-count",
            "resources.instance_count",
            "instances per job",
            1,
            title="Instances of a job",
        ),
        Option(
            "--volume-gb GB",
            "resources.volume_gb",
            "storage of an instance, GB",
            30,
            title="Storage (GB)",
        ),
        Option(
            "--spot",
            "resources.spot",
            "spare capacity: cheaper, and may be interrupted; jobs are resumed by themselves",
            notation="switch",
            title="Spot instances",
        ),
        Option(
            "--max-wait SECONDS",
            "resources.max_wait_seconds",
            "spot: limit of capacity and job together; default: twice the job's",
            type=int,
            title="Longest wait for spot instances (seconds)",
        ),
        Option(
            "--keep-alive SECONDS",
            "resources.keep_alive_seconds",
            "warm pool: instances wait this long for the next job",
            0,
            title="Keep instances warm (seconds)",
        ),
        Option(
            "--max-runtime SECONDS",
            "resources.max_runtime_seconds",
            "a job is stopped after this, whatever happens",
            7200,
            title="Longest run time of a job (seconds)",
        ),
        Option(
            "--max-usd USD",
            "resources.max_usd",
            "a hard cap: jobs get fewer and shorter to keep it, or the run is refused",
            title="Most to spend (USD)",
            is_common=True,
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
        title="Change (JSON)",
        is_common=True,
    ),
    Option(
        "--measure",
        "improvement.measure",
        "what decides: seconds or validation loss; auto: what the change is for",
        "auto",
        choices=get_args(Measure),
        title="What decides",
        is_common=True,
    ),
    Option(
        "--seconds",
        "improvement.seconds",
        "time for the comparison, without its start",
        120,
        float,
        title="Time (seconds)",
        is_common=True,
    ),
    Option(
        "--pairs",
        "improvement.pairs",
        "least pairs of blocks, for speed",
        6,
        title="Least pairs of blocks",
        is_common=True,
    ),
    Option(
        "--max-usd USD",
        "improvement.max_usd",
        "hard cap of the comparison; default: what the run's own cap leaves",
        title="Most to spend (USD)",
        is_common=True,
    ),
)


_BY_PARAMETER = {
    parameter: row
    for row in (*RUN_OPTIONS, *IMPROVE_OPTIONS)
    for parameter in row.parameters.split()
}


def option_of(parameter: str) -> Option:
    """Return the option that stands for one parameter, ``group.name``."""
    return _BY_PARAMETER[parameter]
