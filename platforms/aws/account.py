"""The AWS account and its bucket: checked before anything is created; created on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from platforms.errors import SettingsError
from sm_entrypoints.contract.sentences import clause

# A look that is to take seconds, in front of a person.
QUICK = Config(
    connect_timeout=3,
    read_timeout=4,
    retries={"mode": "standard", "total_max_attempts": 2},
    user_agent_extra="whippet",
)
REFUSED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN_KEYS = {
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_SIGN_IN = "`aws sso login`, or new keys in AWS_PROFILE's profile or the AWS_* variables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The account, and the ARN of the user or role that the credentials stand for."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """AWS's partition of the account: ``aws``, ``aws-cn``, ``aws-us-gov``."""
        return self.arn.split(":")[1]


def caller(session: boto3.Session, config: Config = QUICK) -> Caller:
    """Ask STS who we are, which every valid credential is allowed to do.

    Raises:
        SettingsError: the credentials are expired or unknown, or there is no answer.
    """
    try:
        identity = session.client("sts", config=config).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise credentials_error(error, session.region_name) from error
    return Caller(account=identity["Account"], arn=identity["Arn"])


def error_code(error: Exception) -> str:
    """Return the service's code of an error; empty when it is none of a service."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def credentials_error(error: Exception, region: str | None) -> SettingsError:
    """Return the sentence for credentials that do not work, and what to do."""
    code = error_code(error)
    if code in _EXPIRED or "expired" in str(error).lower():
        return SettingsError(
            f"the AWS session has expired ({clause(error)}): renew it by {_SIGN_IN}"
        )
    if code in _UNKNOWN_KEYS:
        return SettingsError(
            f"AWS does not know these credentials ({clause(error)}): check AWS_PROFILE "
            f"and the AWS_* "
            f"variables, and that region {region!r} is enabled for the account"
        )
    if isinstance(error, EndpointConnectionError):
        return SettingsError(
            f"AWS did not answer ({clause(error)}): check the network and WHIPPET_REGION={region!r}"
        )
    return SettingsError(f"AWS did not say which account this is ({clause(error)}): try {_SIGN_IN}")


def default_bucket(region: str, account: str) -> str:
    """Return SageMaker's own name for the bucket of an account and region."""
    return f"sagemaker-{region}-{account}"


def bucket_exists(client: Any, bucket: str, account: str) -> bool:
    """Say whether the bucket is there and ours, in our region; reads only.

    Raises:
        SettingsError: it belongs to another account, lies in another region, or may not be used.
    """
    region = client.meta.region_name
    try:
        head = client.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        code, where = error_code(error), _region_of(error)
        if where not in (None, region):
            raise _elsewhere(bucket, str(where), region) from error
        if code in ("404", "NoSuchBucket"):
            return False
        if code in REFUSED:
            raise SettingsError(
                f"bucket {bucket!r} does not belong to account {account}, or you may not list "
                "it: set WHIPPET_BUCKET to one of yours, or allow s3:ListBucket"
            ) from error
        raise SettingsError(f"bucket {bucket!r} cannot be checked: {error}") from error
    except BotoCoreError as error:
        raise SettingsError(f"bucket {bucket!r} cannot be checked: {error}") from error
    where = head.get("BucketRegion") or region
    if where != region:
        raise _elsewhere(bucket, where, region)
    return True


def _region_of(error: ClientError) -> str | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region: str | None = headers.get("x-amz-bucket-region")
    return region


def _elsewhere(bucket: str, where: str, region: str) -> SettingsError:
    return SettingsError(
        f"bucket {bucket!r} lies in region {where!r}, but jobs run in {region!r} and read from "
        f"their own region only: set WHIPPET_REGION={where}, or another WHIPPET_BUCKET"
    )


def ensure_bucket(client: Any, bucket: str, account: str) -> None:
    """Create the account's default bucket if it is missing, closed to the public.

    Raises:
        SettingsError: another bucket is missing, or this one cannot be used or created.
    """
    if bucket_exists(client, bucket, account):
        return
    region = client.meta.region_name
    if bucket != default_bucket(region, account):
        raise missing_bucket(bucket, region)
    where: Any = {"LocationConstraint": region}
    # The oldest region is the one that must not be named.
    placed = {} if region == "us-east-1" else {"CreateBucketConfiguration": where}
    try:
        client.create_bucket(Bucket=bucket, **placed)
    except ClientError as error:
        if error_code(error) != "BucketAlreadyOwnedByYou":
            raise SettingsError(
                f"bucket {bucket!r} cannot be created ({clause(error)}): create a "
                f"bucket in {region} "
                f"yourself and set WHIPPET_BUCKET"
            ) from error
    closed = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    client.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=closed, ExpectedBucketOwner=account
    )


def missing_bucket(bucket: str, region: str) -> SettingsError:
    """Return the sentence for a bucket that was asked for and is not there."""
    return SettingsError(
        f"bucket {bucket!r} does not exist: create it in {region}, or unset WHIPPET_BUCKET to use "
        f"SageMaker's own"
    )
