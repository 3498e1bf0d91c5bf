"""The process of one transform job: ``python -m platforms.local.transform.supervisor HOME NAME``.

Objects are sent to the model in the order of their keys, ``MaxConcurrentTransforms`` at a time. An
object that fails has no output and does not stop the others; the job ends ``Failed``, as in the
service. An object's result is recorded once its output is in the bucket, so a supervisor that takes
over from a killed one repeats only the objects that were in progress.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError

from platforms.errors import WhippetError
from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext, local_context, recorded_context
from platforms.local.hosting.deployment import DeploymentFailed, DeploymentUnwanted
from platforms.local.hosting.model_calls import call_model
from platforms.local.job_tree import JobTree
from platforms.local.records import Missing, Record
from platforms.local.supervision import as_failure
from platforms.local.training.metrics import LogFollower
from platforms.local.transform.inputs import InputObject, input_objects
from platforms.local.transform.payloads import payloads, write_answers
from platforms.local.transform.record import KIND, SUPERVISED, started
from platforms.local.transform.request import plan
from platforms.local.transform.server import RunningServer, server_of
from platforms.processes.process import identify
from platforms.settings import Settings
from sm_entrypoints.contract.kill_points import play

_POLL_SECONDS = 0.2
_TELL_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_TOO_MANY = 429


class TransformSupervisor:
    """One transform job from its record to its final status."""

    def __init__(self, context: LocalContext, record: Record) -> None:
        self._context = context
        self._name: str = record["TransformJobName"]
        self._record = record
        self._plan = plan(record)
        self._folder = context.records.folder(KIND, self._name)
        self._deployment = server_of(context, record, self._plan)
        self._server = RunningServer(self._deployment, lambda: not self._stop_requested())
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._outcomes = self._read_outcomes()
        self._stopped = False
        self._fatal: DeploymentFailed | None = None

    def run(self) -> None:
        """Transform what is left; return when the status is final.

        Raises:
            WhippetError, OSError: the job cannot be run; its status is not final yet.
        """
        self._context.records.update(KIND, self._name, started)
        follower = LogFollower(JobTree(folder=self._folder), [])
        try:
            self._deployment.prepare()
            self._server.url()
            self._work(follower)
        except DeploymentUnwanted:
            self._stopped = True
        finally:
            self._server.end()
            follower.follow(ended=True)
        if self._fatal is not None:
            raise self._fatal
        self._finish()

    def fail(self, reason: str) -> None:
        """Give the job its final status ``Failed``."""
        self._end("Failed", reason)

    def _end(self, status: str, reason: str | None = None) -> None:
        self._context.records.update(
            KIND, self._name, lambda each: SUPERVISED.ended(each, status, reason)
        )

    def _work(self, follower: LogFollower) -> None:
        """Send the objects through the model, a few at a time, until all are done or it is over."""
        told = time.monotonic()
        with ThreadPoolExecutor(self._plan.concurrency) as pool:
            waiting: set[Future[None]] = set()
            for each in self._left():
                if self._over():
                    break
                waiting.add(pool.submit(self._transform, each))
                while len(waiting) > 2 * self._plan.concurrency and not self._over():
                    _, waiting = wait(waiting, _POLL_SECONDS)
                    follower.follow()
                    told = self._tell(told)
            while waiting and not self._over():
                _, waiting = wait(waiting, _POLL_SECONDS)
                follower.follow()
                told = self._tell(told)
            if self._over():
                # Who waits for an answer gets none; who has not begun does not begin.
                pool.shutdown(wait=False, cancel_futures=True)
                self._server.end()

    def _left(self) -> Iterator[InputObject]:
        for each in input_objects(self._plan, self._context.buckets):
            if each.name not in self._outcomes:
                yield each

    def _over(self) -> bool:
        self._stopped = self._stopped or self._stop_requested()
        return self._stopped or self._fatal is not None

    def _transform(self, each: InputObject) -> None:
        if self._stopped or self._fatal is not None:
            return
        try:
            self._write_output(each)
        except ClientError as error:
            self._note(each, _told(error))
        except DeploymentUnwanted:
            self._stopped = True
        except DeploymentFailed as error:
            self._fatal = error
        except WhippetError as error:
            self._note(each, str(error))
        except OSError as error:
            self._note(each, f"{type(error).__name__}: {error}")
        else:
            self._note(each, None)

    def _write_output(self, each: InputObject) -> None:
        """Bring an object's answers to the bucket: all of them, or nothing at all."""
        buckets = self._context.buckets
        with TemporaryDirectory(dir=self._folder) as folder:
            scratch, answered = Path(folder), Path(folder, "answered")
            with buckets.reading(each.uri, scratch) as path:
                answers = (self._ask(body) for body in payloads(path, self._plan))
                write_answers(answers, self._plan, answered)
            with buckets.writing(f"{self._plan.output}/{each.name}.out", scratch) as target:
                shutil.move(answered, target)

    def _ask(self, body: bytes) -> bytes:
        """Return the model's answer; transient failures are retried, as often as requested.

        A model that has too many calls did not fail: it is asked again for as long as a call may
        take.

        Raises:
            ClientError: the model refused the body, or failed each time.
            WhippetError: there is no server any more.
        """
        request = {
            **({"ContentType": self._plan.content_type} if self._plan.content_type else {}),
            **({"Accept": self._plan.accept} if self._plan.accept else {}),
        }
        attempts, deadline = 0, time.monotonic() + self._plan.seconds
        while True:
            with self._starting:
                url = self._server.url()
            try:
                return call_model(self._name, url, body, request, self._plan.seconds).content
            except ClientError as error:
                response: Mapping[str, Any] = error.response
                status = response.get("OriginalStatusCode", 0)
                attempts += status != _TOO_MANY or time.monotonic() > deadline
                refused = 400 <= status < 500 and status != _TOO_MANY
                if refused or attempts > self._plan.retries or self._stopped:
                    raise
                time.sleep(_RETRY_SECONDS)

    def _note(self, each: InputObject, problem: str | None) -> None:
        """Write down what became of an object."""
        if self._stopped and problem is not None:
            return  # It was cut off; whoever transforms it again may do better.
        with self._writing:
            self._outcomes[each.name] = problem
            with (self._folder / "objects.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": each.name, "problem": problem}) + "\n")
        if problem is not None:
            self._say(f"{each.uri}: {problem}")

    def _read_outcomes(self) -> dict[str, str | None]:
        try:
            text = (self._folder / "objects.jsonl").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        # A last line without its end was being written when its writer was killed.
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return {outcome["name"]: outcome["problem"] for outcome in map(json.loads, lines)}

    def _finish(self) -> None:
        failed = [(name, problem) for name, problem in self._outcomes.items() if problem]
        self._say(self._progress())
        if self._stopped:
            self._end("Stopped")
        elif failed:
            name, problem = failed[0]
            self.fail(
                f"ClientError: {len(failed)} of {len(self._outcomes)} objects failed; the others "
                f"have their output. The first, {name!r}: {problem}"
            )
        else:
            self._end("Completed")

    def _tell(self, told: float) -> float:
        if time.monotonic() - told < _TELL_SECONDS:
            return told
        self._say(self._progress())
        return time.monotonic()

    def _progress(self) -> str:
        bad = sum(problem is not None for problem in self._outcomes.values())
        return f"{len(self._outcomes)} objects done, {bad} of them failed"

    def _stop_requested(self) -> bool:
        record = self._context.records.read(KIND, self._name)
        return str(record["TransformJobStatus"]) == "Stopping"

    def _say(self, line: str) -> None:
        with self._deployment.log.open("a", encoding="utf-8") as log:
            log.write(f"[whippet] {line}\n")


def _told(error: ClientError) -> str:
    """Return the model's own message, if any; the error names an endpoint's log."""
    response: Mapping[str, Any] = error.response
    status = response.get("OriginalStatusCode")
    if status:
        return f"the model answered {status}: {response['OriginalMessage']}"
    return str(response.get("OriginalMessage") or response["Error"]["Message"])


def main(home: str, name: str) -> None:
    """Run the transform job ``name`` of ``home`` if this process is its recorded supervisor."""
    play("transform supervisor")
    records = local_context(Settings(home=Path(home))).records
    # Whoever started this process records it under the same lock.
    record = records.update(KIND, name, lambda record: record)
    local = record["Local"]
    if local["Supervisor"] != identify(os.getpid()).to_record():
        return
    if record["TransformJobStatus"] in TERMINAL:
        return
    supervisor = TransformSupervisor(recorded_context(records.root, local), record)
    # Missing: its record was removed by hand.
    with as_failure(supervisor.fail, DeploymentFailed), suppress(Missing):
        supervisor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
