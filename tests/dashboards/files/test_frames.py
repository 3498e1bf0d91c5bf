import json

import pandas as pd
import pytest

from dashboards.files.frames import empty_training_output, read_training_output
from sm_entrypoints import contract
from tests.worlds.sample_output import CLASSES, EPOCHS, write_output


def test_reads_every_file_of_the_contract(output):
    assert output.metrics["split"].value_counts().to_dict() == {
        "train": EPOCHS,
        "valid": EPOCHS,
        "test": 1,
    }
    assert output.metrics["loss"].dtype == "float64"
    assert output.evaluation["classes"] == list(CLASSES)
    assert len(output.predictions) == 400
    assert set(output.predictions["label"]) == set(CLASSES)
    assert set(output.predictions["correct"]) == {0.0, 1.0}
    assert len(output.mistakes) == 20
    assert list(output.steps.columns) == list(contract.STEP_COLUMNS)
    assert output.system["timestamp"].is_monotonic_increasing
    assert set(output.reductions["collection"]) >= {"losses", "gradients", "weights"}
    assert output.training["best_epoch"] == 10


def test_a_class_that_looks_like_a_number_or_nothing_stays_a_name(tmp_path):
    folder = write_output(tmp_path / "o", classes=("001", "NA", "null"), steps=6, layers=1)
    predictions = read_training_output(folder).predictions
    assert set(predictions["label"]) == {"001", "NA", "null"}


def test_an_empty_folder_gives_empty_frames_with_their_columns(tmp_path):
    found, expected = read_training_output(tmp_path), empty_training_output()
    for name in ("metrics", "predictions", "steps", "system", "reductions"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).empty
        assert len(getattr(found, name).columns) > 3
    assert found.evaluation is None
    assert found.mistakes == []
    assert (found.summary, found.training) == ({}, {})


def test_the_system_folder_may_lie_elsewhere(output_folder, tmp_path):
    elsewhere = output_folder / contract.SYSTEM_FOLDER
    assert not read_training_output(tmp_path, elsewhere).system.empty


def test_half_a_last_line_of_a_killed_job_is_dropped(tmp_path):
    whole = '{"epoch": 1, "split": "train", "loss": 0.5}\n'
    (tmp_path / contract.METRICS_FILE).write_text(whole + '{"epoch": 2, "spl')
    assert read_training_output(tmp_path).metrics["epoch"].tolist() == [1.0]


def test_a_last_line_without_newline_counts_when_it_is_whole(tmp_path):
    line = '{"epoch": 1, "split": "train", "loss": NaN}'
    (tmp_path / contract.METRICS_FILE).write_text(line)
    assert read_training_output(tmp_path).metrics["loss"].isna().tolist() == [True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (contract.METRICS_FILE, '{"epoch": 1, "split": "train"}\n{oops\n', "line 2: not JSON"),
        (contract.METRICS_FILE, "\n", "line 1: not JSON"),
        (contract.METRICS_FILE, "[1]\n", "line 1: must be a JSON object"),
        (contract.METRICS_FILE, '{"epoch": 1, "split": "dev"}\n', "line 1: split must be"),
        (contract.METRICS_FILE, '{"epoch": 0, "split": "test"}\n', "line 1: epoch must be"),
        (
            contract.METRICS_FILE,
            '{"epoch": 1, "split": "test"}\n{"epoch": 2, "split": "test", "loss": "low"}\n',
            "line 2: 'loss' must be a number, but got 'low'",
        ),
        (contract.METRICS_FILE, b"\xff\xfe\n", "not UTF-8"),
        (contract.PREDICTIONS_FILE, "path,label\na,b\n", "line 1: columns"),
        (
            contract.PREDICTIONS_FILE,
            "path,label,predicted,probability,label_probability,loss,correct\n"
            "a,b,c,0.1,0.1,0.2,True\na,b,c,many,0.1,0.2,True\n",
            "line 3: 'probability' must be a number, but got 'many'",
        ),
        (contract.EVALUATION_FILE, "{", "not JSON"),
        (contract.EVALUATION_FILE, "[]", "must be a JSON object"),
        (contract.EVALUATION_FILE, "{}", "'classes' and 'confusion'"),
        (
            contract.EVALUATION_FILE,
            '{"classes": ["a", "b"], "confusion": [[1, 2]]}',
            "2 rows of 2 counts",
        ),
        (contract.TRAINING_SUMMARY_FILE, "3", "must be a JSON object"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as raised:
        read_training_output(tmp_path)
    assert str(file) in str(raised.value)


def test_steps_of_the_contract_round_trip(tmp_path):
    folder = tmp_path / contract.INSTRUMENTATION_FOLDER
    folder.mkdir()
    row = dict(
        zip(contract.STEP_COLUMNS, (7, 1, "TRAIN", 1.5e9, 1, 2, 3, 4, 5, 32, "tail"), strict=True)
    )
    pd.DataFrame([row]).to_csv(folder / contract.STEPS_FILE, index=False)
    (folder / contract.INSTRUMENTATION_SUMMARY_FILE).write_text(json.dumps({"stride": 4}))
    found = read_training_output(tmp_path)
    assert found.steps.iloc[0].to_dict() == row
    del row["network"]  # as earlier versions wrote it
    pd.DataFrame([row]).to_csv(folder / contract.STEPS_FILE, index=False)
    earlier = read_training_output(tmp_path)
    assert earlier.steps.iloc[0].to_dict() == {**row, "network": "whole"}
    assert found.summary == {"stride": 4}
