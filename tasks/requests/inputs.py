"""Where jobs find their data, code and weights."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TrainingInputs(BaseModel):
    """Where jobs find data, code and weights, and what identifies them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    data_uri: str
    classes: list[str]
    train_images: int
    source_uri: str
    source_digest: str
    weights_uri: str | None
    weights_source: str
    # By the name of each network to choose among: where its weights alone lie.
    networks: dict[str, str] = {}
    # What backbones made of this data set before; None: jobs compute it.
    features_uri: str | None = None

    def of_network(self, name: str | None) -> TrainingInputs:
        """Return the inputs of a job that trains one of the networks; None: they are that already.

        Raises:
            KeyError: it is not one of them.
        """
        if name is None:
            return self
        return self.model_copy(update={"weights_uri": self.networks[name], "networks": {}})


class SyncedData(BaseModel):
    """A data set in the bucket."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    uri: str
    features_uri: str
    fingerprint: str
    classes: list[str]
    train_images: int
