"""Networks to choose among: how they are named, whose weights they have, what a choice tells.

A network is an architecture of torchvision, with its default weights, or with those of an older
generation: ``resnet50:IMAGENET1K_V1``. Frozen features of the older one are sometimes better.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from sm_entrypoints.contract.names import require_architecture
from sm_entrypoints.contract.sentences import did_you_mean, nearest

NETWORKS_FILE = "networks.json"
NETWORKS_VERSION = 1
MOST_NETWORKS = 24
AUTO = "auto"

# The rule that picks, of the networks that were shown all pictures that a choice needs.
RULE = (
    "The network with the best validation accuracy wins; among those within one standard error "
    "of it, the one that takes the fewest milliseconds for a picture."
)

_BOTH_GENERATIONS = """
efficientnet_b1 mobilenet_v2 mobilenet_v3_large
regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf
regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf
resnet101 resnet152 resnet50 resnext101_32x8d resnext50_32x4d wide_resnet101_2 wide_resnet50_2
"""
_ONLY_SWAG = ("regnet_y_128gf", "vit_h_14")
_SWAG = "regnet_y_128gf regnet_y_16gf regnet_y_32gf vit_b_16 vit_h_14 vit_l_16"
FIRST_GENERATION, SECOND_GENERATION = "IMAGENET1K_V1", "IMAGENET1K_V2"
SWAG_WEIGHTS = ("IMAGENET1K_SWAG_E2E_V1", "IMAGENET1K_SWAG_LINEAR_V1")
NON_COMMERCIAL = "CC-BY-NC 4.0"
# What ``auto`` tries: networks whose accuracy is worth their milliseconds, both generations, and
# the small one of which a package ships the weights.
AUTO_NETWORKS = (
    "squeezenet1_1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "regnet_y_800mf",
    "resnet18",
    "regnet_y_3_2gf",
    "resnet50",
    "convnext_tiny",
    "mobilenet_v2:IMAGENET1K_V1",
    "mobilenet_v3_large:IMAGENET1K_V1",
    "regnet_y_800mf:IMAGENET1K_V1",
    "regnet_y_3_2gf:IMAGENET1K_V1",
    "resnet50:IMAGENET1K_V1",
)


def weights_names(architecture: str) -> tuple[str, ...]:
    """Return the names of torchvision's weights of an architecture that may be asked for."""
    names = [] if architecture in _ONLY_SWAG else [FIRST_GENERATION]
    names += [SECOND_GENERATION] if architecture in _BOTH_GENERATIONS.split() else []
    return (*names, *(SWAG_WEIGHTS if architecture in _SWAG.split() else ()))


@dataclass(frozen=True, slots=True, order=True)
class Network:
    """An architecture and the name of its weights; without one they are torchvision's default."""

    architecture: str
    weights: str = ""

    @classmethod
    def parse(cls, text: str) -> Network:
        """Read ``ARCHITECTURE`` or ``ARCHITECTURE:WEIGHTS``.

        Raises:
            ValueError: one of the two is unknown; the message names the nearest ones.
        """
        architecture, colon, weights = text.strip().partition(":")
        require_architecture(architecture)
        known = weights_names(architecture)
        if colon and weights not in known:
            hint = did_you_mean(nearest(weights, known), str)
            names = f"{hint} Known" if hint else "known"
            raise ValueError(
                f"unknown weights {weights!r} of model {architecture!r}: {names}: "
                f"{', '.join(known)}"
            )
        return cls(architecture, weights)

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads."""
        return f"{self.architecture}:{self.weights}" if self.weights else self.architecture

    @property
    def weights_file(self) -> str:
        """The name of its file in the weights channel of a search among several."""
        name = f"{self.architecture}-{self.weights}" if self.weights else self.architecture
        return f"{name}.safetensors"

    @property
    def licence(self) -> str:
        """The licence that restricts what its weights may be used for; empty for none."""
        only_swag = self.architecture in _ONLY_SWAG and not self.weights
        return NON_COMMERCIAL if only_swag or self.weights in SWAG_WEIGHTS else ""


def read_networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Read the networks of a choice.

    Raises:
        ValueError: one is unknown or there twice, or they are too many.
    """
    networks = tuple(map(Network.parse, names))
    twice = sorted({str(each) for each in networks if networks.count(each) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice: name each network once")
    if len(networks) > MOST_NETWORKS:
        raise ValueError(
            f"{len(networks)} networks are too many to choose among: name {MOST_NETWORKS} at most"
        )
    return networks


def networks_of(text: str) -> tuple[Network, ...]:
    """Read what a user asked for: one network, several with commas between them, or ``auto``.

    Raises:
        ValueError: as :func:`read_networks`.
    """
    if text.strip() == AUTO:
        return read_networks(AUTO_NETWORKS)
    return read_networks([name for name in text.split(",") if name.strip()] or [text])


class NetworkRow(TypedDict):
    """What a choice found out about a network; None where it did not come so far.

    Accuracy and loss are those of the best of a few heads, on ``valid_pictures`` of validation,
    after learning from ``train_pictures``: ``share`` of all. ``accuracy_error`` is the standard
    error by the binomial law, ``loss_error`` that of a mean. ``behind`` is by how much its
    accuracy is below the best one's on the same pictures, ``behind_error`` the standard error of
    that. ``feature_seconds`` are for one picture, decoding hidden, ``milliseconds`` for one
    picture alone, as an endpoint gets it, on the machine of the search. ``dropped`` says why it
    went no further.
    """

    network: str
    architecture: str
    source: str
    licence: str
    parameters: int | None
    megabytes: float | None
    gigaflops: float | None
    milliseconds: float | None
    feature_seconds: float | None
    share: float
    train_pictures: int
    valid_pictures: int
    accuracy: float | None
    accuracy_error: float | None
    loss: float | None
    loss_error: float | None
    behind: float | None
    behind_error: float | None
    dropped: str


class ChoiceCost(TypedDict):
    """What a choice took, beside showing every picture to every network.

    ``pictures`` were shown, of ``all_pictures``; the ratios weigh them by the operations, and by
    the seconds, that each network takes for one. ``computed`` had no features kept from before.
    """

    pictures: int
    all_pictures: int
    computed: int
    flops_ratio: float | None
    seconds_ratio: float | None
    seconds: float


class NetworksDocument(TypedDict):
    """``networks.json``: a choice among networks, the winner first, then by how far they came."""

    version: int
    rule: str
    winner: str
    heads: int
    networks: list[NetworkRow]
    cost: ChoiceCost
