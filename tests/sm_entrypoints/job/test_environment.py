from __future__ import annotations

from pathlib import Path

import pytest

from sm_entrypoints.contract import CHECKPOINTS_BY_JOB
from sm_entrypoints.job.environment import Environment, EnvironmentProblem


def test_an_empty_environment_is_the_containers() -> None:
    assert Environment.from_variables({}) == Environment()
    assert Environment().failure_file == Path("/opt/ml/output/failure")


def test_the_contract_is_read() -> None:
    environment = Environment.from_variables(
        {
            "SM_CHANNEL_TRAIN": "/data/été",
            "SM_CHANNEL_VALID": "/data/b",
            "SM_MODEL_DIR": "/job/model",
            "SM_OUTPUT_DATA_DIR": "/job/output/data",
            "SM_INPUT_CONFIG_DIR": "/job/input/config",
            "SM_HOSTS": '["algo-1", "algo-2"]',
            "SM_CURRENT_HOST": "algo-2",
            "SM_NUM_GPUS": "4",
            "TRAINING_JOB_NAME": "pets-1",
            "RANK": "1",
            "WORLD_SIZE": "2",
            "LOCAL_RANK": "1",
        }
    )
    assert environment.channels == {"train": Path("/data/été"), "valid": Path("/data/b")}
    assert environment.checkpoint_dir == Path("/job/checkpoints")
    assert environment.failure_file == Path("/job/output/failure")
    assert environment.hosts == ("algo-1", "algo-2")
    assert environment.job_name == "pets-1"
    assert not environment.is_leader


def test_trials_that_share_a_checkpoint_location_keep_to_themselves() -> None:
    shared = {"SM_CHECKPOINT_DIR": "/shared", "TRAINING_JOB_NAME": "tune-002"}
    assert Environment.from_variables(shared).own_checkpoint_dir == Path("/shared")
    apart = Environment.from_variables({**shared, CHECKPOINTS_BY_JOB: "1"})
    assert apart.own_checkpoint_dir == Path("/shared/tune-002")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SM_HOSTS": "algo-1"}, "SM_HOSTS='algo-1'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2 is not below WORLD_SIZE=2"),
    ],
)
def test_a_malformed_variable_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(EnvironmentProblem, match=said):
        Environment.from_variables(variables)


def test_a_local_path_of_ones_own_stands_in_the_config_file(tmp_path: Path) -> None:
    read = {"SM_MODEL_DIR": "/m/model", "SM_INPUT_CONFIG_DIR": str(tmp_path)}
    assert Environment.from_variables(read).checkpoint_dir == Path("/m/checkpoints")
    (tmp_path / "checkpointconfig.json").write_text('{"S3Uri": "s3://b", "LocalPath": "/m/mine"}')
    assert Environment.from_variables(read).checkpoint_dir == Path("/m/mine")
    (tmp_path / "checkpointconfig.json").write_text('{"S3Uri": "s3://b"}')
    assert Environment.from_variables(read).checkpoint_dir == Path("/m/checkpoints")
