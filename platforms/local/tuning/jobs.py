"""Hyperparameter tuning jobs of the local platform: create, describe, list, stop.

A tuning job only coordinates; the work is in real training jobs that its detached supervisor
(:mod:`platforms.local.tuning.supervisor`) creates. A supervisor that died therefore loses nothing:
describing or stopping a tuning job that should be running but has no living supervisor, or listing
its trials, starts another one, which continues from the records. Messages are SageMaker's own, as
users report them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from platforms.client_errors import answered, client_error
from platforms.job_environment import require_job_python
from platforms.job_status import TERMINAL
from platforms.local.context import LOGGER, LocalContext
from platforms.local.honoured.naming import warn_ignored
from platforms.local.listing import listing
from platforms.local.records import Exists, Missing, Record, now, with_times
from platforms.local.toolkit.image import version_notice
from platforms.local.training.request import check_request, ignored_fields
from platforms.local.tuning import request as tuning_request
from platforms.local.tuning import trials as tuning_trials
from platforms.local.tuning.description import counters, progress
from platforms.local.tuning.search import Search
from platforms.local.tuning.status import KIND, SUPERVISED
from platforms.validation import validate

_CREATE = "CreateHyperParameterTuningJob"


class HyperParameterTuningJobs:
    """``create_hyper_parameter_tuning_job`` and its siblings, with boto3's keyword arguments."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def create_hyper_parameter_tuning_job(self, **request: Any) -> dict[str, Any]:
        """Start a tuning job and return its ARN; it outlives the caller.

        The first trial's request is checked as CreateTrainingJob would check it, so a tuning job
        that cannot train fails here.

        Raises:
            ClientError: ``ValidationException`` with all problems, or ``ResourceInUse``.
            SettingsError: there is no job environment. Nothing has been written then.
        """
        name = request["HyperParameterTuningJobName"]
        problems = list(tuning_request.problems(request))
        if problems:
            raise client_error(_CREATE, "ValidationException", " ".join(problems))
        require_job_python(self._context.settings.job_python)
        record = self._new_record(request)
        ignored = self._check_first_trial(record)
        taken = (
            f"A hyperparameter tuning job with the name, {name}, already exists. Choose a "
            "different name."
        )
        with answered(Exists, _CREATE, "ResourceInUse", taken):
            self._context.records.create(KIND, name, record)
        warn_ignored(f"tuning job {name!r}", ignored)
        notice = version_notice(request["TrainingJobDefinition"], record["Local"]["JobPython"])
        if notice:
            LOGGER.warning("tuning job %r: %s", name, notice)
        SUPERVISED.begin(self._context, name)
        return {"HyperParameterTuningJobArn": record["HyperParameterTuningJobArn"]}

    def describe_hyper_parameter_tuning_job(self, **request: Any) -> dict[str, Any]:
        """Return what SageMaker returns: status, counters and the best trial so far."""
        record = self._current(
            "DescribeHyperParameterTuningJob", request["HyperParameterTuningJobName"]
        )
        shown = {key: value for key, value in record.items() if key not in {"Tags", "Local"}}
        trials = tuning_trials.summaries(self._context, record)
        shown |= tuning_request.as_described(record)
        maximize = tuning_request.objective(record)["Type"] == "Maximize"
        described = {**with_times(shown), **progress(record, trials, maximize=maximize)}
        if record.get("WarmStartConfig", {}).get("WarmStartType") == "IdenticalDataAndAlgorithm":
            overall = tuning_trials.best(
                [*trials, *self._parents_trials(record)], maximize=maximize
            )
            described |= {"OverallBestTrainingJob": overall} if overall else {}
        return described

    def list_hyper_parameter_tuning_jobs(self, **request: Any) -> dict[str, Any]:
        """Return a page of tuning job summaries, by name unless specified otherwise.

        Read-only: a tuning job without a living supervisor is left unchanged.
        """
        summaries = []
        for record in self._context.records.list(KIND):
            fields = (
                "HyperParameterTuningJobName",
                "HyperParameterTuningJobArn",
                "HyperParameterTuningJobStatus",
                "CreationTime",
                "LastModifiedTime",
                "HyperParameterTuningEndTime",
            )
            config = record["HyperParameterTuningJobConfig"]
            summaries.append(
                {
                    **with_times({key: record[key] for key in fields if key in record}),
                    **counters(tuning_trials.summaries(self._context, record)),
                    "Strategy": config["Strategy"],
                    "ResourceLimits": config["ResourceLimits"],
                }
            )
        return listing(
            "HyperParameterTuningJobSummaries",
            "HyperParameterTuningJobName",
            summaries,
            request,
            defaults=("Name", "Ascending"),
        )

    def list_training_jobs_for_hyper_parameter_tuning_job(self, **request: Any) -> dict[str, Any]:
        """Return a page of trial summaries, by name unless specified otherwise.

        Sorted by ``FinalObjectiveMetricValue``, trials without one are left out, as on AWS.
        """
        record = self._current(
            "ListTrainingJobsForHyperParameterTuningJob", request["HyperParameterTuningJobName"]
        )
        trials = tuning_trials.summaries(self._context, record)
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            trials = [each for each in trials if tuning_trials.value_of(each) is not None]
        status = request.get("StatusEquals")
        return listing(
            "TrainingJobSummaries",
            "TrainingJobName",
            [each for each in trials if status in (None, each["TrainingJobStatus"])],
            {key: value for key, value in request.items() if key != "StatusEquals"},
            defaults=("Name", "Ascending"),
            sort_keys={
                "FinalObjectiveMetricValue": tuning_trials.value_of,
                "Status": lambda each: each["TrainingJobStatus"],
            },
        )

    def stop_hyper_parameter_tuning_job(self, **request: Any) -> dict[str, Any]:
        """Ask a tuning job to stop its running trials and launch no more. Returns at once."""
        operation, name = "StopHyperParameterTuningJob", request["HyperParameterTuningJobName"]
        self._current(operation, name)

        def stop(record: Record) -> Record:
            status = record["HyperParameterTuningJobStatus"]
            if status in TERMINAL:
                raise client_error(
                    operation,
                    "ValidationException",
                    f"The request was rejected because the hyperparameter tuning job is in "
                    f"status {status}.",
                )
            return {
                **record,
                "HyperParameterTuningJobStatus": "Stopping",
                "LastModifiedTime": now(),
            }

        self._context.records.update(KIND, name, stop)
        return {}

    def _current(self, operation: str, name: str) -> Record:
        """Return the record of a tuning job that has a supervisor when it needs one."""
        unknown = f"Amazon SageMaker can't find a tuning job called {name}. Type another name."
        with answered(Missing, operation, "ResourceNotFound", unknown):
            return SUPERVISED.ensure(self._context, name)

    def _new_record(self, request: dict[str, Any]) -> Record:
        config = request["HyperParameterTuningJobConfig"]
        return SUPERVISED.new_record(
            self._context,
            request,
            Seed=config.get("RandomSeed", secrets.randbelow(2**32)),
            Trials=[],
            Parents=self._parents_results(request),
        )

    def _check_first_trial(self, record: Record) -> list[str]:
        """Check what the first trial would ask for; return the members that change nothing."""
        search = Search(tuning_request.plan(record, record["Local"]["Seed"]))
        trial = tuning_request.training_request(
            record, tuning_request.trial_name(record, 0), search.propose(0)
        )
        validate("CreateTrainingJob", trial)
        check_request(self._context, trial)
        return [*tuning_request.ignored_fields(record), *ignored_fields(trial)]

    def _parents(self, request: Mapping[str, Any]) -> list[Record]:
        """Return the records of the tuning jobs that this one starts from.

        Raises:
            ClientError: ``ValidationException``: unknown, still running, or another objective.
        """
        config = request.get("WarmStartConfig", {})
        parents = []
        for each in config.get("ParentHyperParameterTuningJobs", []):
            name = each["HyperParameterTuningJobName"]
            parent = self._context.records.find(KIND, name)
            if parent is None:
                raise _refused(f"Parent tuning job {name!r} does not exist.")
            status = parent["HyperParameterTuningJobStatus"]
            if status not in TERMINAL:
                raise _refused(f"Parent tuning job {name!r} is {status}: wait until it has ended.")
            if tuning_request.objective(parent) != tuning_request.objective(request):
                raise _refused(
                    f"Parent tuning job {name!r} has the objective "
                    f"{tuning_request.objective(parent)}; it must be the same as this job's."
                )
            parents.append(parent)
        return parents

    def _parents_results(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what the trials of all parents tried (static values too) and reached."""
        results = []
        for parent in self._parents(request):
            static = parent["TrainingJobDefinition"].get("StaticHyperParameters", {})
            for trial in tuning_trials.summaries(self._context, parent):
                value = tuning_trials.value_of(trial)
                if value is not None:
                    tried = {**static, **trial["TunedHyperParameters"]}
                    results.append({"HyperParameters": tried, "Value": value})
        return results

    def _parents_trials(self, record: Record) -> list[tuning_trials.Summary]:
        return [
            {**trial, "TuningJobName": parent["HyperParameterTuningJobName"]}
            for parent in self._parents(record)
            for trial in tuning_trials.summaries(self._context, parent)
        ]


def _refused(message: str) -> Exception:
    return client_error(_CREATE, "ValidationException", message)
