"""The table of safeguards: where each is, how it is taken out, and which test misses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A safeguard, the edit that takes it out, and the test that then has to fail.

    Attributes:
        before: what stands in the file, once.
        test: what pytest is called with.
    """

    name: str
    file: str
    before: str
    after: str
    test: tuple[str, ...]


_ADOPT = "tasks/requests/create_or_adopt.py"
_ADOPT_TEST = "tests/tasks/requests/test_create_or_adopt.py"
_OWNER, _OWNER_TEST = "tasks/runs/ownership.py", ("tests/tasks/runs/test_ownership.py",)
_RECORDS, _RECORDS_TEST = "platforms/local/records.py", ("tests/platforms/local/test_records.py",)
_TRAINING_TEST = "tests/platforms/local/training/test_jobs.py"
_HOSTING_TEST = "tests/platforms/local/hosting/test_endpoints.py"
_JOBS = ("tests/faults/test_job_kills.py",)
_SCHEDULES = ("tests/faults/test_schedules.py",)

GUARDS = (
    Guard(
        name="names derive from the run, not from chance",
        file="tasks/runs/names.py",
        before="    return sha256(flow_run_id.encode()).hexdigest()[:TOKEN_LENGTH]",
        after="    return __import__('secrets').token_hex(TOKEN_LENGTH)[:TOKEN_LENGTH]",
        test=("tests/tasks/runs/test_names.py",),
    ),
    Guard(
        name="describe before create",
        file=_ADOPT,
        before="        existing = resource.describe(sagemaker, name)\n        if",
        after="        existing = None\n        if",
        test=(_ADOPT_TEST, "-k", "same_request"),
    ),
    Guard(
        name="adopt by digest, not by name",
        file=_ADOPT,
        before="    if digest == digest_tag(body):",
        after="    if True:",
        test=(_ADOPT_TEST, "-k", "another_request"),
    ),
    Guard(
        name="a lost answer is our own job",
        file=_ADOPT,
        before='    return code == "ResourceInUse" or "already exist" in text',
        after="    return False",
        test=_SCHEDULES,
    ),
    Guard(
        name="what cannot be seen yet is asked for again",
        file="platforms/client_errors.py",
        before="    if isinstance(error, NotSeenYet):\n        return True\n",
        after="",
        test=("tests/tasks/requests/test_waiting.py", "-k", "faults_that_pass"),
    ),
    Guard(
        name="a job that cannot be seen yet is waited for",
        file="tasks/requests/waiting.py",
        before="        return self.clock.now() - self.unseen_since < _UNSEEN_SECONDS",
        after="        return False",
        test=_SCHEDULES,
    ),
    Guard(
        name="a failed job is not paid for twice by one plan",
        file=_ADOPT,
        before="        if spent is not None and name not in spent:\n            return name\n",
        after="",
        test=(_ADOPT_TEST, "-k", "only_what_had_failed"),
    ),
    Guard(
        name="attempts end",
        file=_ADOPT,
        before="MOST_ATTEMPTS = 9",
        after="MOST_ATTEMPTS = 99",
        test=(_ADOPT_TEST, "-k", "endless"),
    ),
    Guard(
        name="waits tolerate what passes",
        file="tasks/requests/waiting.py",
        before="            if not schedule.may_pass(error):\n                raise\n",
        after="            raise\n",
        test=("tests/tasks/requests/test_waiting.py",),
    ),
    Guard(
        name="tasks retry only what may pass",
        file="tasks/runs/task_policy.py",
        before="    return is_transient(error)",
        after="    return True",
        test=("tests/tasks/runs/test_task_policy.py",),
    ),
    Guard(
        name="files are replaced, not written over",
        file="sm_entrypoints/contract/files.py",
        before="    fresh = staged(path)\n",
        after="    fresh = path\n",
        test=("tests/platforms/test_files.py",),
    ),
    Guard(
        name="of two creators one wins",
        file=_RECORDS,
        before="                raise FileExistsError(error.errno,",
        after="                return\n                raise FileExistsError(error.errno,",
        test=_RECORDS_TEST,
    ),
    Guard(
        name="updates of a record do not overlap",
        file=_RECORDS,
        before="        with self._locked(kind, name):\n            record = change(",
        after="        if True:\n            record = change(",
        test=_RECORDS_TEST,
    ),
    Guard(
        name="a job whose supervisor died is Failed",
        file="platforms/local/training/abandonment.py",
        before="        return not alive(ProcessId.from_record(supervisor))\n    age",
        after="        return False\n    age",
        test=(_TRAINING_TEST, "-k", "test_a_killed_supervisor"),
    ),
    Guard(
        name="a job that nobody started is started by who looks",
        file="platforms/local/training/abandonment.py",
        before="    return starter is not None and not alive(ProcessId.from_record(starter))",
        after="    return False",
        test=(_TRAINING_TEST, "-k", "whose_starter_was_killed_is_started"),
    ),
    Guard(
        name="a deployment that nobody started is started by who looks",
        file="platforms/local/hosting/starting.py",
        before="    return starter is not None and not alive(ProcessId.from_record(starter))",
        after="    return False",
        test=("tests/platforms/local/hosting/test_starting.py",),
    ),
    Guard(
        name="of two supervisors of a deployment one works",
        file="platforms/local/hosting/supervisor.py",
        before="        if not wants(record, token) or not _is_ours(record):",
        after="        if not wants(record, token):",
        test=("tests/platforms/local/hosting/test_starting.py",),
    ),
    Guard(
        name="a killed delete is finished",
        file="platforms/local/hosting/settling.py",
        before="    return deleter is None or not alive(ProcessId.from_record(deleter))",
        after="    return False",
        test=(_HOSTING_TEST, "-k", "delete_whose_process_was_killed"),
    ),
    Guard(
        name="a killed tuning supervisor is replaced",
        file="platforms/local/supervision.py",
        before="        return supervisor is None or not alive(ProcessId.from_record(supervisor))",
        after="        return supervisor is None",
        test=("tests/platforms/local/tuning/test_jobs.py", "-k", "killed_supervisor"),
    ),
    Guard(
        name="a trial is in the record before it is launched",
        file="platforms/local/tuning/supervisor.py",
        before='            if not tuning_trials.exists(self._context, trial["Name"]):',
        after="            if False:",
        test=("tests/platforms/local/tuning/test_jobs.py", "-k", "only_in_the_record"),
    ),
    Guard(
        name="a recycled pid is another process",
        file="platforms/processes/process.py",
        before="abs(started - process_id.started) <= _CLOCK_SECONDS",
        after="True",
        test=("tests/platforms/processes/test_process.py",),
    ),
    Guard(
        name="a second process waits for the first",
        file=_OWNER,
        before='    while not kept_if_free(path, f"{os.getpid()}\\n".encode()):\n        wait()\n',
        after='    kept_if_free(path, f"{os.getpid()}\\n".encode())\n',
        test=_OWNER_TEST,
    ),
    Guard(
        name="a run whose process is gone is not running",
        file=_OWNER,
        before="at_work(settings, run_record.name) is False:",
        after="False:",
        test=_OWNER_TEST,
    ),
    Guard(
        name="a cancel finishes what a killed one began",
        file="tasks/costs/stop_billing.py",
        before='    ENDPOINT_CONFIG.delete(platform.sagemaker, resource_name(run, "config"))\n',
        after="",
        test=("tests/tasks/costs/test_stop_billing.py",),
    ),
    Guard(
        name="accounts that a killed clean-up left open are closed",
        file="tasks/leftovers/reaper.py",
        before="        note_endpoint(platform, run.identity)\n",
        after="        pass\n",
        test=("tests/tasks/leftovers/test_reaper.py",),
    ),
    Guard(
        name="one flow run has one identity",
        file="tasks/runs/record.py",
        before="        if pointer.exists():\n            return RunIdentity(",
        after="        if False:\n            return RunIdentity(",
        test=("tests/tasks/runs/test_record.py",),
    ),
    Guard(
        name="jobs see no credentials",
        file="platforms/processes/environment.py",
        before="        if any(fnmatchcase(key, name) for name in names)",
        after="        if True",
        test=("tests/platforms/local/test_credentials.py",),
    ),
    Guard(
        name="what a killed job had half written is cleared away",
        file="sm_entrypoints/job/entry_point.py",
        before="        _clear(environment)\n",
        after="",
        test=_JOBS,
    ),
    Guard(
        name="a generation is kept when it has ended",
        file="sm_entrypoints/searching/search_loop.py",
        before="        self._progress.save(generation, trials, self._found.best)\n",
        after="",
        test=_JOBS,
    ),
    Guard(
        name="the best head is kept with its generation",
        file="sm_entrypoints/searching/progress.py",
        before="            if best is not None:\n",
        after="            if best is not None and generation == 0:\n",
        test=_JOBS,
    ),
    Guard(
        name="progress of another search is ignored",
        file="sm_entrypoints/searching/progress.py",
        before="    return hashlib.sha256(json.dumps(document, sort_keys=True)",
        after='    return "the same" or hashlib.sha256(json.dumps(document)',
        test=("tests/sm_entrypoints/test_search.py", "-k", "later_attempt"),
    ),
    Guard(
        name="a checkpoint of another training is refused",
        file="sm_entrypoints/training/checkpoint.py",
        before="            if identity.get(name) != value:",
        after="            if False:",
        test=("tests/sm_entrypoints/training/test_checkpoint.py",),
    ),
    Guard(
        name="kept features are what was written",
        file="sm_entrypoints/features/keep.py",
        before='            if path.name != f"{_PREFIX}{digest}{_SUFFIX}":',
        after="            if False:",
        test=("tests/sm_entrypoints/features/test_keep.py",),
    ),
    Guard(
        name="an order to kill is carried out once",
        file="sm_entrypoints/contract/kill_points.py",
        before="os.O_WRONLY | os.O_CREAT | os.O_EXCL",
        after="os.O_WRONLY | os.O_CREAT",
        test=("tests/faults/test_kills.py",),
    ),
)
