"""What Whippet may have to do in an AWS account, action by action, for ``whippet iam``.

The resources of an action are from AWS's Service Authorization Reference; the execution role's
needs are from SageMaker's guide ("How to use SageMaker execution roles"). Every action here is
called by Whippet, or by SageMaker on its behalf: ``make test-aws`` withdraws each one and checks
what breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stage = Literal[
    "plan", "sync", "tune", "train", "deploy", "query", "logs", "stop", "clean-up", "job"
]
Feature = Literal["async", "autoscaling", "create-bucket", "kms", "own-image", "transform", "vpc"]
Condition = Mapping[str, Mapping[str, str | list[str]]]

EVERYTHING = "*"
_SAGEMAKER = "arn:{partition}:sagemaker:{region}:{account}:"
TRAINING_JOBS = _SAGEMAKER + "training-job/{names}"
TUNING_JOBS = _SAGEMAKER + "hyper-parameter-tuning-job/{names}"
MODELS = _SAGEMAKER + "model/{names}"
CONFIGS = _SAGEMAKER + "endpoint-config/{names}"
ENDPOINTS = _SAGEMAKER + "endpoint/{names}"
TRANSFORM_JOBS = _SAGEMAKER + "transform-job/{names}"
_TAGGED = (TRAINING_JOBS, TUNING_JOBS, MODELS, CONFIGS, ENDPOINTS)
_ROLE = "arn:{partition}:iam::{account}:role/{role}"
_BUCKET = "arn:{partition}:s3:::{bucket}"
_OBJECTS = _BUCKET + "/{prefix}/*"
_LOGS = "arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/"
# AWS's own deep learning images, classic (pytorch-training) and on Amazon Linux (pytorch).
_AWS_IMAGES = "arn:{partition}:ecr:{region}:{images}:repository/pytorch*"
_OWN_IMAGES = "arn:{partition}:ecr:{region}:{account}:repository/whippet*"
_KEY = "arn:{partition}:kms:{region}:{account}:key/{key}"
_SCALING = "arn:{partition}:application-autoscaling:{region}:{account}:scalable-target/*"
_SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
_SCALING_ROLE = (
    "arn:{partition}:iam::{account}:role/aws-service-role/"
    + _SCALING_SERVICE
    + "/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_SCALING_ACTIONS: tuple[tuple[str, Stage, str], ...] = (
    ("RegisterScalableTarget", "deploy", "how many instances an endpoint may have"),
    ("PutScalingPolicy", "deploy", "when it gets more or fewer"),
    ("DeregisterScalableTarget", "clean-up", "goes with its endpoint"),
)
_ALARMS = "arn:{partition}:cloudwatch:{region}:{account}:alarm:TargetTracking-endpoint/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One action, what it is needed on, and why.

    Attributes:
        resources: patterns of ARNs; names in braces are filled in by
            ``tasks.permissions.policy_documents``. stage: what needs it first. feature: it is
            needed only with this feature. optional: without it the run continues, as ``reason``
            says.
    """

    action: str
    resources: tuple[str, ...]
    stage: Stage
    reason: str
    feature: Feature | None = None
    condition: Condition = field(default_factory=dict)
    optional: bool = False


def _needed(action: str, stage: Stage, reason: str, *resources: str, **more: Any) -> Permission:
    return Permission(action=action, resources=resources, stage=stage, reason=reason, **more)


def _with(feature: Feature, action: str, stage: Stage, reason: str, *resources: str) -> Permission:
    return _needed(action, stage, reason, *resources, feature=feature)


def _useful(action: str, reason: str, *resources: str, **more: Any) -> Permission:
    return _needed(action, "plan", reason, *resources, optional=True, **more)


