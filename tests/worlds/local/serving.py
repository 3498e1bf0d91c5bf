"""A stand-in for the job environment: an interpreter whose serve.py needs no torch.

It keeps ``sm_entrypoints/serve.py``'s contract with the platform and behaves as ``behaviour.txt``
in the model archive says.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from platforms.local.context import LocalContext, local_context
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.models import EndpointConfigs, Models
from platforms.settings import Settings
from tests.worlds.waiting import wait_for

BUCKET = "whippet-local"
ROLE = "arn:aws:iam::000000000000:role/whippet-local"

_SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

model = Path(os.environ["SM_MODEL_DIR"])
behaviour = (model / "behaviour.txt").read_text()
if behaviour.startswith("wait for "):
    while not Path(behaviour.removeprefix("wait for ")).exists():
        time.sleep(0.02)
if behaviour.startswith(("fail", "wait for ")):
    Path(os.environ["SAGEMAKER_FAILURE_FILE"]).write_text(
        "Traceback\\n" + "  noise\\n" * 400 + "KeyError: 'no such layer: é'"
    )
    sys.exit(1)
if behaviour == "exit":
    print("out of memory, said the model", flush=True)
    sys.exit(137)
if behaviour == "greedy":
    kept = []
    for _ in range(100):
        kept.append(b"x" * 40 * 2**20)
        time.sleep(0.05)
if behaviour == "strays":
    import subprocess

    code = f"import time; time.sleep(300)  # stray of {model}"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
if behaviour == "slow":
    time.sleep(600)


class Handler(BaseHTTPRequestHandler):
    refused = set()

    def log_message(self, *_): ...

    def answer(self, status, body, content_type="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if "X-Amzn-SageMaker-Custom-Attributes" in self.headers:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] == "text/plain":
            self.answer(415, b"text/plain is not an image", "text/plain")
        elif self.headers["Content-Type"] == "text/slow":
            gate = Path(body.decode())
            gate.with_suffix(".begun").touch()
            while not gate.exists():
                time.sleep(0.02)
            self.answer(200, b"slept")
        elif body.startswith(b"busy") and body not in self.refused:
            self.refused.add(body)
            self.answer(429, b"too many", "text/plain")
        elif behaviour == "picky" and body.startswith(b"bad"):
            self.answer(400, b"that is no picture", "text/plain")
        elif self.headers["Content-Type"] == "text/crash" or body == b"crash":
            os._exit(3)
        elif self.headers["Content-Type"] == "text/environment":
            self.answer(200, json.dumps(dict(os.environ)).encode(), "application/json")
        else:
            self.answer(200, behaviour.encode() + body, self.headers.get("Accept", "x/y"))


server = ThreadingHTTPServer((os.environ["SAGEMAKER_BIND_TO_HOST"], 0), Handler)
port_file = Path(os.environ["SAGEMAKER_PORT_FILE"])
temporary = port_file.with_suffix(".new")
temporary.write_text(str(server.server_address[1]))
temporary.replace(port_file)
server.serve_forever()
"""


def make_context(
    folder: Path, s3_endpoint: str | None = None, boundary: str = "none", **more: str
) -> LocalContext:
    """Return a context in a folder with an awkward name, and an interpreter that serves."""
    home = folder / 'it\'s a "hôme" $HOME'
    home.mkdir()
    interpreter = _interpreter(folder / "job", _SERVER)
    # The handlers meet these tests' files; what a boundary hides from a server: boundary/.
    settings = {"home": home, "job_python": interpreter, "s3_endpoint": s3_endpoint}
    return local_context(Settings.model_validate({**settings, "boundary": boundary, **more}))


@contextmanager
def serving_context(folder: Path, **more: Any) -> Iterator[LocalContext]:
    """Give such a context; what it serves ends with the block."""
    context = make_context(folder, **more)
    yield context
    for name in context.records.names("endpoints"):
        Endpoints(context).delete_endpoint(EndpointName=name)


def _interpreter(environment: Path, program: str) -> Path:
    """Make a Python that runs ``program`` in place of the model server."""
    base = Path(sys.executable).resolve()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages = environment / "lib" / f"python{version}" / "site-packages"
    for each in (packages, environment / "bin"):
        each.mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (environment / "bin" / "python").symlink_to(base)
    instead = f"""
import os, sys
if any(each.endswith("serve.py") for each in sys.orig_argv):
    code = 0
    try:
        exec(compile({program!r}, "server.py", "exec"), {{"__name__": "__main__"}})
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if not isinstance(end.code, int):
            print(end.code, file=sys.stderr, flush=True)
    os._exit(code)
"""
    (packages / "sitecustomize.py").write_text(instead, encoding="utf-8")
    return environment / "bin" / "python"


def put_archive(context: LocalContext, key: str, files: dict[str, bytes]) -> str:
    """Store a model archive and return its URI."""
    uri = f"s3://{BUCKET}/{key}"
    with (
        context.buckets.writing(uri, context.home) as path,
        tarfile.open(path, "w:gz") as tar,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    return uri


def make_config(
    context: LocalContext,
    name: str,
    behaviour: str,
    asynchronous: dict | None = None,
    **variant: object,
) -> str:
    """Create a model and an endpoint configuration called ``name``; return the name."""
    uri = put_archive(context, f"models/{name}.tar.gz", {"behaviour.txt": behaviour.encode()})
    container = {
        "Image": "pytorch-inference:2.14",
        "ModelDataUrl": uri,
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    Models(context).create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    count = {} if "ServerlessConfig" in variant else {"InitialInstanceCount": 1}
    only = {"VariantName": "AllTraffic", "ModelName": name, **count, **variant}
    kind = {"AsyncInferenceConfig": asynchronous} if asynchronous else {}
    EndpointConfigs(context).create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[only], **kind
    )
    return name


def wait_for_endpoint(context: LocalContext, name: str) -> dict:
    """Return the description of an endpoint once it is in a steady status."""

    def steady() -> dict | None:
        described = Endpoints(context).describe_endpoint(EndpointName=name)
        return None if described["EndpointStatus"] in {"Creating", "Updating"} else described

    found = wait_for(steady, f"steady status of {name}")
    assert found is not None
    return found
