"""The execution role at moto: what the platform looks for before it creates anything."""

from __future__ import annotations

import json

from tests.worlds.aws_stub import TRUST
from tests.worlds.local.served import client
from tests.worlds.served_api import ROLE


def create_role(moto: str) -> None:
    """Create the role of the tests' jobs, which SageMaker may assume."""
    path, _, name = ROLE.partition(":role")[2].rpartition("/")
    client("iam", moto).create_role(
        Path=f"{path}/", RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
    )
