"""What the local platform accepts in a CreateTrainingJob request, and what has no effect.

The request has already passed SageMaker's own model. The checks here are those that only the
service can do (does the data exist?) and those for members without a counterpart when there are no
containers or instances.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from platforms.client_errors import client_error
from platforms.errors import WhippetError
from platforms.local.buckets.buckets import split_uri
from platforms.local.context import LocalContext
from platforms.local.debugger.rule_configurations import (
    configuration_problems,
    ignored_members,
    rule_configurations,
)
from platforms.local.debugger.system_sampling import interval_problems
from platforms.local.job_tree import JobTree, channel_source, input_mode
from platforms.local.own_command.command import own_command
from platforms.local.toolkit.entry_point import program, submit_directory
from platforms.local.training.environment import unknown_framework_parameters
from platforms.metric_regexes import MetricRegex, MetricRegexError
from sm_entrypoints.contract.sentences import ended

OPERATION = "CreateTrainingJob"

_HONOURED = frozenset(
    {
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
        "OutputDataConfig",
        "ProfilerConfig",
        "ProfilerRuleConfigurations",
        "RoleArn",
        "StoppingCondition",
        "Tags",
        "TrainingJobName",
    }
)
_HONOURED_ALGORITHM = frozenset({"ContainerEntrypoint", "MetricDefinitions", "TrainingInputMode"})
_HONOURED_CHANNEL = frozenset({"ChannelName", "ContentType", "DataSource", "InputMode"})
# One host gets all of a channel, however it is to be distributed.
_HONOURED_SOURCE = frozenset({"S3DataDistributionType", "S3DataType", "S3Uri"})
# These say the same as not to say them.
_NEUTRAL = (None, False, "None", "GZIP", "FullyReplicated")


def ignored_fields(request: Mapping[str, Any]) -> list[str]:
    """Return the members that are set, recorded, and change nothing on this platform."""
    fields = [key for key in request if key not in _HONOURED and request[key] not in _NEUTRAL]
    if own_command(request):
        honoured = _HONOURED_ALGORITHM | {"ContainerArguments"}
    else:
        honoured = _HONOURED_ALGORITHM
        fields += [f"HyperParameters.{key}" for key in unknown_framework_parameters(request)]
    fields += _inside("AlgorithmSpecification", request, honoured)
    fields += _inside("OutputDataConfig", request, frozenset({"S3OutputPath"}))
    fields += _inside("StoppingCondition", request, frozenset({"MaxRuntimeInSeconds"}))
    for channel in request.get("InputDataConfig", []):
        name = f"InputDataConfig[{channel['ChannelName']}]"
        fields += _inside(name, {name: channel}, _HONOURED_CHANNEL)
        fields += _inside(f"{name}.S3DataSource", _s3_source(name, channel), _HONOURED_SOURCE)
    return sorted([*fields, *ignored_members(request)])


def _s3_source(name: str, channel: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}.S3DataSource": channel["DataSource"].get("S3DataSource", {})}


def _inside(name: str, request: Mapping[str, Any], honoured: frozenset[str]) -> list[str]:
    members = request.get(name, {})
    return [
        f"{name}.{key}"
        for key, value in members.items()
        if key not in honoured and value not in _NEUTRAL
    ]


def check_request(context: LocalContext, request: Mapping[str, Any]) -> None:
    """Check what the service would check, and what this platform cannot do; writes nothing.

    Raises:
        ClientError: ``ValidationException`` with all problems, or ``ResourceLimitExceeded``.
    """
    problems = [*_missing_members(request)]
    if not problems:
        problems += _problems(context, request)
    if problems:
        raise client_error(OPERATION, "ValidationException", " ".join(problems))
    count = request["ResourceConfig"].get("InstanceCount", 1)
    if count != 1:
        kind = request["ResourceConfig"].get("InstanceType", "instance")
        raise client_error(
            OPERATION,
            "ResourceLimitExceeded",
            f"The account-level service limit '{kind} for training job usage' is 1 Instances, "
            f"with current utilization of 0 Instances and a request delta of {count} Instances. "
            "This machine is one instance: set InstanceCount to 1.",
        )


def _missing_members(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield members that botocore's model leaves open for serverless jobs, and we need."""
    if "ServerlessJobConfig" in request:
        yield "ServerlessJobConfig is not available here: give AlgorithmSpecification instead."
        return
    for member in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if member not in request:
            yield f"{member} is required for a training job."


def _problems(context: LocalContext, request: Mapping[str, Any]) -> Iterator[str]:
    yield from _program_problems(context, request)
    yield from _channel_problems(context, request)
    yield from _text_problems(request)
    yield from configuration_problems(request)
    yield from interval_problems(request)
    tree = JobTree(folder=context.home)
    for find in (
        lambda: split_uri(request["OutputDataConfig"]["S3OutputPath"]),
        lambda: tree.tensors(request),
        lambda: tree.checkpoints(request),
    ):
        yield from _problem_of(find)
    for member, key in (
        ("CheckpointConfig", "S3Uri"),
        ("DebugHookConfig", "S3OutputPath"),
        ("ProfilerConfig", "S3OutputPath"),
    ):
        uri = request.get(member, {}).get(key)
        if uri is not None:
            yield from _problem_of(lambda uri=uri: split_uri(uri))
    for rule in rule_configurations(request):
        if rule.output_uri is not None:
            yield from _problem_of(lambda uri=rule.output_uri: split_uri(uri))


def _problem_of(find: Any) -> Iterator[str]:
    try:
        find()
    except WhippetError as error:
        yield ended(error)


def _program_problems(context: LocalContext, request: Mapping[str, Any]) -> Iterator[str]:
    if own_command(request):
        return
    yield from _problem_of(lambda: program(request))
    try:
        uri = submit_directory(request)
        if not context.buckets.is_object(uri):
            yield f'No S3 object found at "{uri}" (sagemaker_submit_directory): upload the code.'
    except WhippetError as error:
        yield ended(error)


def _channel_problems(context: LocalContext, request: Mapping[str, Any]) -> Iterator[str]:
    channels = request.get("InputDataConfig", [])
    names = [channel["ChannelName"] for channel in channels]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"Channel names must be unique: {name!r} is given {names.count(name)} times."
    for channel in channels:
        yield from _one_channel(context, request, channel)


def _one_channel(
    context: LocalContext, request: Mapping[str, Any], channel: Mapping[str, Any]
) -> Iterator[str]:
    name = channel["ChannelName"]
    source = channel["DataSource"].get("S3DataSource", {})
    kind = source.get("S3DataType")
    if input_mode(channel, request) == "Pipe":
        yield f"Channel {name!r}: input mode Pipe is not available here; use File."
    elif name in {".", ".."}:
        yield f"Channel {name!r}: this cannot be the name of a folder."
    elif kind != "S3Prefix":
        yield f"Channel {name!r}: S3DataType {kind!r} is not available here; use S3Prefix."
    else:
        yield from _problem_of(lambda: channel_source(channel, request, context.buckets))


def _text_problems(request: Mapping[str, Any]) -> Iterator[str]:
    for member in ("HyperParameters", "Environment"):
        for key, value in request.get(member, {}).items():
            if "\0" in key + value:
                yield (
                    f"{member}: {key!r} holds a NUL character, which cannot be passed to a process."
                )
    for definition in request["AlgorithmSpecification"].get("MetricDefinitions", []):
        try:
            MetricRegex(definition["Regex"])
        except MetricRegexError as error:
            yield f"Metric {definition['Name']!r}: {definition['Regex']!r} {ended(error)}"