USER: tuple[Permission, ...] = (
    _useful("pricing:GetProducts", "prices of the region; else a dated table is used", EVERYTHING),
    _useful("iam:GetRole", "that the role exists and trusts SageMaker; else a note", _ROLE),
    _useful("iam:SimulatePrincipalPolicy", "what the role may do; else a note", _ROLE),
    _useful("ecr:BatchGetImage", "that AWS's images exist; else a note", _AWS_IMAGES),
    _useful(
        "ecr:BatchGetImage",
        "that your own image exists; else a note",
        _OWN_IMAGES,
        feature="own-image",
    ),
    _useful("servicequotas:ListServiceQuotas", "quotas of instances; else a note", EVERYTHING),
    *(
        _useful(f"s3:{action}", reason, _BUCKET, feature="create-bucket")
        for action, reason in (
            ("CreateBucket", "SageMaker's own bucket, if missing; else create it yourself"),
            ("PutBucketPublicAccessBlock", "and close it to the public"),
        )
    ),
    _needed(
        # Not limited to the prefix: then S3 would answer 403, not 404, to a read of what is not
        # there, and a first run starts with such reads.
        "s3:ListBucket",
        "sync",
        "what the bucket already has; only with it S3 says 404, not 403, for missing objects",
        _BUCKET,
    ),
    _needed("s3:GetObject", "sync", "manifest of the data set; outputs of jobs", _OBJECTS),
    _needed("s3:PutObject", "sync", "images, code and weights", _OBJECTS),
    _needed(
        "s3:DeleteObject",
        "sync",
        "images that left a data set; features beyond the quota, progress of ended searches",
        _BUCKET + "/{prefix}/datasets/*",
        _BUCKET + "/{prefix}/features/*",
    ),
    _needed("sagemaker:CreateHyperParameterTuningJob", "tune", "the search", TUNING_JOBS),
    _needed(
        "sagemaker:DescribeHyperParameterTuningJob",
        "plan",
        "whether the run's search exists, and how it goes",
        TUNING_JOBS,
    ),
    _needed(
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob", "tune", "its trials", TUNING_JOBS
    ),
    _needed("sagemaker:CreateTrainingJob", "tune", "a packed search; the training", TRAINING_JOBS),
    _needed(
        "sagemaker:DescribeTrainingJob",
        "tune",
        "status, metrics and billed time of trials and training",
        TRAINING_JOBS,
    ),
    _needed("sagemaker:CreateModel", "deploy", "the model to serve", MODELS),
    _needed("sagemaker:DescribeModel", "deploy", "whether it exists", MODELS),
    _needed("sagemaker:CreateEndpointConfig", "deploy", "what serves it", CONFIGS),
    _needed("sagemaker:DescribeEndpointConfig", "deploy", "whether it exists; its cost", CONFIGS),
    # AWS checks it on the config as well.
    _needed("sagemaker:CreateEndpoint", "deploy", "the endpoint", ENDPOINTS, CONFIGS),
    _needed("sagemaker:DescribeEndpoint", "deploy", "whether it is in service", ENDPOINTS),
    _needed("sagemaker:AddTags", "tune", "run and time to live on everything created", *_TAGGED),
    _needed("sagemaker:ListTags", "deploy", "what is ours, and until when", *_TAGGED),
    Permission(
        action="iam:PassRole",
        resources=(_ROLE,),
        stage="tune",
        reason="jobs and models run as the execution role",
        condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    ),
    _needed("sagemaker:InvokeEndpoint", "deploy", "smoke test and queries", ENDPOINTS),
    _needed("logs:FilterLogEvents", "logs", "`whippet logs`", _LOGS + "TrainingJobs:*"),
    _needed("sagemaker:ListTrainingJobs", "stop", "jobs of an interrupted run", EVERYTHING),
    _needed(
        "sagemaker:ListHyperParameterTuningJobs", "stop", "jobs of an interrupted run", EVERYTHING
    ),
    _needed("sagemaker:StopTrainingJob", "stop", "jobs of an interrupted run", TRAINING_JOBS),
    _needed(
        "sagemaker:StopHyperParameterTuningJob", "stop", "jobs of an interrupted run", TUNING_JOBS
    ),
    _needed("sagemaker:ListEndpoints", "clean-up", "what bills, and what has expired", EVERYTHING),
    Permission(
        action="cloudwatch:GetMetricStatistics",
        resources=(EVERYTHING,),
        stage="clean-up",
        reason="since when nobody asks an endpoint; else it is not known",
        optional=True,
    ),
    _needed("sagemaker:ListEndpointConfigs", "clean-up", "unused configs", EVERYTHING),
    _needed("sagemaker:ListModels", "clean-up", "unused models", EVERYTHING),
    _needed("sagemaker:DeleteEndpoint", "clean-up", "ends the billing", ENDPOINTS),
    _needed("sagemaker:DeleteEndpointConfig", "clean-up", "goes with its endpoint", CONFIGS),
    _needed("sagemaker:DeleteModel", "clean-up", "goes with its endpoint", MODELS),
    *(
        _with("transform", f"sagemaker:{action}", "query", reason, *resources)
        for action, reason, resources in (
            ("CreateTransformJob", "`whippet predict --out`", (TRANSFORM_JOBS, MODELS)),
            ("DescribeTransformJob", "its status", (TRANSFORM_JOBS,)),
            ("ListTransformJobs", "jobs of an interrupted run", (EVERYTHING,)),
            ("StopTransformJob", "jobs of an interrupted run", (TRANSFORM_JOBS,)),
            ("AddTags", "the run on everything created", (TRANSFORM_JOBS,)),
            ("ListTags", "what is ours", (TRANSFORM_JOBS,)),
        )
    ),
    _with("transform", "logs:FilterLogEvents", "logs", "`whippet logs`", _LOGS + "TransformJobs:*"),
    _with("async", "sagemaker:InvokeEndpointAsync", "query", "asynchronous queries", ENDPOINTS),
    *(
        _with("autoscaling", f"application-autoscaling:{action}", stage, reason, _SCALING)
        for action, stage, reason in _SCALING_ACTIONS
    ),
    _with("autoscaling", "cloudwatch:PutMetricAlarm", "deploy", "the policy's alarms", _ALARMS),
    _with("autoscaling", "cloudwatch:DescribeAlarms", "deploy", "the policy's alarms", EVERYTHING),
    _with("autoscaling", "cloudwatch:DeleteAlarms", "clean-up", "the policy's alarms", _ALARMS),
    Permission(
        action="iam:CreateServiceLinkedRole",
        resources=(_SCALING_ROLE,),
        stage="deploy",
        reason="the role of auto scaling, once per account",
        feature="autoscaling",
        condition={"StringEquals": {"iam:AWSServiceName": _SCALING_SERVICE}},
    ),
    _with("kms", "kms:Decrypt", "sync", "reads of an encrypted bucket", _KEY),
    _with("kms", "kms:GenerateDataKey", "sync", "writes to an encrypted bucket", _KEY),
    _with("kms", "kms:CreateGrant", "tune", "encrypted volumes of jobs and endpoints", _KEY),
    _with("kms", "kms:DescribeKey", "deploy", "encrypted volumes of endpoints", _KEY),
)

