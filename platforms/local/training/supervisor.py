"""The process that runs one training job.

``python -m platforms.local.training.supervisor HOME NAME``, started detached by
:mod:`platforms.local.training.jobs`. It leads the session that the job runs in, so anyone who finds
it dead can end everything it started. It always leaves a final status, unless it is killed: then
the next describe does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from platforms.archives import extract_archive
from platforms.errors import WhippetError
from platforms.job_status import TERMINAL
from platforms.local.boundary.enclosure import Enclosure
from platforms.local.boundary.hard_coded import hard_coded_notice
from platforms.local.boundary.inputs import Inputs
from platforms.local.boundary.limits import JobLimits
from platforms.local.boundary.mechanism import Mechanism
from platforms.local.boundary.requirements_layer import (
    RequirementsFailed,
    Source,
    requirements_layer,
)
from platforms.local.boundary.steps import Step
from platforms.local.buckets.buckets import Buckets
from platforms.local.context import local_context
from platforms.local.debugger.job_debugger import JobDebugger
from platforms.local.debugger.zero_code import install
from platforms.local.job_tree import JobTree
from platforms.local.own_command.command import own_command
from platforms.local.own_command.drivers import place_drivers
from platforms.local.records import Record, Records, now
from platforms.local.requirements import is_ours, unsatisfied
from platforms.local.supervision import as_failure
from platforms.local.toolkit import entry_point
from platforms.local.toolkit.image import version_notice
from platforms.local.training.environment import job_environment
from platforms.local.training.metrics import LogFollower
from platforms.local.training.process import JobProcess
from platforms.local.training.status import KIND, end, fail, move, with_supervisor
from platforms.local.training.uploads import Uploads
from platforms.local.warm_start.child import WarmChild
from platforms.local.warm_start.start import WarmStart
from platforms.processes.process import identify
from platforms.settings import Settings
from sm_entrypoints.contract.kill_points import play, reach
from sm_entrypoints.contract.sentences import clause

_POLL_SECONDS = 0.2
_CHECKPOINT_SECONDS = 5.0


class Supervisor:
    """One training job from its record to its final status."""

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self._warm = WarmStart(WarmChild.inherited(os.environ), stopped=self._stop_requested)
        self._records = Records(home)
        self._tree = JobTree(folder=self._records.folder(KIND, name))
        self._stop: str | None = None

    @cached_property
    def _buckets(self) -> Buckets:
        local = self._records.read(KIND, self.name)["Local"]
        settings = Settings(
            home=self._records.root, s3_endpoint=local.get("S3Endpoint"), region=local["Region"]
        )
        return local_context(settings).buckets

    @cached_property
    def _debugger(self) -> JobDebugger:
        return JobDebugger(
            tree=self._tree,
            record=self._records.read(KIND, self.name),
            buckets=self._buckets,
            update=self._update,
            say=self._say,
        )

    def run(self) -> None:
        """Run the job; return when its status is final.

        Raises:
            WhippetError, OSError: the job cannot be run; its status is not final yet.
        """
        mine = identify(os.getpid())
        record = self._update(lambda each: with_supervisor(each, mine))
        if record["Local"]["Supervisor"] != mine.to_record():
            return  # whoever looked at a job that seemed unstarted has started another
        if record["TrainingJobStatus"] in TERMINAL:
            return  # stopped before anybody ran it
        uploads = Uploads(tree=self._tree, record=record, buckets=self._buckets)
        # The service counts, and bills, from here on.
        self._update(lambda each: {**move(each, "Downloading"), "TrainingStartTime": now()})
        enclosure = Enclosure.of(
            record["Local"]["JobPython"],
            record["Local"].get("Boundary"),
            home=self._records.root,
            scratch=self._tree.scratch,
        )
        try:
            self._run_in(enclosure, record, uploads)
        finally:
            enclosure.discard()

    def _run_in(self, enclosure: Enclosure, record: Record, uploads: Uploads) -> None:
        channels = self._prepare(record, uploads, enclosure)
        enclosure = self._with_requirements(enclosure, record)
        if self._stop_requested():
            self._debugger.give_up()
            self._update(lambda each: end(each, "Stopped"))
            return
        self._move("Training")
        reach("job: start")
        job = JobProcess.start(self._tree, record, enclosure, channels, warm=self._warm)
        reach("job: started")
        try:
            with self._debugger.watching(job.pid):
                self._watch(job, record, uploads)
        finally:
            job.end_descendants()
        reach("job: ended")
        self._move("Uploading")
        ended_well = self._stop is not None or job.exit_code == 0
        uploads.collect(model=ended_well)
        reason = None if ended_well else job.failure_reason()
        enclosure.discard()
        self._debugger.finish_output()
        ended = now()  # The training's time: the rules are no part of it.
        with self._debugger.judging():
            self._finish(uploads, reason, ended)

    def fail(self, reason: str) -> None:
        """Give the job its final status ``Failed``."""
        self._update(lambda record: fail(record, reason))
        # What ended the job may keep its output from being marked: a bucket that is not there.
        with suppress(WhippetError, OSError):
            self._debugger.give_up()

    def _prepare(self, record: Record, uploads: Uploads, enclosure: Enclosure) -> list[Step]:
        """Put code, channels, config files and checkpoints where the job expects them."""
        ignored = ", ".join(record["Local"]["Ignored"])
        if ignored:
            self._say(f"warning: this platform does not honour {ignored}")
        notice = version_notice(record, record["Local"]["JobPython"])
        if notice:
            self._say(f"warning: {notice}")
        inputs = Inputs(
            mechanism=enclosure.mechanism, scratch=enclosure.scratch, buckets=self._buckets
        )
        channels = self._tree.make(record, inputs)
        if own_command(record):
            self._tree.code.mkdir(exist_ok=True)
            seen = self._tree.as_seen(contained=enclosure.mechanism.contained)
            place_drivers(self._tree, seen.root)
        else:
            self._prepare_source(record)
        uploads.restore_checkpoints()
        return channels

    def _with_requirements(self, enclosure: Enclosure, record: Record) -> Enclosure:
        """Install what the source's requirements.txt asks for, as the toolkit does."""
        if own_command(record):
            return enclosure
        seen = self._tree.as_seen(contained=enclosure.mechanism.contained)
        source = Source(
            root=self._tree.root,
            seen=seen.root,
            environment=job_environment(seen, record, os.environ),
            log=self._tree.log,
            limits=JobLimits.from_record(record["Local"].get("Limits", {})),
        )
        layer = requirements_layer(enclosure, source, self._stop_requested)
        if is_ours(self._tree.code):
            for problem in unsatisfied(self._tree.code, record["Local"]["JobPython"]):
                self._say(
                    f"warning: the job environment lacks {clause(problem)}; run `make job-env`"
                )
        return enclosure.with_layer(layer)

    def _prepare_source(self, record: Record) -> None:
        source = entry_point.submit_directory(record)
        with self._buckets.reading(source, self._tree.folder) as archive:
            extract_archive(archive, self._tree.code)
            contained = Mechanism.from_record(record["Local"].get("Boundary")).contained
            notice = None if contained else hard_coded_notice(archive)
        if notice is not None:
            self._say(f"warning: {notice}")
        entry_point.prepare(self._tree.code, record)
        if entry_point.kind(self._tree.code, entry_point.program(record)) == "package":
            self._say(
                "warning: setup.py is not installed: its folder and the src folder in it are on "
                "PYTHONPATH"
            )
        install(self._tree, record)

    def _watch(self, job: JobProcess, record: Record, uploads: Uploads) -> None:
        """Follow the job to its end: metrics, checkpoints, stop requests, the time limit."""
        definitions = record["AlgorithmSpecification"].get("MetricDefinitions", [])
        follower = LogFollower(self._tree, definitions)
        limit = record["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400)
        started = synced = time.monotonic()
        while not job.wait(_POLL_SECONDS):
            over = job.enforce_limits()
            if over is not None:
                self._say(over)
            self._follow(follower)
            elapsed = time.monotonic() - started
            self._stop_if_due(job, record["Local"]["StopGraceSeconds"], elapsed > limit)
            if time.monotonic() - synced > _CHECKPOINT_SECONDS:
                uploads.sync_checkpoints()
                synced = time.monotonic()
        job.end_group()
        self._follow(follower, ended=True)

    def _follow(self, follower: LogFollower, *, ended: bool = False) -> None:
        if follower.follow(ended=ended):
            metrics = follower.final_metrics()
            self._update(lambda record: {**record, "FinalMetricDataList": metrics})
        for complaint in follower.complaints():
            self._say(f"warning: {complaint}")

    def _stop_if_due(self, job: JobProcess, grace_seconds: float, over_time: bool) -> None:
        if self._stop is None and self._stop_requested():
            self._stop = "Stopped"
            job.stop(grace_seconds)
        elif self._stop is None and over_time:
            self._stop = "MaxRuntimeExceeded"
            self._update(lambda each: move(each, "MaxRuntimeExceeded", status="Stopping"))
            job.stop(grace_seconds)

    def _finish(self, uploads: Uploads, reason: str | None, ended: str) -> None:
        artifacts = {
            "ModelArtifacts": {"S3ModelArtifacts": uploads.model_uri},
            "TrainingEndTime": ended,
        }
        if self._stop is not None:
            secondary = self._stop
            self._update(lambda each: end(each, "Stopped", SecondaryStatus=secondary, **artifacts))
        elif reason is None:
            self._update(lambda each: end(each, "Completed", **artifacts))
        else:
            self._update(lambda each: fail(each, reason, TrainingEndTime=ended))

    def _stop_requested(self) -> bool:
        status: str = self._records.read(KIND, self.name)["TrainingJobStatus"]
        return status == "Stopping"

    def _move(self, secondary: str) -> None:
        self._update(lambda record: move(record, secondary))

    def _update(self, change: Callable[[Record], Record]) -> Record:
        return self._records.update(KIND, self.name, change)

    def _say(self, line: str) -> None:
        with self._tree.log.open("a", encoding="utf-8") as log:
            log.write(f"[whippet] {line}\n")


def main(home: str, name: str) -> None:
    """Run the job ``name`` of ``home``; its outcome is in its record."""
    play("training supervisor")
    supervisor = Supervisor(Path(home), name)
    with as_failure(supervisor.fail, RequirementsFailed):
        supervisor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
