"""What ``run.json`` says of a run: one model, whose parts are written by the stages of the run.

Every part may be missing: a run that died tells how far it came. A record without ``version`` was
written before there was one, and reads as the first.
"""

from __future__ import annotations

from pydantic import Field, ValidationError

from platforms.errors import ParameterError
from tasks.runs.approval_parts import Approval, Comparison
from tasks.runs.names import RunIdentity
from tasks.runs.record_parts import (
    Answer,
    BestTrial,
    DataFacts,
    DebuggerRefusal,
    Deployment,
    Evaluation,
    FineTuning,
    ImprovementFacts,
    JobFacts,
    Json,
    LedgerEntry,
    NetworkFacts,
    Part,
    PlanFacts,
    SearchFacts,
    SourceFacts,
    TrainedModel,
    Value,
    VerdictFacts,
    WeightsFacts,
    is_nothing,
)

# Of the format: raised when a part changes its meaning, not when one is added.
VERSION = 1


class NewerRun(ParameterError):
    """Raised for a run that a newer Whippet made, which this one would misread or damage."""


def newer_run(run: str, sign: str) -> NewerRun:
    """Return the error for a run that a newer version made; ``sign`` says how that is known."""
    return NewerRun(
        f"run {run!r} was made by a newer version of Whippet ({sign}): use that version for it, "
        "or start a new run"
    )


class RunFacts(Part):
    """What the stages of a run find out; each gives its own part, the others stay unset.

    Attributes:
        status: ``running``, ``waiting`` (for a person's yes), ``completed``, ``refused`` (by that
            person), ``failed``, ``crashed`` or ``cancelled``.
        ended: when (ISO 8601); None while it runs.
        error: why it failed.
        search: None without one, and in runs of earlier versions: those searched by tuning jobs.
        network: what a search chose of several networks; None where there was one.
        seconds: how long each stage took.
        jobs: the name of the last job or endpoint that each stage launched.
        lint: findings of the objective lint, by what was linted.
        report: path of report.html.
        redone: jobs that are left as evidence, since `--from-step` does their steps again.
        told: when an event was emitted (ISO 8601), by its name and what it was about.
        pdf: path of report.pdf.
    """

    status: str = "running"
    ended: str | None = None
    error: str | None = None
    seconds: dict[str, float] = Field(default_factory=dict)
    jobs: dict[str, str] = Field(default_factory=dict)
    seeds: dict[str, int] = Field(default_factory=dict)
    plan: PlanFacts | None = None
    search: SearchFacts | None = None
    data: DataFacts = DataFacts()
    weights: WeightsFacts | None = None
    code: SourceFacts | None = None
    lint: dict[str, list[dict[str, str]]] = Field(default_factory=dict)
    ledger: dict[str, LedgerEntry] = Field(default_factory=dict)
    best: BestTrial | None = None
    network: NetworkFacts | None = None
    managed_debugger: DebuggerRefusal | None = None
    training: TrainedModel | None = None
    fine_tuning: FineTuning | None = None
    evaluation: Evaluation | None = None
    verdict: VerdictFacts | None = None
    job: JobFacts | None = None
    report: str | None = None
    endpoint: Deployment | None = None
    query: Answer | None = None
    comparison: Comparison | None = None
    approval: Approval | None = None
    redone: list[str] = Field(default_factory=list, exclude_if=is_nothing)
    told: dict[str, str] = Field(default_factory=dict)
    pdf: str | None = None
    improvement: ImprovementFacts | None = None
    improved_hyperparameters: dict[str, Value] | None = None

    def as_json(self) -> Json:
        """Return the parts that were given, as JSON values."""
        values = self.model_dump(mode="json", include=self.model_fields_set)
        if "data" in values:  # each of its two stages gives its own half
            values["data"] = self.data.model_dump(mode="json", exclude_unset=True)
        return values


class RunRecord(RunFacts):
    """All that is known of a run: its identity and parameters, and what its stages found out.

    ``parameters`` are the flow's own, as they were given; ``versions`` those of Python and of the
    packages that a result may depend on; ``platform`` is ``local`` or ``aws``.
    """

    version: int = VERSION
    name: str
    token: str
    flow_run_id: str
    started: str | None = None
    platform: str = "local"
    parameters: Json = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def identity(self) -> RunIdentity:
        """What the names of all that the run creates derive from."""
        return RunIdentity(name=self.name, token=self.token, flow_run_id=self.flow_run_id)

    def group(self, name: str) -> Json:
        """Return a group of the parameters, such as ``data``; empty when it was not given."""
        values = self.parameters.get(name)
        return values if isinstance(values, dict) else {}

    @property
    def bills(self) -> bool:
        """Whether the run was planned on an account that bills."""
        return self.plan is not None and self.plan.bills


def read_record(values: object, where: str) -> RunRecord:
    """Return the record of the JSON in ``where``.

    Raises:
        NewerRun: a newer version wrote it.
        ParameterError: it is not the record of a run.
    """
    run = str(values.get("name", where)) if isinstance(values, dict) else where
    version = values.get("version", VERSION) if isinstance(values, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise newer_run(run, f"its record is of version {version}, this one reads {VERSION}")
    try:
        return RunRecord.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "all of it"
        raise ParameterError(
            f"{where} is not the record of a run: {place}: {problem['msg']}"
        ) from error
