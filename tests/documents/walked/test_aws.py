"""Every command of the documents about AWS, against `whippet api` and moto: no account is needed.

IAM, S3, STS and ECR are moto's; SageMaker and its logs are this machine's. ``make test-aws`` runs
it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.aws.roles import create_role
from tests.documents.walked.shell import Shell, project
from tests.documents.walked.worlds import AWS, documents_of, typed, walked
from tests.sdk.conftest import program
from tests.worlds.job_environment import job_python
from tests.worlds.local.served import client, moto_server
from tests.worlds.pipeline import tiny_data
from tests.worlds.served_api import ROLE, api_process, environment

pytestmark = [pytest.mark.slow, pytest.mark.job, pytest.mark.timeout(1800)]

ACCOUNT, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A project's folder, the variables of its shell, and moto."""

    folder: Path
    variables: dict[str, str]
    moto: str


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """What somebody has who reads one of these pages: a user, and the image's repository."""
    job_python()
    folder = project(tmp_path / "my project")
    tiny_data(folder / "pictures")
    service = folder / "the service"
    service.mkdir()
    with moto_server() as moto, api_process(service, moto, identity=False) as variables:
        create_role(moto)
        client("iam", moto).create_user(UserName="anna")
        known = {**environment(service), **variables, "WHIPPET_BUCKET": ""}
        # The home is the folder's; the region is what the pages say.
        for name in ("WHIPPET_HOME", "WHIPPET_BUCKET", "PATH", "HOME"):
            del known[name]
        known |= {"AWS_DEFAULT_REGION": REGION}
        known |= {"WHIPPET_TRAINING_IMAGE": "pytorch-training:2"}
        known |= {"WHIPPET_INFERENCE_IMAGE": "pytorch-inference:2"}
        made = Account(folder=folder, variables=known, moto=moto)
        shell_of(made).run("aws ecr create-repository --repository-name whippet-serving")
        yield made
        Shell(folder=folder).run("whippet down")


def shell_of(account: Account) -> Shell:
    """Return a shell that has the AWS CLI."""
    programs = (Path(program(".venv-sdk2", "aws")).parent,)
    return Shell(folder=account.folder, variables=account.variables, programs=programs)


@pytest.mark.parametrize("document", documents_of(AWS))
def test_every_command_of_a_page_runs(document: str, account: Account) -> None:
    shell = shell_of(account)
    words = {
        "arn:aws:iam::…:role/…": ROLE,
        "http://127.0.0.1:5000": account.moto,
        "http://127.0.0.1:4180": account.variables["AWS_ENDPOINT_URL_SAGEMAKER"],
        "DIR": "pictures",
    }
    for command in walked(AWS, document):
        line = typed(command.line, {name: shlex.quote(meant) for name, meant in words.items()})
        shell.do(line.replace("111122223333", ACCOUNT))
