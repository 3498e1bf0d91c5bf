"""The job that trains all layers of a delivered model, and whether its model is kept.

A linear probe first, then fine-tuning: with a head that knows its classes already, the layers
before it need not unlearn what they know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from platforms import Platform
from platforms.errors import JobFailed, ParameterError
from platforms.sagemaker_requests import TrainingRequest
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import counted, ended
from sm_entrypoints.contract.wire import Value
from tasks.parameters.run import ModelParameters, ResourceParameters, TrainingParameters
from tasks.requests.bodies import training_job_request
from tasks.requests.inputs import TrainingInputs
from tasks.requests.training import job_inputs, require_completed, trained_model
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record_parts import FineTuning, Gain, TrainedModel

# Of the head's learning rate; the layers before it get a tenth of that (`backbone_lr`).
_SHARE_OF_RATE = 0.1
# What is less than so many standard errors may be chance.
_SURE = 2.0
_LOSS, _ACCURACY = contract.OBJECTIVE_METRIC, "valid:accuracy"


def require_head_to_start_from(model: ModelParameters, training: TrainingParameters) -> None:
    """Check that a run that wants fine-tuning trains a head first.

    Raises:
        ParameterError: it trains all layers in any case.
    """
    layers = training.hyperparameters.get("trainable", model.trained_layers)
    if training.fine_tune and layers == "all":
        raise ParameterError(
            "--fine-tune trains all layers after the head, but this run trains all layers from "
            "the start (--trainable all, or no weights): leave one of the two out"
        )


def fine_tuning_inputs(inputs: TrainingInputs, model_data_uri: str) -> TrainingInputs:
    """Return the inputs of the job that starts from the model at ``model_data_uri``."""
    return inputs.model_copy(update={"weights_uri": model_data_uri})


def fine_tuning_hyperparameters(head: Mapping[str, Value]) -> dict[str, Value]:
    """Return the hyperparameters of the job, from those of the training of the ``head``."""
    values = {name: value for name, value in head.items() if name != "backbone_lr"}
    lr = values.get("lr", contract.HYPERPARAMETERS["lr"].default)
    values |= {"trainable": "all", "weights": "channel"}
    if isinstance(lr, int | float):  # a plan only knows whose it will be
        values["lr"] = lr * _SHARE_OF_RATE
    if str(values.get("cache_features", "auto")).lower() == "true":
        values["cache_features"] = "auto"
    return values


def fine_tuning_requests(
    platform: Platform,
    run: RunIdentity,
    *,
    inputs: TrainingInputs,
    hyperparameters: Mapping[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> Callable[[int], TrainingRequest]:
    """Return what gives the request of the job by attempt, from 1.

    ``inputs`` and ``hyperparameters`` are those of :func:`fine_tuning_inputs` and
    :func:`fine_tuning_hyperparameters`.
    """
    checkpoints = f"{run.prefix}-finetune"
    job = job_inputs(platform, run, inputs, resources, checkpoints=checkpoints)
    return lambda attempt: training_job_request(
        resource_name(run, "finetune", attempt), hyperparameters, job, training
    )


def is_fine_tuning(job: Mapping[str, object]) -> bool:
    """Say whether a job, as a request or described, trains all layers of a delivered model."""
    return bool(re.search(r"-finetune(-[0-9]+)?$", str(job.get("TrainingJobName", ""))))


def better_model(
    head: TrainedModel,
    job: TrainingJob,
    gain: Callable[[TrainedModel], Gain | None] = lambda _: None,
) -> tuple[FineTuning, TrainedModel]:
    """Return what a described, ended job brought, and the model to go on with.

    A job that did not complete is no fault of the head's model, which is then kept. ``gain`` says
    what changed from picture to picture with the job's model.
    """
    name, tuned, reason = job["TrainingJobName"], None, ""
    try:
        require_completed(job)
        tuned = trained_model(job)
    except JobFailed as error:
        reason = ended(error)
    found = judge_fine_tuning(head, name, tuned, reason)
    if tuned is not None and (changed := gain(tuned)) is not None:
        sentence = f"{found.sentence} {_gain_sentence(changed)}"
        found = found.model_copy(update={"gain": changed, "sentence": sentence})
    return found, tuned if found.kept and tuned is not None else head


def judge_fine_tuning(
    head: TrainedModel, job: str, all_layers: TrainedModel | None, reason: str = ""
) -> FineTuning:
    """Say whether the model of all layers replaces that of the head.

    It does with a lower validation loss and no lower validation accuracy; both were measured on
    the same pictures. ``reason`` says why there is no such model.
    """
    before = _validation(head)
    if all_layers is None:
        return FineTuning(
            head=head.job,
            all_layers=job,
            before=before,
            after={},
            kept=False,
            sentence=f"Fine-tuning brought no model, so the head's is kept: {reason}",
        )
    after = _validation(all_layers)
    kept = _better(before, after)
    change = ", ".join(
        f"the {what} went from {before[name]:{form}} to {after[name]:{form}}"
        for name, what, form in ((_LOSS, "validation loss", ".4f"), (_ACCURACY, "accuracy", ".1%"))
        if name in before and name in after
    )
    verdict = "the new model is kept" if kept else "the model of the head is kept"
    return FineTuning(
        head=head.job,
        all_layers=job,
        before=before,
        after=after,
        kept=kept,
        sentence=f"Fine-tuning all layers: {change or 'no validation was measured'}; {verdict}.",
    )


def _gain_sentence(gain: Gain) -> str:
    """Say how sure the change is; what is below two standard errors, chance alone may bring."""
    loss, accuracy = gain.loss, gain.accuracy
    unsure = [
        what
        for what, each in (("loss", loss), ("accuracy", accuracy))
        if abs(each.change) < _SURE * each.error
    ]
    told = (
        f"On the same {counted(gain.pictures, 'validation picture')} the loss changed by "
        f"{loss.change:+.4f} ± {loss.error:.4f} and the accuracy by "
        f"{100 * accuracy.change:+.1f} ± {100 * accuracy.error:.1f} points (one standard error)"
    )
    doubt = f": that of the {' and the '.join(unsure)} may be chance" if unsure else ""
    return ended(f"{told}{doubt}")


def _validation(trained: TrainedModel) -> dict[str, float]:
    return {name: value for name, value in trained.metrics.items() if name.startswith("valid:")}


def _better(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    if _LOSS not in before or _LOSS not in after:
        return False
    no_worse = after.get(_ACCURACY, 0.0) >= before.get(_ACCURACY, 0.0)
    return after[_LOSS] < before[_LOSS] and no_worse
