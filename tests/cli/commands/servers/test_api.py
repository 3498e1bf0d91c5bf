"""``whippet api`` as people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[4]


def start(home: Path, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "api", *argv],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "WHIPPET_HOME": str(home),
            # The client's settings in the same shell change nothing here.
            "WHIPPET_PLATFORM": "aws",
            "AWS_DEFAULT_REGION": "eu-west-1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_it_serves_until_interrupted(awkward_path: Path) -> None:
    server = start(awkward_path, "--port", "0")
    try:
        assert server.stdout is not None
        said = server.stdout.readline()
        assert "buckets: folders below" in said
        name, _, url = server.stdout.readline().strip().partition("=")
        assert name == "export AWS_ENDPOINT_URL_SAGEMAKER"
        sagemaker = boto3.client(
            "sagemaker",
            region_name="eu-west-1",
            endpoint_url=url,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=120) == 0
        rest = server.stdout.read().splitlines()
    finally:
        server.kill()
        _, err = server.communicate()
    assert err == ""
    assert rest == [
        f"export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={url}",
        f"export AWS_ENDPOINT_URL_CLOUDWATCH={url}",
        f"export AWS_ENDPOINT_URL_CLOUDWATCH_LOGS={url}",
        f"export AWS_ENDPOINT_URL_IAM={url}",
        f"export AWS_ENDPOINT_URL_STS={url}",
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--port", "70000"), "--port 70000 is out of range: use 1 to 65535"),
        (("--s3-endpoint", "http://key:secret@host"), "--s3-endpoint: not a bare server address"),
    ],
)
def test_what_cannot_be_served_is_said(awkward_path: Path, argv: tuple, words: str) -> None:
    server = start(awkward_path, *argv)
    try:
        out, err = server.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    assert out == ""
    assert words in err
    assert "secret" not in err
    assert "Traceback" not in err
    assert list(awkward_path.iterdir()) == []
