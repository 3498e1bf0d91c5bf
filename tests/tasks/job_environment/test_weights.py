"""Weights are prepared by real processes of the job environment; small networks, no network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import obstore
import psutil
import pytest
from obstore.store import MemoryStore

from platforms import Settings, connect
from platforms.errors import DataError, SettingsError
from tasks.job_environment import weights as module
from tasks.job_environment.weights import (
    PreparedWeights,
    kept_weights,
    prepare_weights,
    require_same_weights,
    upload_weights,
)
from tasks.runs.record_parts import WeightsFacts
from tests.worlds.job_environment import job_python
from tests.worlds.run_records import run_record
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.job

MODEL = "squeezenet1_1"
NO_PYTHON = Path("/no/such/python")
SAVE = """
import sys, torch, torchvision
torch.manual_seed(0)
model = getattr(torchvision.models, sys.argv[1])(num_classes=1000)
torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, sys.argv[2])
"""


def no_fetch(uri: str, path: Path) -> None:
    raise AssertionError(f"fetched {uri} to {path}")


@pytest.fixture(scope="module", name="job_python")
def _job_python() -> Path:
    return job_python()


@pytest.fixture(scope="module")
def state_dict(job_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("my weights é") / "it's.pth"
    subprocess.run([job_python, "-c", SAVE, MODEL, path], check=True)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / "weights"


@pytest.fixture(scope="module")
def prepared(job_python: Path, state_dict: Path, cache: Path) -> PreparedWeights:
    return prepare_weights(
        str(state_dict), MODEL, job_python=job_python, cache=cache, fetch=no_fetch
    )


@pytest.fixture
def fake_python(tmp_path: Path) -> Path:
    """Give an "interpreter" that stands for the job's; a test appends what it does."""
    path = tmp_path / "fake python"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def some_file(tmp_path: Path) -> Path:
    path = tmp_path / "some.pt"
    path.write_bytes(b"weights")
    return path


def test_none_needs_no_environment(tmp_path: Path) -> None:
    found = prepare_weights(
        "none", MODEL, job_python=NO_PYTHON, cache=tmp_path / "cache", fetch=no_fetch
    )
    assert (found.file, found.sha256) == (None, "")
    assert upload_weights(found, MemoryStore(), "bucket", "prefix") is None
    assert list(tmp_path.iterdir()) == []


def test_state_dict_becomes_safetensors(prepared: PreparedWeights) -> None:
    assert prepared.file is not None
    assert prepared.file.suffix == ".safetensors"
    assert hashlib.sha256(prepared.file.read_bytes()).hexdigest() == prepared.sha256
    header_size = int.from_bytes(prepared.file.read_bytes()[:8], "little")
    names = json.loads(prepared.file.read_bytes()[8 : 8 + header_size]).keys()
    assert "features.0.weight" in names


def test_second_call_runs_nothing(
    prepared: PreparedWeights, state_dict: Path, cache: Path, tmp_path: Path
) -> None:
    # Content counts, not the path; without an interpreter nothing could be run.
    copy = Path(shutil.copy(state_dict, tmp_path / "copy.pth"))
    again = prepare_weights(
        str(copy), MODEL, job_python=NO_PYTHON, cache=cache, fetch=no_fetch, typed="../a copy.pth"
    )
    assert prepared.source == str(state_dict)
    assert again == replace(prepared, source="../a copy.pth")


def test_weights_in_the_bucket_are_fetched(
    prepared: PreparedWeights, state_dict: Path, cache: Path
) -> None:
    uri = "s3://bucket/some/it's.pth"
    fetched: list[str] = []

    def fetch(uri: str, path: Path) -> None:
        fetched.append(uri)
        shutil.copy(state_dict, path)

    found = prepare_weights(uri, MODEL, job_python=NO_PYTHON, cache=cache, fetch=fetch)
    assert fetched == [uri]
    assert (found.file, found.source) == (prepared.file, uri)
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_damaged_cache_is_not_used(
    prepared: PreparedWeights, state_dict: Path, cache: Path, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(cache, tmp_path / "cache"))
    (file,) = damaged.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(SettingsError):
        prepare_weights(str(state_dict), MODEL, job_python=NO_PYTHON, cache=damaged, fetch=no_fetch)


