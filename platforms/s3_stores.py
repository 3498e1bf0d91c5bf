"""Stores of S3 buckets: obstore's client with boto3's credentials, including profiles and SSO."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import RetryConfig


class S3Stores:
    """Give the store of a bucket: ``stores(bucket)``. Credentials are renewed by boto3."""

    def __init__(
        self,
        session: boto3.Session,
        endpoint: str | None = None,
        *,
        retries: RetryConfig | None = None,
    ) -> None:
        """Use a session's credentials and region; ``endpoint`` is a server that is not AWS's.

        ``retries`` says how long faults that may pass are borne; by default three minutes.
        """
        self._session = session
        self._endpoint = endpoint
        self._retries = retries
        self._credentials = Boto3CredentialProvider(session)
        # A store holds its connections.
        self._opened: dict[str, Any] = {}

    def __call__(self, bucket: str) -> Any:
        """Return the ``obstore`` store of a bucket; does not check whether it exists."""
        if bucket not in self._opened:
            self._opened[bucket] = self._open(bucket)
        return self._opened[bucket]

    def _open(self, bucket: str) -> Any:
        options: dict[str, Any] = {
            "region": self._session.region_name,
            "credential_provider": self._credentials,
            # Costs nothing: it is the digest that the signature is made of. S3 compares and keeps.
            "checksum_algorithm": "SHA256",
        }
        if self._endpoint:
            # An endpoint of one's own is one host for all buckets.
            options |= {"endpoint": self._endpoint, "virtual_hosted_style_request": False}
            options["client_options"] = {"allow_http": self._endpoint.startswith("http://")}
        return S3Store(bucket, retry_config=self._retries, **options)


def endpoint_of(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the S3 endpoint that boto3 would use by its variables; None stands for AWS's own."""
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None
