"""Upload a folder of labelled images, the entry points and the weights to the bucket."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.hooks import FLOW_POLICY
from flows.naming import named
from tasks.data import check_dataset, stage_networks, stage_source, stage_weights, sync_dataset
from tasks.parameters.groups import Data, Model, OfSync, SyncAdvanced
from tasks.parameters.run import DataParameters, ModelParameters
from tasks.requests.inputs import TrainingInputs
from tasks.runs.stages import stage
from tasks.stories.names import data_name


def _story(data: DataParameters, advanced: SyncAdvanced, **_: Any) -> str:
    return f"sync {data_name(advanced.settle('data', data))}"


@flow(name="sync-data", flow_run_name=named(_story), **FLOW_POLICY)
def sync_data(
    data: Data = DataParameters(),
    model: Model = ModelParameters(),
    advanced: OfSync = SyncAdvanced(),
) -> TrainingInputs:
    """Check the data before anything is uploaded; move only what is not there yet."""
    data, model = advanced.settle("data", data), advanced.settle("model", model)
    with stage("sync") as run:
        check = check_dataset(run, data)
        staged = stage_networks(run, model) if model.networks else stage_weights(run, model)
        source_uri, source_digest = stage_source(run)
        synced = sync_dataset(run, data, check)
        return TrainingInputs(
            dataset=synced.dataset,
            data_uri=synced.uri,
            classes=synced.classes,
            train_images=synced.train_images,
            source_uri=source_uri,
            source_digest=source_digest,
            weights_uri=staged.uri,
            weights_source=staged.source,
            networks=staged.networks,
            features_uri=synced.features_uri,
        )
