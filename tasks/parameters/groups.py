"""What the flows take: groups of parameters, as a form shows them.

A form shows each group with its title and its common fields filled in. The uncommon fields of all
groups are together at its end, in ``advanced``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    ConfigDict,
    GetJsonSchemaHandler,
    JsonValue,
    RootModel,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from platforms.errors import ParameterError, without_pydantics_words
from sm_entrypoints.contract.sentences import did_you_mean, joined, nearest
from tasks.parameters.deployment import CostParameters
from tasks.parameters.form import advanced_form, defaults_of, group
from tasks.parameters.improvement import ImprovementParameters
from tasks.parameters.run import (
    RUN_PARAMETERS,
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    Parameters,
    QueryParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.parameters.upkeep import CleanUpParameters, RecoverParameters

P = TypeVar("P", bound=Parameters)


class Advanced(RootModel[dict[str, dict[str, JsonValue]]]):
    """Values by group and field; those that a form had filled in, and nobody changed, are left out.

    A subclass says which groups it has, by the names of the flow's parameters.
    """

    model_config = ConfigDict(frozen=True)

    groups: ClassVar[Mapping[str, type[Parameters]]] = {}
    root: dict[str, dict[str, JsonValue]] = {}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return what a form shows filled in."""
        return {name: defaults_of(model, advanced=True) for name, model in cls.groups.items()}

    @model_validator(mode="before")
    @classmethod
    def _changes(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        changes = {name: cls._changes_of(name, values) for name, values in value.items()}
        return {name: values for name, values in changes.items() if values != {}}

    @classmethod
    def _changes_of(cls, name: str, values: object) -> object:
        model = cls.groups.get(name)
        if model is None:
            meant = (
                did_you_mean(nearest(str(name), cls.groups)) or f"use {joined(cls.groups, 'or')}"
            )
            raise ValueError(f"there is no group {name!r}: {meant}")
        if not isinstance(values, Mapping):
            return values
        usual = defaults_of(model, advanced=True)
        changed = {n: v for n, v in values.items() if v is not None and usual.get(n) != v}
        return model.read_form(changed)

    def settle(self, name: str, values: P) -> P:
        """Return a group with what was changed here.

        Raises:
            ParameterError: a value is wrong, or does not go with the others; names its field.
        """
        changed = self.root.get(name)
        if not changed:
            return values
        twice = [each for each in changed if each in values.model_fields_set]
        both = [each for each in twice if values.model_dump(mode="json")[each] != changed[each]]
        if both and both != ["architecture"]:  # that of a list, in which several are no choice
            raise ParameterError(f"{name}.{both[0]} is given twice, also in advanced: keep one")
        try:
            given = values.model_dump(mode="json", exclude_unset=True)
            return type(values).model_validate({**given, **changed})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, ("advanced", name, *first["loc"])))
            raise ParameterError(f"{where}: {without_pydantics_words(first['msg'])}") from error

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        schema["properties"] = {
            name: _group_schema(model, at) for at, (name, model) in enumerate(cls.groups.items())
        }
        schema["additionalProperties"] = False
        return schema


def _group_schema(model: type[Parameters], position: int) -> dict[str, Any]:
    fields = advanced_form(model)
    for name, described in model.form_only.items():
        fields[name] = {**described, "position": len(fields)}
    return {
        "type": "object",
        "title": f"Advanced: {model.form_title}",
        "description": model.form_advanced,
        "properties": fields,
        "additionalProperties": False,
        "position": position,
    }


def _some(*names: str) -> Mapping[str, type[Parameters]]:
    return {name: RUN_PARAMETERS[name] for name in names}


def _shown(model: type[Parameters], title: str, text: str) -> Any:
    """Return a group's annotation, whose common fields are filled in."""
    return group(title, text, defaults_of(model, advanced=False))


Data = Annotated[DataParameters, _shown(DataParameters, "Data", "The labelled images.")]
Model = Annotated[
    ModelParameters, _shown(ModelParameters, "Network", "What is trained, and from which weights.")
]
Tuning = Annotated[
    TuningParameters, _shown(TuningParameters, "Search", "The search for hyperparameters.")
]
Training = Annotated[
    TrainingParameters,
    _shown(TrainingParameters, "Final training", "On the best hyperparameters, watched."),
]
Endpoint = Annotated[
    DeploymentParameters, _shown(DeploymentParameters, "Endpoint", "Where the model answers.")
]
Cost = Annotated[CostParameters, _shown(CostParameters, "Cost", "What the endpoint may cost.")]
Resources = Annotated[
    ResourceParameters,
    _shown(ResourceParameters, "Instances and cost", "What jobs run on, and their limits."),
]
Query = Annotated[QueryParameters, group("Question", "Which endpoint to ask, about which image.")]
_GONE = "Endpoints whose time has passed, and what no run needs."
CleanUp = Annotated[CleanUpParameters, _shown(CleanUpParameters, "What to remove", _GONE)]
Recover = Annotated[
    RecoverParameters,
    _shown(RecoverParameters, "What to recover", "Interrupted runs of deployments."),
]
ImprovementGroup = Annotated[
    ImprovementParameters,
    _shown(ImprovementParameters, "Improvement", "Which run to improve, and how."),
]


class ReleaseAdvanced(Advanced):
    """Of a whole run."""

    groups = RUN_PARAMETERS


class SyncAdvanced(Advanced):
    """Of a sync."""

    groups = _some("data", "model")


class TrainAdvanced(Advanced):
    """Of a training without a search."""

    groups = _some("data", "model", "training", "resources")


class TuneAdvanced(Advanced):
    """Of a search."""

    groups = _some("data", "model", "tuning", "resources")


class DeployAdvanced(Advanced):
    """Of an endpoint."""

    groups = _some("deployment")


_ADVANCED = "What most runs leave as it is."
OfRelease = Annotated[ReleaseAdvanced, group("Advanced", _ADVANCED, ReleaseAdvanced.defaults())]
OfSync = Annotated[SyncAdvanced, group("Advanced", _ADVANCED, SyncAdvanced.defaults())]
OfTraining = Annotated[TrainAdvanced, group("Advanced", _ADVANCED, TrainAdvanced.defaults())]
OfTuning = Annotated[TuneAdvanced, group("Advanced", _ADVANCED, TuneAdvanced.defaults())]
OfDeployment = Annotated[DeployAdvanced, group("Advanced", _ADVANCED, DeployAdvanced.defaults())]
