"""The process that runs one tuning job: ``python -m platforms.local.tuning.supervisor HOME NAME``.

It launches trials the same way as ``create_training_job``, watches them and asks
:class:`platforms.local.tuning.search.Search` what to try next and what to stop. Everything that
matters is on disk before it is done: a trial is in the record, with its name and values, before its
training job is created. The supervisor may therefore be killed at any instruction; the next one
adopts every trial.

Choices where AWS does not document its own: a tuning job whose ``MaxRuntimeInSeconds`` has passed
stops its running trials and ends as ``Stopped``; one that reached ``TargetObjectiveMetricValue``,
or has not improved for ``MaxNumberOfTrainingJobsNotImproving`` trials, stops them and ends as
``Completed``. A failed trial counts towards ``MaxNumberOfTrainingJobs``. A search gives up when its
first five trials have no value, because they failed or never printed their objective as a number.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext, recorded_context
from platforms.local.job_tree import JobTree
from platforms.local.records import Record, Records
from platforms.local.training.jobs import TrainingJobs
from platforms.local.training.metrics import last_text
from platforms.local.training.status import KIND as TRAINING_KIND
from platforms.local.tuning import request as tuning_request
from platforms.local.tuning import trials as tuning_trials
from platforms.local.tuning.search import Search
from platforms.local.tuning.status import KIND, SUPERVISED
from platforms.local.tuning.trials import Summary
from platforms.processes.process import identify
from sm_entrypoints.contract.kill_points import play

_POLL_SECONDS = 0.25
# As the service: "No training job succeeded after 5 attempts" (aws/amazon-sagemaker-examples#2436).
MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a tuning job ends once no trial runs any more."""

    status: str
    reason: str | None = None


