"""What the tasks of data, weights and code leave in the bucket, the record and the UI."""

from __future__ import annotations

import csv
import logging
import re
from pathlib import Path

import obstore
import pytest
from prefect import flow, tags

from flows.hooks import FLOW_POLICY
from platforms import Settings, connect
from platforms.errors import DataError
from tasks.data import check_dataset, stage_source, stage_weights, sync_dataset
from tasks.dataset.document import DataDocument, SplitCounts
from tasks.dataset.identity import name_of_folder
from tasks.dataset.markdown import data_markdown
from tasks.dataset.sameness import require_same_data
from tasks.features.kept import list_kept
from tasks.parameters.run import DataParameters, ModelParameters
from tasks.runs.record import known_run, read_run
from tasks.runs.record_parts import SourceFacts, WeightsFacts
from tasks.runs.stages import RESUME_TAG, stage
from tasks.storage.uris import split_uri
from tests.tasks.artifacts import artifacts
from tests.worlds.features import keep_features
from tests.worlds.pictures import write_data, write_picture

pytestmark = pytest.mark.slow


@flow(**FLOW_POLICY)
def brings(data: DataParameters):
    with stage("sync") as run:
        check = check_dataset(run, data)
        weights = stage_weights(run, ModelParameters(weights="none"))
        source = stage_source(run)
        return check, sync_dataset(run, data, check), weights, source


def test_flat_folders_are_split_which_is_said_and_moved_once(
    prefect_server, whippet_home, tmp_path, caplog, monkeypatch
):
    root = write_data(tmp_path / "Mes «photos»", {"": {"châ": 8, "d'og": 8}})
    with caplog.at_level(logging.INFO):
        check, synced, weights, (uri, digest) = brings.with_options(flow_run_name="a")(
            DataParameters(path=str(root))
        )
    said = [warning.message for warning in check.warnings]
    assert any("There is no valid or test folder" in text for text in said)
    assert "There is no valid or test folder" in caplog.text
    assert "There is no valid or test folder" in str(artifacts("data-check")[0])
    assert "| châ |" in str(artifacts("data-check")[0])
    assert artifacts("data-sync")[0] == 100.0

    known = read_run(Settings(), "a")
    assert known.data.uploaded == 16
    assert known.data.fingerprint == synced.fingerprint
    assert known.seeds == {"split": 0}
    assert (weights.uri, weights.source) == (None, "none: random initial weights")
    assert known.weights == WeightsFacts(source=weights.source, sha256="", uri=None)
    assert known.code == SourceFacts(uri=uri, digest=digest)
    assert synced.dataset == name_of_folder(root)
    assert synced.dataset.startswith("mes-photos-")
    assert synced.classes == ["châ", "d'og"]
    assert synced.train_images == known_images(synced.uri, "train")
    assert known_images(synced.uri, "") == 16 + 1, "the images and the manifest"
    bucket = connect().defaults.bucket
    assert synced.features_uri == f"s3://{bucket}/whippet/features/{synced.dataset}/"
    assert known_images(synced.features_uri.rstrip("/"), "") == 1, "a channel needs an object"
    store = connect().store(bucket)
    keep_features(store, "whippet/features/other/0123456789abcdef")
    monkeypatch.setenv("WHIPPET_FEATURES_GB", "0")

    _, again, _, source = brings.with_options(flow_run_name="b")(
        DataParameters(path=str(root), seed=0)
    )
    assert again == synced
    assert list_kept(store, "whippet/features") == [], "more than the quota"
    assert source == (uri, digest)
    moved = read_run(Settings(), "b").data
    assert (moved.uploaded, moved.skipped, moved.removed) == (0, 16, 0)


def test_a_run_that_goes_on_finds_the_pictures_that_it_began_with(
    prefect_server, whippet_home, tmp_path
):
    root = write_data(tmp_path / "data", {"": {"cat": 8, "dog": 8}})
    run = brings.with_options(flow_run_name="began")
    given = DataParameters(path=str(root))
    _, synced, *_ = run(given)
    with tags(RESUME_TAG):
        assert run(given)[1] == synced

    write_picture(root / "cat" / "000.jpg", 999)
    with tags(RESUME_TAG), pytest.raises(DataError) as refused:
        run(given)
    said = str(refused.value)
    assert "Run 'began' began with different pictures: then 16 pictures of 2 classes" in said
    assert f"(fingerprint {synced.fingerprint[:12]})" in said
    assert "start a new run" in said
    # Nothing was uploaded, so it is still what the bucket holds.
    platform = connect()
    require_same_data(platform, known_run(Settings(), "began"))

    brings.with_options(flow_run_name="next")(given)
    require_same_data(platform, known_run(Settings(), "next"))
    with pytest.raises(DataError, match=r"is not what run 'began' was trained on: that had 16 pic"):
        require_same_data(platform, known_run(Settings(), "began"))


def test_bad_files_are_left_out_and_listed_in_the_runs_folder(
    prefect_server, whippet_home, tmp_path
):
    root = write_data(tmp_path / "data", {"": {"cat": 8, "dog": 8}})
    for number in range(60):
        (root / "cat" / f"bad {number}.jpg").write_bytes(b"<html>")
    run = brings.with_options(flow_run_name="bad")
    with pytest.raises(DataError) as refused:
        run(DataParameters(path=str(root)))
    folder = Settings().runs / "bad"
    assert f"and 40 more; all of them: {folder / 'data-problems.txt'}" in str(refused.value)
    assert len((folder / "data-problems.txt").read_text("utf-8").splitlines()) == 60

    brings.with_options(flow_run_name="good")(DataParameters(path=str(root), skip_bad=True))
    listed = Path(read_run(Settings(), "good").data.left_out_list)
    assert listed.parent == Settings().runs / "good"
    with listed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["path"] for row in rows) == sorted(f"cat/bad {n}.jpg" for n in range(60))
    assert all("HTML" in row["reason"] for row in rows)
    moved = read_run(Settings(), "good").data
    assert (moved.left_out, moved.uploaded, moved.skipped) == (60, 16, 0)


def test_a_prefix_of_a_bucket_is_a_source(prefect_server, whippet_home, tmp_path):
    root, platform = write_data(tmp_path / "pets", {"": {"cat": 8, "dog": 8}}), connect()
    bucket = platform.defaults.bucket
    for path in root.rglob("*.jpg"):
        key = f"mine/pets/{path.relative_to(root)}"
        obstore.put(platform.store(bucket), key, path.read_bytes())
    uri = f"s3://{bucket}/mine/pets"
    _, synced, *_ = brings.with_options(flow_run_name="remote")(DataParameters(path=uri))
    assert re.fullmatch("pets-[0-9a-f]{6}", synced.dataset)
    known = read_run(Settings(), "remote").data
    assert (known.root, known.uploaded) == (uri, 16)


def known_images(uri: str, split: str) -> int:
    bucket, prefix = split_uri(f"{uri.rstrip('/')}/{split}")
    pages = obstore.list(connect().store(bucket), prefix=prefix)
    return sum(len(page) for page in pages)


def test_the_table_of_a_data_set_without_warnings():
    per_class = {"train": {"a": 2, "b": 1}, "test": {"a": 1}}
    found = DataDocument(
        name="x",
        root="/x",
        fingerprint="0123456789abcdef0",
        classes=["a", "b"],
        splits={s: SplitCounts(images=sum(p.values()), per_class=p) for s, p in per_class.items()},
    )
    text = data_markdown(found)
    assert "`0123456789abcdef`" in text
    assert "| b | 1 | 0 |" in text
    assert "| 3 | 1 |" in text
    assert text.rstrip().endswith("No warnings.")
