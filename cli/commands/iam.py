"""``whippet iam``: the smallest permissions that the user and the execution role need on AWS."""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING

from cli.table import print_table
from platforms.errors import ParameterError

if TYPE_CHECKING:
    from platforms import Settings
    from tasks.permissions.policy_documents import Document, Scope, Statement, TrustStatement
    from tasks.permissions.table import Permission

HELP = "print the least-privilege policies for AWS, with reasons"

_ROLE_ARN = re.compile(r"arn:[\w-]+:iam::(?P<account>\d{12}):role/(?P<role>\S+)")
_DEFAULT_ROLE = "whippet-execution"
_LONGEST_PREFIX = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--account", metavar="ID", help="default: of WHIPPET_ROLE_ARN")
    parser.add_argument("--region", help="default: WHIPPET_REGION")
    parser.add_argument("--bucket", help="default: WHIPPET_BUCKET, or SageMaker's own name for it")
    parser.add_argument("--prefix", help="key prefix in the bucket (default: WHIPPET_PREFIX)")
    parser.add_argument("--role", metavar="NAME", help="execution role, with its path")
    parser.add_argument("--names", metavar="PREFIX", help="only runs whose names begin so")
    parser.add_argument(
        "--feature",
        action="append",
        default=[],
        choices=(
            *("async", "autoscaling", "create-bucket", "kms", "own-image"),
            *("transform", "vpc"),
        ),
        help="also what this needs; repeatable",
    )
    parser.add_argument("--kms-key", metavar="ID", help="the key, for --feature kms")
    parser.add_argument(
        "--json", choices=("user", "role", "trust"), help="one policy document, to be attached"
    )


def command(arguments: argparse.Namespace) -> int:
    """Print the permissions with their reasons, or one policy document as JSON; makes no
    request."""
    from platforms import Settings
    from tasks.permissions.policy_documents import chosen
    from tasks.permissions.table import ROLE, USER

    scope = _scope(arguments, Settings())
    # The one bucket that a run creates by itself.
    own = ["create-bucket"] if scope.bucket == _default_bucket(scope.region, scope.account) else []
    features = [*arguments.feature, *own]
    tables = {"user": chosen(USER, features), "role": chosen(ROLE, features)}
    if arguments.json:
        print(json.dumps(_document(arguments.json, scope, tables), indent=2))
        return 0
    _print_permissions(scope, tables)
    return 0


def _default_bucket(region: str, account: str) -> str:
    return f"sagemaker-{region}-{account}"


def _document(
    which: str, scope: Scope, tables: dict[str, list[Permission]]
) -> Document[Statement] | Document[TrustStatement]:
    from tasks.permissions.policy_documents import policy_document, trust_document

    return trust_document(scope) if which == "trust" else policy_document(tables[which], scope)


def _print_permissions(scope: Scope, tables: dict[str, list[Permission]]) -> None:
    titles = {
        "user": "the user of the flows (`whippet iam --json user`)",
        "role": f"execution role {scope.role} (`--json role`; who may assume it: `--json trust`)",
    }
    for which, permissions in tables.items():
        print(f"{titles[which]}\n")
        print_table([_row(each, scope) for each in permissions], empty="nothing")
        print()
    if not scope.names:
        print(
            "Run names are free, so jobs and endpoints of all names are included; with\n--names "
            "demo only those of runs whose names begin with demo."
        )


def _row(permission: Permission, scope: Scope) -> dict[str, str]:
    resources = [scope.fill(pattern) for pattern in permission.resources]
    feature = f" ({permission.feature})" if permission.feature else ""
    return {
        "action": permission.action,
        "stage": permission.stage,
        "on": resources[0] if len(resources) == 1 else f"{resources[0]} and {len(resources) - 1}",
        "why": f"{'optional: ' if permission.optional else ''}{permission.reason}{feature}",
    }


def _scope(arguments: argparse.Namespace, settings: Settings) -> Scope:
    from tasks.permissions.policy_documents import Scope
    from tasks.runs.names import slug

    role_arn = _ROLE_ARN.fullmatch(settings.role_arn or "")
    account = arguments.account or (role_arn and role_arn["account"])
    if not account or not re.fullmatch(r"\d{12}", account):
        wrong = f"--account {arguments.account}" if arguments.account else "no account"
        raise ParameterError(
            f"{wrong}: give --account with its 12 digits (`aws sts get-caller-identity`), or set "
            "WHIPPET_ROLE_ARN"
        )
    region = arguments.region or settings.region_said
    if not region:
        raise ParameterError("no region: give --region, or set WHIPPET_REGION")
    return Scope(
        account=account,
        region=region,
        bucket=arguments.bucket or settings.bucket or _default_bucket(region, account),
        prefix=arguments.prefix or settings.prefix,
        role=arguments.role or (role_arn and role_arn["role"]) or _DEFAULT_ROLE,
        names=slug(arguments.names, _LONGEST_PREFIX) if arguments.names else "",
        key=arguments.kms_key or "*",
    )
