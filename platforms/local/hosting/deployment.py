"""One deployment of a model behind an endpoint: its folder, its model server, its health.

An endpoint that is being updated has two deployments for a while. A deployment owns the folder
``<endpoint>/deployments/<token>``; its server binds a port of its own choice on 127.0.0.1. The
contract with the server (``sm_entrypoints/serve.py``) is a handful of environment variables:
``SM_MODEL_DIR``, ``SAGEMAKER_PROGRAM``, ``SAGEMAKER_BIND_TO_HOST``, ``SAGEMAKER_BIND_TO_PORT`` (0:
choose one), ``SAGEMAKER_PORT_FILE`` (written once it listens), ``SAGEMAKER_FAILURE_FILE``
(written when the model cannot be loaded) and ``SAGEMAKER_REQUESTS_FILE`` (requests by the minute).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from platforms.archives import extract_archive
from platforms.errors import WhippetError
from platforms.job_environment import ENTRY_POINTS
from platforms.local.boundary.enclosure import Enclosure, Prepared, Program
from platforms.local.boundary.limits import JobLimits, enforce_in_background
from platforms.local.boundary.requirements_layer import RequirementsFailed, Source
from platforms.local.boundary.steps import Bind
from platforms.local.context import LocalContext
from platforms.local.copies import remove_tree
from platforms.local.hosting.last_words import end_of, shortened
from platforms.local.hosting.model_calls import answers_ping
from platforms.local.hosting.model_requirements import with_requirements
from platforms.local.warm_start.kind import server_kind
from platforms.local.warm_start.source import is_our_model_code
from platforms.local.warm_start.start import WarmProgram, WarmStart
from platforms.processes.child import Child
from platforms.processes.environment import allowed_environment

SERVER = ENTRY_POINTS / "serve.py"
# SageMaker gives a container 8 minutes to pass its first health check.
DEFAULT_STARTUP_SECONDS = 480
FAILURE_REASON_CHARACTERS = 1024
_CODE_FOLDER = "code"
# Where the server writes what it has to tell: its port, or why it failed.
_TOLD = "told"
REQUESTS_FILE = "requests"
_SEEN_MODEL, _SEEN_TOLD = Path("/opt/ml/model"), Path("/opt/model-server")
_POLL_SECONDS = 0.1


class DeploymentFailed(WhippetError):
    """Raised when a model server does not come up; the message is its FailureReason."""


class DeploymentUnwanted(WhippetError):
    """Raised when the endpoint was deleted or deployed anew meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where one deployment lies and what it serves.

    Attributes:
        token: tells deployments of one endpoint apart, also across delete and create.
        container: the model's container definition, as in the request of ``create_model``.
    """

    context: LocalContext
    endpoint: str
    token: str
    variant: str
    container: Mapping[str, Any]
    startup_seconds: float = DEFAULT_STARTUP_SECONDS

    @property
    def folder(self) -> Path:
        """The folder that all of this deployment is in."""
        return self.context.records.folder("endpoints", self.endpoint) / "deployments" / self.token

    @property
    def model_folder(self) -> Path:
        """The extracted model archive (``SM_MODEL_DIR``)."""
        return self.folder / "model"

    @property
    def log(self) -> Path:
        """What the model server prints."""
        return self.folder / "server.log"

    @property
    def port_file(self) -> Path:
        """Where the server writes its port once it listens."""
        return self.folder / _TOLD / "port"

    @property
    def failure_file(self) -> Path:
        """Where the server writes the user's traceback when loading fails."""
        return self.folder / _TOLD / "failure"

    def prepare(self) -> None:
        """Extract the model archive, and the submit directory into its ``code`` when given.

        Raises:
            WhippetError: the archive is not there or not acceptable.
            OSError: no space, no permission.
        """
        remove_tree(self.folder)
        # Never the endpoint's own folder: a deleted endpoint must not come back as an empty one.
        self.folder.parent.mkdir(exist_ok=True)
        self.folder.mkdir()
        buckets = self.context.buckets
        with buckets.reading(self.container["ModelDataUrl"], self.folder) as archive:
            extract_archive(archive, self.model_folder)
        code = self.model_folder / _CODE_FOLDER
        submitted = self._environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if submitted.startswith("s3://"):
            shutil.rmtree(code, ignore_errors=True)
            with buckets.reading(submitted, self.folder) as archive:
                extract_archive(archive, code)
        code.mkdir(exist_ok=True)

    def start(
        self, warm: WarmStart | None = None, wanted: Callable[[], bool] = lambda: True
    ) -> Child:
        """Start the model server in our own process group, so that one signal ends both.

        From the process of ``warm`` where that makes no difference. First, what the model's
        ``code/requirements.txt`` asks for is installed, for as long as it is ``wanted``.

        Raises:
            DeploymentFailed: pip cannot install it.
        """
        remove_tree(self._scratch)
        (self.folder / _TOLD).mkdir(exist_ok=True)
        boundary = self.context.boundary()
        enclosure = Enclosure.of(
            str(self.context.settings.job_python),
            boundary.to_record(),
            home=self.context.home,
            scratch=self._scratch,
        ).with_kept(SERVER.parent)
        model, told = self.model_folder, self.folder / _TOLD
        if boundary.contained:
            model, told = _SEEN_MODEL, _SEEN_TOLD
        with self.log.open("ab") as log:
            server = Program(
                arguments=[str(SERVER)],
                # Where the model servers of SageMaker's images run handlers.
                cwd=str(model),
                environment=self._server_environment(os.environ, model, told),
                log=log,
                group=False,
            )
            enclosure = self._with_requirements(enclosure, server, model, wanted)
            shown = (
                Bind(source=str(self.model_folder), target=str(model), writable=True),
                Bind(source=str(self.folder / _TOLD), target=str(told), writable=True),
            )
            prepared = enclosure.prepare(server, shown)
            started = None if warm is None else self._start_warm(warm, enclosure, prepared)
            started = prepared.start() if started is None else started
        limits = JobLimits.from_record(self.context.settings.job_limits)
        enforce_in_background(
            started, limits, boundary=boundary.processes, tell=self._tell_of_limits
        )
        return started

    def _with_requirements(
        self, enclosure: Enclosure, server: Program, seen: Path, wanted: Callable[[], bool]
    ) -> Enclosure:
        source = Source(
            root=self.model_folder,
            seen=seen,
            # The handlers' modules are nothing that pip should import.
            environment={**server.environment, "PYTHONPATH": ""},
            log=self.log,
            limits=JobLimits.from_record(self.context.settings.job_limits),
        )
        try:
            return with_requirements(enclosure, source, seconds=self.startup_seconds, wanted=wanted)
        except RequirementsFailed as error:
            self.failure_file.write_text(str(error), encoding="utf-8")
            what = "its requirements.txt was not installed"
            raise DeploymentFailed(self.reason(what)) from error

    def _start_warm(
        self, warm: WarmStart, enclosure: Enclosure, prepared: Prepared
    ) -> Child | None:
        # The limits are watched in a thread, beside who waits for the end: one of them would not
        # see it of a process that is no Popen.
        limited = JobLimits.from_record(self.context.settings.job_limits)
        kind = None if limited else server_kind(self.context, self._environment)
        code = self.model_folder / _CODE_FOLDER
        what = WarmProgram(
            name=str(SERVER),
            script=SERVER,
            python_path=str(_SEEN_MODEL / _CODE_FOLDER),
            folders=(code, SERVER.parent),
            is_ours=partial(is_our_model_code, code),
        )
        return warm.begin(kind, what, enclosure, prepared)

    def _tell_of_limits(self, over: str) -> None:
        """Record why the server is about to be killed."""
        words = f"the model server is killed: {over}"
        self.failure_file.write_text(words, encoding="utf-8")
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"whippet: {words}\n")

    def wait_until_healthy(self, server: Child, wanted: Callable[[], bool]) -> int:
        """Return the server's port once ``/ping`` answers 200.

        Raises:
            DeploymentFailed: the server ended, or did not answer in time.
            DeploymentUnwanted: ``wanted`` says so.
        """
        deadline = time.monotonic() + self.startup_seconds
        while time.monotonic() < deadline:
            if not wanted():
                raise DeploymentUnwanted(f"endpoint {self.endpoint!r} does not want {self.token}")
            code = server.poll()
            if code is not None:
                raise DeploymentFailed(self.reason(f"exit code {code}"))
            port = self._port()
            if port is not None and answers_ping(port):
                return port
            time.sleep(_POLL_SECONDS)
        raise DeploymentFailed(self.reason(f"no answer within {self.startup_seconds:g} seconds"))

    def reason(self, what: str) -> str:
        """Return a FailureReason: SageMaker's sentence, then the end of the user's traceback."""
        head = (
            f"The primary container for production variant {self.variant} did not pass the ping "
            f"health check ({what}).\n"
        )
        return head + shortened(self.last_words(), FAILURE_REASON_CHARACTERS - len(head))

    def last_words(self) -> str:
        """Return the traceback that the server left, or else the end of its log."""
        for file in (self._scratch / "problem", self.failure_file):
            with suppress(OSError):
                words = file.read_text(encoding="utf-8", errors="replace").strip()
                if words:
                    return words
        return end_of(self.log)

    def discard_model(self) -> None:
        """Remove the extracted model; the log stays."""
        shutil.rmtree(self.model_folder, ignore_errors=True)
        remove_tree(self._scratch)

    @property
    def _scratch(self) -> Path:
        """What the server writes elsewhere than into its model."""
        return self.folder / "boundary"

    @property
    def _environment(self) -> Mapping[str, str]:
        environment: Mapping[str, str] = self.container.get("Environment", {})
        return environment

    def _server_environment(
        self, ours: Mapping[str, str], model: Path, told: Path
    ) -> dict[str, str]:
        """Return the server's variables; it sees its model and its reports at these places."""
        return {
            **allowed_environment(ours),
            "PYTHONIOENCODING": "UTF-8",  # As in AWS's images, whatever the user's locale.
            "PYTHONUNBUFFERED": "1",
            "AWS_REGION": self.context.region,
            **self._environment,
            "PYTHONPATH": str(model / _CODE_FOLDER),
            "SM_MODEL_DIR": str(model),
            # Where prepare() put it; SageMaker's SDK names the container's own folder here.
            "SAGEMAKER_SUBMIT_DIRECTORY": str(model / _CODE_FOLDER),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": "0",
            "SAGEMAKER_PORT_FILE": str(told / self.port_file.name),
            "SAGEMAKER_FAILURE_FILE": str(told / self.failure_file.name),
            "SAGEMAKER_REQUESTS_FILE": str(told / REQUESTS_FILE),
        }

    def _port(self) -> int | None:
        try:
            return int(self.port_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