ROLE: tuple[Permission, ...] = (
    _needed("s3:ListBucket", "job", "the files of a channel", _BUCKET),
    _needed("s3:GetObject", "job", "data, code, weights; the model to serve", _OBJECTS),
    _needed(
        "s3:PutObject",
        "job",
        "models, outputs, tensors and checkpoints; features that searches keep",
        _BUCKET + "/{prefix}/jobs/*",
        _BUCKET + "/{prefix}/checkpoints/*",
        _BUCKET + "/{prefix}/features/*",
    ),
    _needed("logs:CreateLogGroup", "job", "the job's log", _LOGS + "*"),
    _needed("logs:CreateLogStream", "job", "the job's log", _LOGS + "*"),
    _needed("logs:DescribeLogStreams", "job", "the job's log", _LOGS + "*"),
    _needed("logs:PutLogEvents", "job", "the job's log", _LOGS + "*"),
    Permission(
        action="cloudwatch:PutMetricData",
        resources=(EVERYTHING,),
        stage="job",
        reason="metrics of jobs and endpoints; AWS has no resources for it",
        condition={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/SageMaker*"]}},
    ),
    _needed(
        "ecr:GetAuthorizationToken",
        "job",
        "log in to pull; AWS has no resources for it",
        EVERYTHING,
    ),
    _needed("ecr:BatchCheckLayerAvailability", "job", "pull the image", _AWS_IMAGES),
    _needed("ecr:BatchGetImage", "job", "pull the image", _AWS_IMAGES),
    _needed("ecr:GetDownloadUrlForLayer", "job", "pull the image", _AWS_IMAGES),
    *(
        _with("own-image", f"ecr:{action}", "job", "pull your own image", _OWN_IMAGES)
        for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    ),
    _with("async", "s3:PutObject", "query", "asynchronous answers", _BUCKET + "/{prefix}/async/*"),
    _with("kms", "kms:Decrypt", "job", "reads of an encrypted bucket", _KEY),
    _with("kms", "kms:GenerateDataKey", "job", "encrypted outputs", _KEY),
    _with("kms", "kms:CreateGrant", "job", "encrypted volumes", _KEY),
    *(
        # SageMaker's guide gives them on everything: the interfaces do not exist yet.
        _with("vpc", f"ec2:{action}", "job", "network interfaces of jobs in a VPC", EVERYTHING)
        for action in (
            "CreateNetworkInterface",
            "CreateNetworkInterfacePermission",
            "DeleteNetworkInterface",
            "DeleteNetworkInterfacePermission",
            "DescribeDhcpOptions",
            "DescribeNetworkInterfaces",
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "DescribeVpcs",
        )
    ),
)
