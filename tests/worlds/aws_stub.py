"""AWS's answers for tests, over HTTP on this machine: an account where all is well, until told.

``answers[action]`` is ``(status, body)``, or a callable that gives it; the action is an operation
(``GetRole``) or ``HeadBucket``. What was asked is in ``asked``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/whippet"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
QUOTAS = {
    "ml.m5.xlarge for training job usage": 4.0,
    "ml.g4dn.xlarge for training job usage": 0.0,
    "ml.t2.medium for endpoint usage": 2.0,
}


def query_error(status: int, code: str, message: str) -> tuple[int, str]:
    """Return an error of STS, IAM or S3."""
    return status, (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
        f"<Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )


def json_error(code: str, message: str) -> tuple[int, str]:
    """Return an error of a service that speaks JSON."""
    return 400, json.dumps({"__type": code, "message": message})


def identity(account: str = ACCOUNT, partition: str = "aws") -> tuple[int, str]:
    """Return the answer of GetCallerIdentity."""
    return 200, (
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>arn:{partition}:iam::{account}:user/somebody</Arn><UserId>A</UserId>"
        f"<Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def role(trust: Any = TRUST) -> tuple[int, str]:
    """Return the answer of GetRole."""
    return 200, (
        "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>whippet</RoleName>"
        f"<RoleId>AROAAAAAAAAAAAAAAAAA</RoleId><Arn>{ROLE}</Arn>"
        "<CreateDate>2026-01-01T00:00:00Z</CreateDate>"
        f"<AssumeRolePolicyDocument>{quote(json.dumps(trust))}</AssumeRolePolicyDocument>"
        "</Role></GetRoleResult></GetRoleResponse>"
    )


def quotas(values: dict[str, float]) -> tuple[int, str]:
    """Return the answer of ListServiceQuotas."""
    every = [{"QuotaName": name, "Value": value} for name, value in values.items()]
    return 200, json.dumps({"Quotas": every})


class AwsStub:
    """The answers, and what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.denied: set[str] = set()
        # Says whether the role may do an action on a resource.
        self.allows: Callable[[str, str], bool] = lambda action, _resource: (
            action not in self.denied
        )
        self.headers: dict[str, str] = {}
        self.answers: dict[str, Any] = {
            "GetCallerIdentity": identity(),
            "GetRole": role(),
            "HeadBucket": (200, ""),
            "BatchGetImage": (200, json.dumps({"images": [{}], "failures": []})),
            "ListServiceQuotas": quotas(QUOTAS),
        }

    def answer(self, action: str, form: dict[str, list[str]]) -> tuple[int, str]:
        """Return what an action is answered."""
        self.asked.append(action)
        if action == "SimulatePrincipalPolicy" and action not in self.answers:
            actions = [value for key, (value,) in form.items() if "ActionN" in key]
            return self._simulated(actions, form["ResourceArns.member.1"][0])
        found = self.answers.get(action, (200, ""))
        return found() if callable(found) else found

    def _simulated(self, actions: list[str], resource: str) -> tuple[int, str]:
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName><EvalDecision>"
            f"{'allowed' if self.allows(action, resource) else 'implicitDeny'}</EvalDecision>"
            "</member>"
            for action in actions
        )
        return 200, (
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>"
            f"{members}</EvaluationResults></SimulatePrincipalPolicyResult>"
            "</SimulatePrincipalPolicyResponse>"
        )


def not_before(event: threading.Event, answer: tuple[int, str]) -> Any:
    """Return an answer that waits for an event."""

    def wait() -> tuple[int, str]:
        event.wait()
        return answer

    return wait


@contextmanager
def aws_stub() -> Iterator[AwsStub]:
    """Serve the answers on a free port of this machine."""
    stub = AwsStub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            target = self.headers.get("X-Amz-Target", "")
            form = {} if target else parse_qs(body)
            self._send(target.rpartition(".")[2] or form.get("Action", ["?"])[0], form)

        def do_HEAD(self) -> None:
            self._send("HeadBucket", {})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            closed = "publicAccessBlock" in self.path
            self._send("PutPublicAccessBlock" if closed else "CreateBucket", {})

        def _send(self, action: str, form: dict[str, list[str]]) -> None:
            status, text = stub.answer(action, form)
            body = text.encode()
            self.send_response(status)
            for name, value in stub.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
