"""Check an AWS account before anything is created: read-only, in parallel, within seconds.

Definite problems raise an error. A check without permission becomes a note: the caller may well be
allowed to run jobs, but not to read roles or quotas.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from platforms import Defaults, Needs
from platforms.aws.account import (
    QUICK,
    REFUSED,
    Caller,
    bucket_exists,
    caller,
    default_bucket,
    error_code,
    missing_bucket,
)
from platforms.aws.images import ECR_IMAGE, image_notes
from platforms.errors import SettingsError
from platforms.instances import needs_neuron
from sm_entrypoints.contract.sentences import clause

_SECONDS = 5.0
_SERVICE = "sagemaker.amazonaws.com"
# What any job's role needs, as far as it can be simulated, each on what a job would use it on: a
# pattern would have to be allowed as a whole, which the policy that `whippet iam` prints is not.
_OBJECTS = "arn:{partition}:s3:::{bucket}/{prefix}"
_LOGS = "arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/TrainingJobs"
_ROLE_ACTIONS = (
    (("s3:ListBucket",), "arn:{partition}:s3:::{bucket}"),
    (("s3:GetObject",), _OBJECTS + "/datasets/photos/manifest.json"),
    (("s3:PutObject",), _OBJECTS + "/jobs/a-job/output/model.tar.gz"),
    (("logs:CreateLogStream", "logs:PutLogEvents"), _LOGS + ":log-stream:a-job/algo-1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Checks of a session's account. Call it with what the run needs."""

    session: boto3.Session
    defaults: Defaults
    prefix: str

    def __call__(self, needs: Needs = Needs()) -> list[str]:  # noqa: B008
        """Raise SettingsError for the first thing that is wrong; return notes.

        Raises:
            SettingsError: credentials, bucket, role, image or quota; says what to do.
        """
        started = time.monotonic()
        notes = self._without_asking(needs)
        me = caller(self.session)
        self._require_own_role(me)
        checks: dict[str, Callable[[], list[str]]] = {
            "bucket": lambda: self._bucket(me),
            "role": self._role,
            "permissions of the role": lambda: self._permissions(me),
            "images": lambda: self._images(needs),
            "quotas": lambda: self._quotas(needs, started + _SECONDS),
        }
        return notes + _together(checks, started + _SECONDS)

    def _client(self, service: Any) -> Any:
        return self.session.client(service, config=QUICK)

    def _without_asking(self, needs: Needs) -> list[str]:
        neuron = [each for each in needs.instance_types if needs_neuron(each)]
        if neuron:
            raise SettingsError(
                f"instance {neuron[0]!r} uses AWS's own accelerator, for which this code is not "
                "compiled: choose a CPU or GPU instance, such as ml.g5.xlarge"
            )
        region = str(self.session.region_name)
        for image in self._used_images(needs):
            match = ECR_IMAGE.fullmatch(image)
            if match and match["region"] != region:
                raise SettingsError(
                    f"image {image} lies in region {match['region']!r}, but jobs run in "
                    f"{region!r} and pull from their own: set WHIPPET_TRAINING_IMAGE and "
                    f"WHIPPET_INFERENCE_IMAGE to images of {region}"
                )
        today = date.today()
        return [note for image in self._used_images(needs) for note in image_notes(image, today)]

    def _used_images(self, needs: Needs) -> list[str]:
        return list(needs.images) or [self.defaults.training_image, self.defaults.inference_image]

    def _require_own_role(self, me: Caller) -> None:
        role = self.defaults.role_arn
        account = role.split(":")[4] if role.count(":") >= 5 else ""
        if account != me.account or ":role/" not in role:
            raise SettingsError(
                f"WHIPPET_ROLE_ARN={role!r} is not a role of account {me.account}, the account "
                f"of these credentials: use arn:{me.partition}:iam::{me.account}:role/NAME "
                "(`whippet iam` prints what it may do)"
            )

    def _bucket(self, me: Caller) -> list[str]:
        client, bucket = self._client("s3"), self.defaults.bucket
        if bucket_exists(client, bucket, me.account):
            return []
        region = client.meta.region_name
        if bucket == default_bucket(region, me.account):
            return [
                f"bucket {bucket} does not exist yet: the run creates it, with public access "
                "blocked"
            ]
        raise missing_bucket(bucket, region)

    def _role(self) -> list[str]:
        name = self.defaults.role_arn.rsplit("/", 1)[-1]
        try:
            role = self._client("iam").get_role(RoleName=name)["Role"]
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                raise SettingsError(
                    f"there is no role {name!r}: create it as `whippet iam` prints, or set "
                    f"WHIPPET_ROLE_ARN to another"
                ) from error
            raise
        if not _trusts_sagemaker(role["AssumeRolePolicyDocument"]):
            raise SettingsError(
                f"SageMaker cannot assume role {name!r}: its trust policy must allow "
                f"sts:AssumeRole to {_SERVICE} (`whippet iam --json trust` prints it)"
            )
        return []

    def _permissions(self, me: Caller) -> list[str]:
        iam, denied = self._client("iam"), []
        for actions, pattern in _ROLE_ACTIONS:
            resource = pattern.format(
                partition=me.partition,
                region=self.session.region_name,
                account=me.account,
                bucket=self.defaults.bucket,
                prefix=self.prefix,
            )
            answer = iam.simulate_principal_policy(
                PolicySourceArn=self.defaults.role_arn,
                ActionNames=list(actions),
                ResourceArns=[resource],
            )
            denied += [
                f"{evaluation['EvalActionName']} on {resource}"
                for evaluation in answer["EvaluationResults"]
                if evaluation["EvalDecision"] != "allowed"
            ]
        if denied:
            raise SettingsError(
                f"role {self.defaults.role_arn} may not do {', '.join(denied)}: add "
                f"what `whippet iam --json role` prints"
            )
        return []

    def _images(self, needs: Needs) -> list[str]:
        for image in self._used_images(needs):
            match = ECR_IMAGE.fullmatch(image)
            if match is None or match["tag"] is None:
                continue
            try:
                images = self._client("ecr").batch_get_image(
                    registryId=match["account"],
                    repositoryName=match["repository"],
                    imageIds=[{"imageTag": match["tag"]}],
                )
            except ClientError as error:
                if error_code(error) != "RepositoryNotFoundException":
                    raise
                raise _no_image(image) from error
            if images.get("failures"):
                raise _no_image(image)
        return []

    def _quotas(self, needs: Needs, until: float) -> list[str]:
        open_names = dict(needs.quotas)
        pages = self._client("service-quotas").get_paginator("list_service_quotas")
        for page in pages.paginate(ServiceCode="sagemaker"):
            for quota in page["Quotas"]:
                wanted = open_names.pop(quota["QuotaName"], None)
                if wanted is not None and quota["Value"] < wanted:
                    raise _quota_too_small(quota["QuotaName"], quota["Value"], wanted)
            if not open_names:
                return []
            if time.monotonic() > until:
                break
        return [f"quota {name!r} was not found: it must be at least {open_names[name]}"
                for name in sorted(open_names)]  # fmt: skip