def test_weights_of_another_architecture_name_tensors(
    job_python: Path, state_dict: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as error:
        prepare_weights(
            *(str(state_dict), "resnet18"),
            job_python=job_python,
            cache=tmp_path,
            fetch=no_fetch,
            typed="é/w.pth",
        )
    text = str(error.value)
    assert text.startswith("weights='é/w.pth' cannot be used for model='resnet18': ")
    assert "conv1.weight" in text
    assert "Traceback" not in text
    assert not list(tmp_path.glob("*.safetensors"))


def test_missing_environment_says_how_to_make_it(some_file: Path, tmp_path: Path) -> None:
    for weights in ("imagenet", str(some_file)):
        with pytest.raises(SettingsError, match=r"no '/no/such/python'.*`make job-env`"):
            prepare_weights(
                weights, MODEL, job_python=NO_PYTHON, cache=tmp_path / "c", fetch=no_fetch
            )


def test_missing_file_says_what_can_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no weights file '.*gone\.pt'\. Give weights='imagenet'"):
        prepare_weights(
            str(tmp_path / "gone.pt"),
            MODEL,
            job_python=NO_PYTHON,
            cache=tmp_path / "c",
            fetch=no_fetch,
        )


def test_program_sees_no_secrets_and_has_its_own_session(
    fake_python: Path, some_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with fake_python.open("a") as file:
        file.write(
            "seen = {'env': sorted(os.environ), 'sid': os.getsid(0), 'argv': sys.argv[2:]}\n"
            f"json.dump(seen, open({str(tmp_path / 'seen.json')!r}, 'w'))\n"
            "print('noise')\n"
            "print(json.dumps({'sha256': 'abc', 'source': 'a file', 'notes': ['no head']}))\n"
        )
    found = prepare_weights(
        str(some_file), MODEL, job_python=fake_python, cache=tmp_path / "c", fetch=no_fetch
    )
    assert (found.sha256, found.source, found.notes) == ("abc", str(some_file), ("no head",))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert {"PATH", "PIP_RETRIES"} <= set(seen["env"])
    assert not [name for name in seen["env"] if name.startswith(("AWS_", "PREFECT_"))]
    assert seen["sid"] != os.getsid(0)
    assert seen["argv"] == [
        *("--model", MODEL),
        *("--weights", str(some_file)),
        *("--out", str(found.file)),
        *("--cache", str(tmp_path / "c" / "downloads")),
    ]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit('first\\nno such tensor: fc')", "no such tensor: fc"),
        ("sys.exit(3)", r"pretrained\.py ended with exit code 3"),
        ("print('hello')", r"did not answer with a result but with 'hello\\n'"),
    ],
)
def test_failures_are_told(
    fake_python: Path, some_file: Path, tmp_path: Path, program: str, words: str
) -> None:
    with fake_python.open("a") as file:
        file.write(f"{program}\n")
    with pytest.raises(DataError, match=words):
        prepare_weights(
            str(some_file), MODEL, job_python=fake_python, cache=tmp_path / "c", fetch=no_fetch
        )


def test_hanging_program_is_ended_with_its_children(
    fake_python: Path, some_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    with fake_python.open("a") as file:
        file.write(
            "import subprocess\nchild = subprocess.Popen(['sleep', '300'])\n"
            f"open({str(child) + '.new'!r}, 'w').write(str(child.pid))\n"
            f"os.rename({str(child) + '.new'!r}, {str(child)!r})\ntime.sleep(300)\n"
        )
    for seconds in (1, 4, 16):  # as long as this machine needs to start a program and its child
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", seconds)
        with pytest.raises(DataError, match=f"took more than {seconds} seconds"):
            prepare_weights(
                str(some_file), MODEL, job_python=fake_python, cache=tmp_path / "c", fetch=no_fetch
            )
        if child.exists():
            break
    # The signal is sent when the call returns; the kernel may need a moment more.
    wait_for(lambda: not _running(int(child.read_text())), "end of the child")
    assert not _running(int(child.read_text()))


def _running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_upload_is_by_content_and_done_once(prepared: PreparedWeights) -> None:
    store = MemoryStore()
    uri = upload_weights(prepared, store, "bucket", "pre/fix")
    folder = f"pre/fix/weights/{prepared.sha256[:16]}"
    assert uri == f"s3://bucket/{folder}/"
    key = f"{folder}/weights.safetensors"
    first = obstore.head(store, key)
    assert upload_weights(prepared, store, "bucket", "pre/fix") == uri
    assert obstore.head(store, key)["e_tag"] == first["e_tag"]
    assert prepared.file is not None
    assert bytes(obstore.get(store, key).bytes()) == prepared.file.read_bytes()


def test_a_resumed_run_keeps_the_weights_that_it_began_with(tmp_path: Path) -> None:
    """Other bytes of the same tensors would be another request, and its jobs would be lost."""
    platform = connect(Settings(home=tmp_path))
    (tmp_path / "old").write_bytes(b"older bytes")
    old = PreparedWeights(
        file=tmp_path / "old", sha256="0" * 64, source="torchvision IMAGENET1K_V1"
    )
    store = platform.store(platform.defaults.bucket)
    uri = upload_weights(old, store, platform.defaults.bucket, "p")
    assert uri is not None
    earlier = WeightsFacts(source=old.source, uri=uri)
    assert kept_weights(platform, earlier, old) == uri
    assert kept_weights(platform, earlier, replace(old, source="torchvision V2")) is None
    assert kept_weights(platform, None, old) is None
    gone = WeightsFacts(source=old.source, uri=f"{uri}gone/")
    assert kept_weights(platform, gone, old) is None


def test_a_resumed_run_is_not_continued_with_other_weights(tmp_path: Path) -> None:
    now = PreparedWeights(file=tmp_path / "new", sha256="1" * 64, source="mine.pt")
    facts = {"source": "mine.pt", "sha256": "0" * 64, "uri": "s3://b/w/"}
    began = run_record("pets", weights=facts, jobs={"tuning": "pets-tune"})
    with pytest.raises(DataError, match=r"Run 'pets' began with other weights: then mine\.pt"):
        require_same_weights(began, now)
    require_same_weights(began, replace(now, sha256="0" * 64))
    require_same_weights(run_record("pets", weights=facts), now)  # no job has seen them
    require_same_weights(run_record("pets", jobs={"tuning": "pets-tune"}), now)
    noted = {"source": "mine.pt", "uri": "s3://b/w/"}  # as earlier versions did
    require_same_weights(run_record("pets", weights=noted, jobs={"tuning": "t"}), now)
