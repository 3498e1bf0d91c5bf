"""Runs of earlier versions noted another fingerprint: they still go on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from platforms import Settings, connect
from platforms.errors import DataError
from platforms.files import write_json
from tasks.dataset.checking.check import check_data
from tasks.dataset.identity import fingerprint_of_channels, fingerprint_over_paths
from tasks.dataset.sameness import require_same_data, require_same_pictures
from tasks.dataset.syncing.sync import sync_data
from tasks.improve.plan import ImprovementPlan
from tasks.improvement import launch_comparison_job
from tasks.parameters.run import (
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.requests.inputs import TrainingInputs
from tasks.runs.names import RunIdentity
from tasks.runs.record import run_folder
from tasks.runs.record_model import RunRecord
from tasks.training import launch_fine_tuning, launch_training_job
from tasks.tuning import launch_tuning_job
from tests.worlds.pictures import write_data, write_picture
from tests.worlds.run_records import record_values, run_record

RUN = RunIdentity(name="old run", token="abc123", flow_run_id="x")
RESOURCES = ResourceParameters()
COUNTS = {split: {"a": 3, "b": 3} for split in ("train", "valid", "test")}


def old_record(check: Any, uri: str) -> dict[str, Any]:
    rows = [(file.split, file.label, file.path, file.sha256) for file in check.files]
    data = {"uri": uri, "dataset": "data", "fingerprint": fingerprint_over_paths(rows)}
    return {"name": RUN.name, "token": RUN.token, "flow_run_id": "x", "data": data}


def test_a_run_of_an_earlier_version_goes_on_with_its_pictures(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", COUNTS)
    before = check_data(root)
    record = RunRecord.model_validate(old_record(before, "s3://b/whippet/datasets/data"))
    require_same_pictures(tmp_path, record, before.files, before.fingerprint)
    write_picture(root / "train" / "a" / "000.jpg", 99)
    after = check_data(root)
    with pytest.raises(DataError, match="began with different pictures"):
        require_same_pictures(tmp_path, record, after.files, after.fingerprint)


def test_what_was_not_brought_yet_may_change(tmp_path: Path) -> None:
    check = check_data(write_data(tmp_path / "data", COUNTS))
    record = run_record(data={"fingerprint": "0" * 64, "scheme": 2})
    require_same_pictures(tmp_path, record, check.files, check.fingerprint)
    require_same_pictures(tmp_path, run_record(), check.files, check.fingerprint)


def test_the_bucket_is_compared_with_what_an_earlier_versions_job_noted(
    whippet_home: Path, tmp_path: Path
) -> None:
    platform, settings = connect(), Settings()
    root, bucket = write_data(tmp_path / "data", COUNTS), platform.defaults.bucket
    check = check_data(root)
    sync_data(check, platform.store(bucket), "whippet/datasets/data")
    folder = run_folder(settings, RUN.name)
    write_json(folder / "run.json", old_record(check, f"s3://{bucket}/whippet/datasets/data"))
    require_same_data(platform, RUN)
    noted = fingerprint_of_channels({file.key: file.size for file in check.files})
    write_json(folder / "training" / "training.json", {"fingerprints": {"data": noted}})
    require_same_data(platform, RUN)
    write_picture(root / "test" / "b" / "000.jpg", 77, (99, 99))
    sync_data(check_data(root), platform.store(bucket), "whippet/datasets/data")
    with pytest.raises(DataError, match=r"is not what run 'old run' was trained on.*from .*data"):
        require_same_data(platform, RUN)


def test_nothing_is_launched_over_other_pictures(whippet_home: Path, tmp_path: Path) -> None:
    platform, settings = connect(), Settings()
    root, bucket = write_data(tmp_path / "data", COUNTS), platform.defaults.bucket
    sync_data(check_data(root), platform.store(bucket), "whippet/datasets/data")
    uri = f"s3://{bucket}/whippet/datasets/data"
    data = {"uri": uri, "fingerprint": "0" * 64, "scheme": 2}
    record = record_values(RUN.name, data=data)
    write_json(run_folder(settings, RUN.name) / "run.json", record)
    inputs = TrainingInputs(
        dataset="data",
        data_uri=uri,
        classes=["a", "b"],
        train_images=6,
        source_uri="s3://b/code.tar.gz",
        source_digest="0" * 64,
        weights_uri=None,
        weights_source="none",
    )
    model = ModelParameters(weights="none")
    plan = ImprovementPlan(
        **asdict(RUN),
        training_job="old-run-abc123-train",
        change={"cache_features": True},
        sentence="",
        expected_gain={},
        measure="speed",
        seconds=10,
        pairs=6,
        epochs_run=None,
        cached_features=None,
    )
    launches = (
        lambda: launch_comparison_job.fn(plan),
        lambda: launch_tuning_job.fn(RUN, inputs, model, TuningParameters(), RESOURCES),
        lambda: launch_training_job.fn(RUN, inputs, {}, TrainingParameters(), RESOURCES),
        lambda: launch_fine_tuning.fn(RUN, inputs, {}, TrainingParameters(), RESOURCES),
    )
    for launch in launches:
        with pytest.raises(DataError, match="is not what run 'old run' was trained on"):
            launch()
    assert platform.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