def _together(checks: dict[str, Callable[[], list[str]]], until: float) -> list[str]:
    """Run all checks at once; raise the first SettingsError in their order, else return notes."""
    pool = ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="readiness")
    try:
        running = {name: pool.submit(check) for name, check in checks.items()}
        wait(running.values(), timeout=max(0.0, until - time.monotonic()))
        notes: list[str] = []
        for name, future in running.items():
            if not future.done():
                notes.append(f"{name}: not checked, AWS took longer than {_SECONDS:.0f} seconds")
                continue
            try:
                notes += future.result()
            except (BotoCoreError, ClientError, ResponseParserError) as error:
                refused = error_code(error) in REFUSED
                why = (
                    "no permission to check them" if refused else " ".join(str(error).split())[:200]
                )
                notes.append(f"{name}: not checked ({clause(why)})")
        return notes
    finally:
        # A call that hangs ends by its own time limit; nobody waits for it here.
        pool.shutdown(wait=False, cancel_futures=True)


def _trusts_sagemaker(document: Any) -> bool:
    policy = json.loads(document) if isinstance(document, str) else document
    return any(_allows(statement) for statement in _listed(policy.get("Statement")))


def _allows(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    services = _listed(principal.get("Service")) if isinstance(principal, dict) else [principal]
    actions = _listed(statement.get("Action"))
    return (
        statement.get("Effect") == "Allow"
        and bool({_SERVICE, "*"} & set(services))
        and bool({"sts:AssumeRole", "sts:*", "*"} & set(actions))
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _no_image(image: str) -> SettingsError:
    return SettingsError(
        f"image {image} does not exist, or the account may not pull it: set "
        f"WHIPPET_TRAINING_IMAGE or WHIPPET_INFERENCE_IMAGE to one that does"
    )


def _quota_too_small(name: str, value: float, wanted: int) -> SettingsError:
    return SettingsError(
        f"the account's quota {name!r} is {value:.0f}, but the run needs {wanted}: ask for more in "
        f"AWS's console (Service Quotas, Amazon SageMaker), or choose another instance type"
    )
