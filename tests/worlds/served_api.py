"""The world of tests over HTTP: `whippet api` in a process of its own, S3 and STS at moto."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from platforms import Settings, connect

ROOT = Path(__file__).resolve().parents[2]
# SDK v2 as public notebooks call it.
NOTEBOOKS = ROOT / "tests" / "sdk" / "notebooks"
REGION = "eu-west-1"
BUCKET = "a-users-bucket"
ROLE = "arn:aws:iam::123456789012:role/service-role/someone"
# The SDKs report each call to AWS unless told not to.
QUIET = """
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""
_IDENTITY = ("AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS")
_PASSED_ON = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE")


def environment(home: Path) -> dict[str, str]:
    """Return all environment variables of the API and of clients, but the endpoints' addresses."""
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "HOME": str(home),
        "WHIPPET_HOME": str(home / "whippet"),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(home / "sdk.yaml"),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def api_process(
    home: Path,
    moto: str,
    credentials: Mapping[str, str] | None = None,
    *,
    identity: bool = True,
) -> Iterator[dict[str, str]]:
    """Give the variables that point clients at a `whippet api`, and at moto for all else.

    Without ``identity``, STS and IAM are moto's as well: an account with roles and policies.
    """
    (home / "sdk.yaml").write_text(QUIET, "utf-8")
    server = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "api", "--port", "0", "--s3-endpoint", moto],
        cwd=ROOT,
        env={**environment(home), **(credentials or {})},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        exports = dict(_exports(server))
        if not identity:
            exports = {name: url for name, url in exports.items() if name not in _IDENTITY}
        yield {"AWS_ENDPOINT_URL": moto, **exports}
    finally:
        # Whatever platform the test's own settings name: the service is this machine's.
        connect(Settings(platform="local", home=home / "whippet")).shut_down()
        server.terminate()
        server.wait(30)
        if server.stdout is not None:
            server.stdout.close()


def _exports(server: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that the command tells people to set."""
    for line in server.stdout or ():
        match = re.fullmatch(r"export (\w+)=(\S+)\n", line)
        if match:
            yield match.group(1), match.group(2)
        if match and match.group(1) == "AWS_ENDPOINT_URL_S3":
            return
    raise AssertionError("`whippet api` ended before it listened")
