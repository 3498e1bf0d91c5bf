"""Serve a SageMaker model archive over HTTP: ``GET /ping`` and ``POST /invocations``.

Run by path or as a module; everything comes from the environment, as in SageMaker's containers:

    SM_MODEL_DIR=/path/to/model python sm_entrypoints/serve.py

SM_MODEL_DIR                         the extracted model.tar.gz (default /opt/ml/model)
SAGEMAKER_PROGRAM                    the module with the handlers (default inference.py); without
                                     one, a TorchScript file is served
SAGEMAKER_SUBMIT_DIRECTORY           its folder, if it is one (default SM_MODEL_DIR/code)
SAGEMAKER_BIND_TO_HOST, _PORT        where to listen (default 127.0.0.1 and 8080; port 0 = any)
SAGEMAKER_PORT_FILE                  written with the port once it listens
SAGEMAKER_FAILURE_FILE               written with the traceback when the model cannot be loaded
SAGEMAKER_REQUESTS_FILE              written with how many requests came in which minute
SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT the Accept of requests without one (application/json)
SAGEMAKER_MAX_PAYLOAD_IN_MB          largest request body, in MiB (default 6)
SAGEMAKER_MODEL_SERVER_WORKERS       model calls at a time (default 1)
SAGEMAKER_MODEL_SERVER_BATCH         waiting requests that one call may answer together (default
                                     8; 1: none), by handlers that can: Whippet's own
SAGEMAKER_MODEL_SERVER_QUEUE         requests that may wait for one; more get 429 (default 32)
SAGEMAKER_MODEL_SERVER_TIMEOUT       seconds until a request gets 504 (default 60); also
                                     SAGEMAKER_TS_RESPONSE_TIMEOUT, which wins

It listens at once; /ping answers 503 until model_fn returned, then 200. Exit status: 0 after
SIGTERM or Ctrl-C (running requests are answered first), 1 when the model cannot be served. Request
bodies reach the handlers as bytes, but JSON and CSV as str; a missing Content-Type is None. A
program may leave out handlers: sm_entrypoints/serving/defaults.py acts like AWS's image.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

if __name__ == "__main__":
    _HERE = Path(__file__).resolve().parent
    _ROOT = str(_HERE.parent)
    # Run by path, Python puts this file's folder first: its data.py or model.py would be found
    # for a user's `import model`. The server itself is the package here, not an archive's copy
    # that PYTHONPATH may name.
    sys.path[:] = [_ROOT, *(p for p in sys.path if Path(p or ".").resolve() != _HERE)]

import uvicorn

from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.serving.connections import BoundedConnection
from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.door import guarded
from sm_entrypoints.serving.handlers import load_program
from sm_entrypoints.serving.intake import Limits
from sm_entrypoints.serving.invocations import ModelService
from sm_entrypoints.serving.memory import keep_together

if __name__ == "__main__":
    # From here on everything that the user brings is found before what we have.
    sys.path.remove(_ROOT)
    sys.path.append(_ROOT)

# SageMaker kills a container 30 seconds after SIGTERM.
DRAIN_SECONDS = 25
KEEP_ALIVE_SECONDS = 75
MEBIBYTE = 1024 * 1024


class SettingError(Exception):
    """Raised when an environment variable of the server cannot be used; names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the model is and how it is served; see the module's docstring."""

    model_dir: Path
    code_dir: Path
    program: str
    host: str
    port: int
    port_file: Path | None
    failure_file: Path | None
    requests_file: Path | None
    default_accept: str
    limits: Limits

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingError: a number is malformed or out of range.
        """
        model_dir = Path(variables.get("SM_MODEL_DIR") or "/opt/ml/model")
        submitted = variables.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        # SageMaker's SDK also passes an s3:// address here; its code is in the archive then.
        code_dir = Path(submitted) if submitted and Path(submitted).is_dir() else model_dir / "code"
        return cls(
            model_dir=model_dir,
            code_dir=code_dir,
            program=variables.get("SAGEMAKER_PROGRAM") or "inference.py",
            host=variables.get("SAGEMAKER_BIND_TO_HOST") or "127.0.0.1",
            port=_number(variables, "SAGEMAKER_BIND_TO_PORT", 8080, 0, 65535),
            port_file=_path(variables, "SAGEMAKER_PORT_FILE"),
            failure_file=_path(variables, "SAGEMAKER_FAILURE_FILE"),
            requests_file=_path(variables, "SAGEMAKER_REQUESTS_FILE"),
            default_accept=variables.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT")
            or "application/json",
            limits=Limits(
                body_bytes=_number(variables, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6, 1, 100) * MEBIBYTE,
                workers=_number(variables, "SAGEMAKER_MODEL_SERVER_WORKERS", 1, 1, 256),
                batch=_number(variables, "SAGEMAKER_MODEL_SERVER_BATCH", 8, 1, 256),
                queue=_number(variables, "SAGEMAKER_MODEL_SERVER_QUEUE", 32, 0, 10_000),
                timeout_seconds=_number(variables, _timeout_name(variables), 60, 1, 3600),
            ),
        )


class ModelServer:
    """One process that loads a model and answers requests for it until it is stopped."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._service = ModelService(
            settings.limits,
            default_accept=settings.default_accept,
            requests_file=settings.requests_file,
        )
        self._failed = False
        self._server = uvicorn.Server(
            uvicorn.Config(
                guarded(self._service, settings.host),
                http=BoundedConnection,
                ws="none",
                proxy_headers=False,
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status."""
        try:
            listener = self._listen()
        except OSError as error:
            self._report(
                f"cannot listen on {self._settings.host}:{self._settings.port}: {clause(error)}; "
                "choose another SAGEMAKER_BIND_TO_PORT (0 takes any free one)"
            )
            return 1
        # uvicorn raises the signal again after its shutdown; without a handler that would make
        # the exit status that of a killed process.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        threading.Thread(target=self._load, name="model-loader", daemon=True).start()
        with listener:
            self._server.run(sockets=[listener])
        return 1 if self._failed else 0

    def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
        port = listener.getsockname()[1]
        if self._settings.port_file is not None:
            _write(self._settings.port_file, f"{port}\n")
        print(f"model server listens on {host}:{port}", flush=True)
        return listener

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._server.should_exit = True

    def _load(self) -> None:
        settings = self._settings
        try:
            context = Context(system_properties=_properties(settings.model_dir))
            program = load_program(settings.code_dir, settings.program, context)
            self._service.begin(program, program.load(settings.model_dir))
        # The edge of the user's code: whatever it raises is reported, in the user's words.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._report(_describe(error))
            self._server.should_exit = True
            return
        print(f"model loaded from {settings.model_dir}", flush=True)

    def _report(self, problem: str) -> None:
        self._failed = True
        print(f"model server failed: {problem}", file=sys.stderr, flush=True)
        if self._settings.failure_file is not None:
            _write(self._settings.failure_file, problem)


def main() -> int:
    """Run the server; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="serve.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    keep_together()
    parser.parse_known_args()  # SageMaker starts containers with the argument `serve`
    try:
        settings = ServerSettings.from_variables(os.environ)
    except SettingError as error:
        print(f"model server: {error}", file=sys.stderr)
        return 2
    return ModelServer(settings).run()


def _properties(model_dir: Path) -> dict[str, object]:
    """Return what SageMaker's model servers tell handlers; ``gpu_id`` is None without a GPU."""
    gpu = 0 if Path("/dev/nvidia0").exists() else None
    return {"model_dir": str(model_dir), "gpu_id": gpu, "batch_size": 1, "server_name": "Whippet"}


def _describe(error: BaseException) -> str:
    """Return the error in one line, then its traceback from the user's first frame on."""
    report = traceback.TracebackException.from_exception(error)
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    own = (str(Path(__file__).resolve().parent), "<frozen importlib", importlib.__file__)
    users = [frame for frame in report.stack if not frame.filename.startswith(own)]
    if not users and not isinstance(error, SyntaxError):
        return f"{summary}\n"
    report.stack = traceback.StackSummary.from_list(users)
    return f"{summary}\n\n{''.join(report.format())}"


def _timeout_name(variables: Mapping[str, str]) -> str:
    """Return the variable that bounds a request: the names that the toolkits have for it."""
    names = ("SAGEMAKER_TS_RESPONSE_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS")
    return next((name for name in names if variables.get(name)), "SAGEMAKER_MODEL_SERVER_TIMEOUT")


def _number(variables: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = variables.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SettingError(f"{name}={text!r} must be a whole number from {low} to {high}")
    return int(text)


def _path(variables: Mapping[str, str], name: str) -> Path | None:
    return Path(variables[name]) if variables.get(name) else None


def _write(path: Path, text: str) -> None:
    """Write a file so that a reader sees nothing or all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a model call that never returns would keep its thread, and so the process.
    os._exit(status)
