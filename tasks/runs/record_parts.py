"""The parts of a run's record: what each stage of a run finds out.

Several are also what the stages hand to each other.
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sm_entrypoints.contract.choices import Strategy

Json = dict[str, JsonValue]
Value = bool | int | float | str


def is_nothing(value: object) -> bool:
    """Say whether a member of a later version is left out, so that an older record stays as is."""
    return not value


class Part(BaseModel):
    """A part of a record. What another version wrote beside it stays in the file, unread."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DataFacts(Part):
    """The checked data set; where it lies in the bucket once it was brought there.

    ``scheme`` is how ``fingerprint`` was computed; runs of earlier versions did not say.
    ``left_out`` files are listed in ``left_out_list``; ``uploaded``, ``skipped`` and ``removed``
    count files.
    """

    name: str | None = None
    root: str | None = None
    fingerprint: str | None = None
    scheme: int | None = None
    left_out: int | None = None
    left_out_list: str | None = None
    uri: str | None = None
    dataset: str | None = None
    uploaded: int | None = None
    skipped: int | None = None
    removed: int | None = None


class SearchFacts(Part):
    """How the search is made (never ``auto``), and the sentence that says why."""

    strategy: Strategy
    sentence: str = ""


class PlanFacts(Part):
    """What the run was planned with; amounts in USD, None where a price is not known.

    ``limits`` and ``prices`` are those of tasks/costs. ``spent`` are the jobs that had failed or
    were stopped by then.
    """

    bills: bool = False
    worst_usd: Decimal | None = None
    expected_usd: Decimal | None = None
    max_usd: Decimal | None = None
    limits: dict[str, int] | None = None
    prices: Json | None = None
    spent: list[str] | None = None


class LedgerEntry(Part):
    """What one training job or endpoint used.

    Attributes:
        job: its name; a trial of the search is a job of its own.
        stage: ``tune``, ``train``, ``improve`` (a comparison), or ``deploy`` for an endpoint.
        billable_seconds: of each instance, as SageMaker counts them; an endpoint's so far.
        spot_saving: share of the time that managed spot did not bill; 0 without.
        usd: instances and volumes, None when the price is not known, or it bills by use.
        price: where the price is from.
        usd_per_hour: what an endpoint bills an hour; None for a job.
        billing: an endpoint that was there when last looked at, and bills on.
        since: when an endpoint was created (ISO 8601).
        expires: the end of its time to live (ISO 8601).
    """

    job: str
    stage: str
    status: str
    instance_type: str
    instance_count: int
    billable_seconds: int
    spot_saving: float
    usd: Decimal | None
    price: str
    usd_per_hour: Decimal | None = None
    billing: bool = False
    since: str | None = None
    expires: str | None = None


class WeightsFacts(Part):
    """The pretrained weights; ``uri`` is None for none.

    ``networks`` are those to choose among, with where the weights of each lie alone;
    ``left_out`` those that no weights could be had for, with why.
    """

    source: str
    sha256: str | None = None
    uri: str | None = None
    networks: dict[str, str] = Field(default_factory=dict, exclude_if=is_nothing)
    left_out: dict[str, str] = Field(default_factory=dict, exclude_if=is_nothing)


class NetworkFacts(Part):
    """The network that a search chose of several, and the rule that picked it.

    ``milliseconds`` are for one picture on the machine of the search, ``megabytes`` of the model.
    """

    network: str
    architecture: str
    among: int
    accuracy: float | None = None
    accuracy_error: float | None = None
    milliseconds: float | None = None
    megabytes: float | None = None
    licence: str = ""
    rule: str = ""


class SourceFacts(Part):
    """The archive of the entry points in the bucket."""

    uri: str
    digest: str


class BestTrial(Part):
    """The best trial of a search, its hyperparameters typed.

    ``tuning_job`` is the search: a tuning job, or the training job that a packed search is. Of the
    latter there is no job ``training_job``: that is only the name of its trial. ``network`` is the
    one that was chosen of several.
    """

    tuning_job: str
    training_job: str
    objective: float
    hyperparameters: dict[str, Value]
    tuned: list[str]
    edges: dict[str, str]
    network: str | None = Field(None, exclude_if=is_nothing)


class TrainedModel(Part):
    """A finished training job and where its artifacts lie."""

    job: str
    model_data_uri: str
    output_uri: str
    test_uri: str
    metrics: dict[str, float]
    billable_seconds: int


class Difference(Part):
    """What changes on average from one model to another, and the standard error of that."""

    change: float
    error: float


class Gain(Part):
    """What changes on the same validation pictures; ``accuracy`` is a share (0..1)."""

    pictures: int
    loss: Difference
    accuracy: Difference


class FineTuning(Part):
    """What the training of all layers brought, and whether it was kept.

    ``head`` and ``all_layers`` are the jobs, ``before`` and ``after`` the validation metrics that
    their models have; ``after`` is empty when the job did not complete. ``sentence`` says why.
    ``gain`` is what changed from picture to picture; None where a job did not tell.
    """

    head: str
    all_layers: str
    before: dict[str, float]
    after: dict[str, float]
    kept: bool
    sentence: str
    gain: Gain | None = Field(None, exclude_if=is_nothing)


class Evaluation(Part):
    """The test results that people ask for first; None where nothing was tested."""

    loss: float | None = None
    accuracy: float | None = None
    top5_accuracy: float | None = None
    samples: int | None = None


class VerdictFacts(Part):
    """The verdict's sentence, and the hyperparameters that it would change."""

    sentence: str
    change: dict[str, Value]


class JobFacts(Part):
    """What the training job said of itself; ``seconds`` by the stages of the job."""

    arguments: Json | None = None
    versions: Json | None = None
    device: str | None = None
    seconds: dict[str, float] | None = None
    best_epoch: int | None = None
    epochs_run: int | None = None


class Deployment(Part):
    """An endpoint in service that passed its smoke test."""

    endpoint: str
    endpoint_config: str
    model: str
    expires: str
    smoke_images: int
    smoke_agreement: float


class Prediction(Part):
    """An endpoint's answer to one image, most probable label first."""

    label: str
    probability: float


class Answer(Part):
    """The answer to a test image: its path in the data set, its true label, the file that was sent.

    ``command`` asks the same again.
    """

    image: str
    file: str
    label: str
    predictions: list[Prediction]
    command: str


class DebuggerRefusal(Part):
    """SageMaker's own reason for refusing its Debugger."""

    used: bool
    reason: str


class ImprovementFacts(Part):
    """What the last comparison of `whippet improve` decided; more is in improvement.json."""

    job: str | None
    change: dict[str, Value]
    decision: str
    reason: str
    saved: Json | None
    whole_job: Json | None