class TuningSupervisor:
    """One tuning job from its record to its final status."""

    def __init__(self, context: LocalContext, record: Record) -> None:
        self._context = context
        self._name: str = record["HyperParameterTuningJobName"]
        self._jobs = TrainingJobs(context)
        plan = tuning_request.plan(record, record["Local"]["Seed"])
        self._maximize = plan.maximize
        self._max_trials = tuning_request.max_trials(record, plan.space)
        self._search = Search(plan)
        self._running: dict[int, Record] = {}
        self._finished: list[Summary] = []
        for result in record["Local"]["Parents"]:
            self._search.learn(result["HyperParameters"], result["Value"])
        for number, trial in enumerate(record["Local"]["Trials"]):
            self._search.adopt(number, trial["HyperParameters"])
            self._running[number] = trial

    def run(self) -> None:
        """Run the tuning job; return when its status is final.

        Raises:
            WhippetError, ClientError, OSError: a trial cannot be created, or nothing written.
        """
        ending: Ending | None = None
        while True:
            record = self._record()
            self._create_missing(record)
            self._watch(record)
            ending = ending or self._ending(record)
            if ending:
                self.stop_all()
            else:
                self._fill(record)
            if ending and not self._running:
                break
            time.sleep(_POLL_SECONDS)
        self._end(ending)

    def stop_all(self) -> None:
        """Ask every running trial to stop; returns at once."""
        for trial in self._running.values():
            self._stop(trial["Name"])

    def _record(self) -> Record:
        return self._context.records.read(KIND, self._name)

    def _create_missing(self, record: Record) -> None:
        """Create the training jobs of trials that are in the record only."""
        for trial in self._running.values():
            if not tuning_trials.exists(self._context, trial["Name"]):
                self._launch(record, trial)

    def _launch(self, record: Record, trial: Record) -> None:
        request = tuning_request.training_request(record, trial["Name"], trial["HyperParameters"])
        self._jobs.launch(request, tuning_job_arn=record["HyperParameterTuningJobArn"])

    def _watch(self, record: Record) -> None:
        """Tell the search what running trials have reached; finish those that have ended."""
        for number, trial in list(self._running.items()):
            summary = tuning_trials.summary(self._context, record, trial)
            values = tuning_trials.objective_values(self._context, record, trial["Name"])
            stop = self._search.report(number, values)
            if summary["TrainingJobStatus"] in TERMINAL:
                stopped = summary["TrainingJobStatus"] == "Stopped"
                value = tuning_trials.value_of(summary)
                self._search.finish(number, value, stopped=stopped)
                self._finished.append(summary)
                del self._running[number]
            elif stop:
                self._stop(trial["Name"])

    def _ending(self, record: Record) -> Ending | None:
        """Return how the tuning job ends if it is to launch no more trials."""
        if record["HyperParameterTuningJobStatus"] == "Stopping":
            return Ending(status="Stopped")
        config = record["HyperParameterTuningJobConfig"]
        limit = config["ResourceLimits"].get("MaxRuntimeInSeconds")
        age = datetime.now(UTC) - datetime.fromisoformat(record["CreationTime"])
        if limit is not None and age.total_seconds() > limit:
            return Ending(status="Stopped", reason=f"MaxRuntimeInSeconds={limit} has passed.")
        if self._attempts() >= min(MOST_ATTEMPTS, self._max_trials):
            return Ending(status="Failed", reason=self._no_success(record))
        if self._satisfied(config.get("TuningJobCompletionCriteria", {})):
            return Ending(status="Completed")
        if len(self._finished) >= self._max_trials:
            if tuning_trials.best(self._finished, maximize=self._maximize) is None:
                return Ending(status="Failed", reason="No training job reached a value.")
            return Ending(status="Completed")
        return None

    def _attempts(self) -> int:
        """Return how many trials ended by themselves while none had a value."""
        if any(tuning_trials.value_of(each) is not None for each in self._finished):
            return 0
        return sum(each["TrainingJobStatus"] != "Stopped" for each in self._finished)

    def _no_success(self, record: Record) -> str:
        """Say why none of the trials so far has a value, in the service's words and our own."""
        # By their numbers: of those that run at a time, any may end first.
        named = sorted(self._finished, key=lambda each: each["TrainingJobName"])
        ended = [each for each in named if each["TrainingJobStatus"] != "Stopped"]
        failed = [each for each in ended if each["TrainingJobStatus"] == "Failed"]
        if len(failed) == len(ended):
            first = failed[0]
            return (
                f"No training job succeeded after {len(ended)} attempts. For additional details, "
                "please take a look at the training job failures by listing training jobs for the "
                f"hyperparameter tuning job. The first, {first['TrainingJobName']}: "
                f"{first.get('FailureReason', 'no reason')}"
            )
        silent = [each for each in ended if each["TrainingJobStatus"] == "Completed"]
        return (
            f"No objective metrics found after running {len(ended)} training jobs. Please ensure "
            "that the custom algorithm is emitting the objective metric as defined by the regular "
            f"expression provided. {self._what_it_printed(record, silent[0])}"
        )

    def _what_it_printed(self, record: Record, silent: Summary) -> str:
        name, pattern = silent["TrainingJobName"], tuning_request.objective_regex(record)
        metric = tuning_request.objective(record)["MetricName"]
        tree = JobTree(folder=self._context.records.folder(TRAINING_KIND, name))
        text = last_text(tree, pattern)
        if text is None:
            return (
                f"The regex {pattern!r} of {metric!r} matches nothing in the log of {name}. Print "
                "the metric in that form, or correct MetricDefinitions."
            )
        return (
            f"The regex {pattern!r} of {metric!r} reads {text[:40]!r} last in the log of {name}, "
            "which is not a finite number: such a trial has no value."
        )

    def _satisfied(self, criteria: dict[str, Any]) -> bool:
        best = tuning_trials.best(self._finished, maximize=self._maximize)
        if best is None:
            return False
        value, sign = tuning_trials.value_of(best) or 0.0, -1.0 if self._maximize else 1.0
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and sign * value <= sign * target:
            return True
        patience = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        since = len(self._finished) - 1 - self._finished.index(best)
        return patience is not None and since >= patience

    def _fill(self, record: Record) -> None:
        """Launch trials up to what may run at once."""
        limits = record["HyperParameterTuningJobConfig"]["ResourceLimits"]
        proposed = len(record["Local"]["Trials"])
        free = limits["MaxParallelTrainingJobs"] - len(self._running)
        for number in range(proposed, min(self._max_trials, proposed + free)):
            trial = {
                "Name": tuning_request.trial_name(record, number),
                "HyperParameters": self._search.propose(number),
            }
            self._context.records.update(KIND, self._name, partial(_with_trial, trial=trial))
            self._running[number] = trial
            self._launch(record, trial)

    def _stop(self, name: str) -> None:
        try:
            self._jobs.stop_training_job(TrainingJobName=name)
        except ClientError as error:
            # It ended since we looked: the next look will tell.
            if error.response["Error"]["Code"] != "ValidationException":
                raise

    def _end(self, ending: Ending) -> None:
        self._context.records.update(
            KIND,
            self._name,
            lambda record: SUPERVISED.ended(record, ending.status, ending.reason),
        )


def main(home: Path, name: str) -> None:
    """Run a tuning job if this process is its recorded supervisor."""
    play("tuning supervisor")
    records = Records(home)
    # Whoever started us holds the record's lock until we are recorded: wait for that.
    record = records.update(KIND, name, lambda newest: newest)
    ours = identify(os.getpid()).to_record()
    if record["Local"]["Supervisor"] is None or record["Local"]["Supervisor"]["Pid"] != ours["Pid"]:
        return
    supervisor = TuningSupervisor(recorded_context(home, record["Local"]), record)
    try:
        supervisor.run()
    except Exception as error:  # noqa: BLE001 - the outermost edge of this process
        traceback.print_exc()
        reason = f"the tuning job cannot continue: {error}"
        records.update(KIND, name, lambda newest: SUPERVISED.ended(newest, "Failed", reason))
        supervisor.stop_all()


def _with_trial(record: Record, trial: Record) -> Record:
    local = record["Local"]
    return {**record, "Local": {**local, "Trials": [*local["Trials"], trial]}}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
