"""Bring the weights of several networks to the bucket, for a search that chooses among them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.errors import DataError
from sm_entrypoints.contract.networks import Network
from sm_entrypoints.contract.sentences import clause, ended, joined
from tasks.job_environment.weights import PreparedWeights, upload_weights
from tasks.storage.objects import put_once

# What pretrained.py says of a machine that reaches no weights.
_OFFLINE = "cannot be downloaded"
# A choice has at least so many.
_LEAST = 2

Tell = Callable[[str], None]
Prepare = Callable[[str], PreparedWeights]


class StagedWeights(BaseModel):
    """Where weights are in the bucket; of several networks, also each alone, by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str | None
    source: str
    networks: dict[str, str] = {}
    left_out: dict[str, str] = {}


def bring_networks(
    platform: Platform, names: Sequence[str], *, prepare: Prepare, skip: bool, tell: Tell
) -> StagedWeights:
    """Prepare the weights of each network and put them into the bucket, once each.

    Args:
        platform: of the bucket.
        names: of the networks.
        prepare: gives the weights of one, or raises DataError.
        skip: whether to leave out those that no weights can be had for.
        tell: gets a sentence for each that is left out.

    Raises:
        DataError: there are no weights for one of them, or, of those not left out, for two.
    """
    prepared, left_out = dict[str, PreparedWeights](), dict[str, str]()
    for place, name in enumerate(names):
        try:
            prepared[name] = prepare(name)
        except DataError as error:
            if not skip:
                raise
            # What needs no download comes first, and each try without a network takes seconds.
            lost = names[place:] if _OFFLINE in str(error) else [name]
            left_out |= dict.fromkeys(lost, clause(error))
            tell(f"model=auto leaves out {', '.join(lost)}: {ended(error)}")
            if len(lost) > 1:
                break
    if len(prepared) < _LEAST:
        why = next(iter(left_out.values()), "")
        raise DataError(
            joined(
                "there is nothing to choose among, name one model: weights can be had for "
                f"{', '.join(prepared) or 'no network'} only",
                why,
            )
        )
    bucket, prefix = platform.defaults.bucket, platform.settings.prefix
    store = platform.store(bucket)
    alone = {name: upload_weights(each, store, bucket, prefix) for name, each in prepared.items()}
    together = f"{prefix}/weights/networks-{_digest(prepared)}"
    for name, each in prepared.items():
        if each.file is not None:
            put_once(store, f"{together}/{Network.parse(name).weights_file}", each.file)
    return StagedWeights(
        uri=f"s3://{bucket}/{together}/",
        source="; ".join(f"{name}: {each.source}" for name, each in prepared.items()),
        networks={name: uri for name, uri in alone.items() if uri is not None},
        left_out=left_out,
    )


def _digest(prepared: Mapping[str, PreparedWeights]) -> str:
    text = "\n".join(f"{name} {each.sha256}" for name, each in sorted(prepared.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
