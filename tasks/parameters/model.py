"""What people fill in about the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from sm_entrypoints import contract
from sm_entrypoints.contract.hyperparameters import Trainable
from sm_entrypoints.contract.networks import AUTO, Network, networks_of
from tasks.parameters.form import HIDDEN
from tasks.parameters.resources import Parameters, field_for
from tasks.parameters.typed_path import TypedPath, as_typed

# A list to choose from; what a list cannot say is beside it.
_NETWORKS = {
    "enum": [AUTO, *contract.ARCHITECTURES],
    "description": "A torchvision classifier; auto: the search chooses among several, see "
    "docs/networks.md.",
}
# One of several networks, with the name of its weights or without.
_ONE = rf" *({'|'.join(contract.ARCHITECTURES)})(:\w+)? *"
_AMONG = {
    "type": "string",
    "pattern": f"^({_ONE}(,{_ONE})*,? *| *{AUTO} *)?$",
    "title": "Networks to choose among",
    "description": "Several with commas, such as mobilenet_v2,resnet18, or one with a version of "
    "its weights, such as resnet50:IMAGENET1K_V1. Replaces the network above.",
}


class ModelParameters(Parameters):
    """The network that is fine-tuned and where its weights come from."""

    form_title = "network"
    form_advanced = "Pretrained weights, which layers train, and several networks to choose among."
    form_only: ClassVar[Mapping[str, Any]] = {"among": _AMONG}

    architecture: str = field_for("model.architecture", form=_NETWORKS)
    weights: str = field_for("model.weights", min_length=1)
    weights_typed: TypedPath | None = Field(
        None,
        description="How the path of weights was typed, and where: shown in its place.",
        json_schema_extra={HIDDEN: True},
    )
    trainable: Trainable = field_for("model.trainable")
    image_size: int = field_for("model.image_size", ge=32, le=1024)

    @classmethod
    def read_form(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the fields: the networks to choose ``among`` are the architecture."""
        named = super().read_form(values)
        among = named.get("among")
        others = {name: value for name, value in named.items() if name != "among"}
        return {**others, "architecture": among} if among else others

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str) -> str:
        return ",".join(map(str, networks_of(value))) if value.strip() != AUTO else AUTO

    @model_validator(mode="after")
    def _several_have_weights_of_their_own(self) -> Self:
        if self.networks:
            _require_choice(self.architecture, self.shown_weights, self.trainable)
        return self

    @model_validator(mode="after")
    def _random_backbone_must_train(self) -> Self:
        if self.weights == "none" and self.trainable == "head":
            raise ValueError(
                "weights='none' with trainable='head' freezes a random backbone, which learns "
                "next to nothing: use trainable='all', or weights"
            )
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks to choose among; none where one is named."""
        named = networks_of(self.architecture)
        return named if len(named) > 1 else ()

    @property
    def first(self) -> Network:
        """The network that is named, or the first of several."""
        return networks_of(self.architecture)[0]

    @property
    def shown_weights(self) -> str:
        """The weights as they were typed."""
        return as_typed(self.weights, self.weights_typed)

    @property
    def trained_layers(self) -> Literal["head", "all"]:
        """What trains: ``head`` when there are weights to keep, ``all`` otherwise."""
        auto: Literal["head", "all"] = "all" if self.weights == "none" else "head"
        return auto if self.trainable == "auto" else self.trainable


def _require_choice(asked: str, weights: str, trainable: str) -> None:
    """Check what several networks can have in common.

    Raises:
        ValueError: weights of one's own, or none; or all layers train.
    """
    if weights != "imagenet":
        raise ValueError(
            f"weights={weights!r} cannot be those of several networks ({asked}): name one model, "
            "or use weights='imagenet'"
        )
    if trainable == "all":
        raise ValueError(
            f"model {asked!r} is chosen by what its frozen layers see, but trainable='all' "
            "changes them: use trainable='head', or name one model"
        )
