"""Mistakes at the command line: one message each, before anything is made, started or paid.

More of them, without folders of their own, are in test_main.py.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from obstore.store import LocalStore

from cli.main import main
from platforms import Settings, connect
from tasks.dataset.checking.check import check_data
from tasks.dataset.syncing.sync import sync_data
from tasks.storage.objects import StoreFailed
from tests.cli.command import NO_SERVER, Answer, Command, command_of
from tests.punctuation import doubled
from tests.worlds.local.jobs import local_jobs
from tests.worlds.pictures import write_data
from tests.worlds.pipeline import Whippet

pytestmark = pytest.mark.slow

NOBODY = 65534
FULL = {"train": {"cat": 3, "dög": 3}, "valid": {"cat": 1, "dög": 1}, "test": {"cat": 1, "dög": 1}}


@pytest.fixture
def whippet(monkeypatch, capsys) -> Command:
    """The command over a home where nothing is yet."""
    return command_of(monkeypatch, capsys)


def refused(found: Answer, *parts: str) -> str:
    """Check that a command ended with one message that has all the parts; return it."""
    assert found.returncode == 1, found
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    said, _, message = found.stderr.partition("whippet: error: ")
    assert message, found.stderr
    assert "error" not in said.lower()
    assert doubled(found.stderr) == []
    for part in parts:
        assert part in message, (part, message)
    return message


def nothing(root: Path) -> None: ...


def a_file(root: Path) -> None:
    root.write_text("not a folder")


def empty(root: Path) -> None:
    root.mkdir()


def an_empty_class(root: Path) -> None:
    write_data(root, {"": {"cat": 3, "dög": 3}})
    (root / "eel").mkdir()


def loose_files(root: Path) -> None:
    write_data(root, {"": {"": 3}})


def of_counts(counts: dict[str, dict[str, int]]) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        write_data(root, counts)

    return write


@pytest.mark.parametrize(
    ("write", "parts"),
    [
        (nothing, ["it's my dâta", "cannot be read", "Check the path"]),
        (a_file, ["it's my dâta", "is a file, not a folder"]),
        (empty, ["it's my dâta", "no class folders", "train/<class>/<file>"]),
        (loose_files, ["no class folders"]),
        (an_empty_class, ["'eel' has no JPEG or PNG image", "remove the folder"]),
        (of_counts({"": {"cat": 3}}), ["at least two classes", "'cat'"]),
        (of_counts({"train": {"cat": 3}}), ["at least two classes", "'cat'"]),
        (of_counts({"": {"cat": 2, "dög": 9}}), ["'cat' has 2 images, but 3 are needed"]),
        (of_counts({"valid": FULL["valid"], "test": FULL["test"]}), ["no 'train' folder"]),
        (of_counts({**FULL, "test": {"cat": 1}}), ["of train are missing in test: 'dög'"]),
        (of_counts({**FULL, "valid": {"eel": 1}}), ["of valid are missing in train: 'eel'"]),
    ],
)
def test_a_data_folder_that_cannot_be_trained_on(whippet, tmp_path, awkward_path, write, parts):
    data, home = awkward_path / "it's my dâta", awkward_path / "home"
    write(data)
    refused(whippet(home, "run", "--data", str(data)), *parts)
    assert not home.exists()


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--range", "eps=1e-8:1e-9"], ["eps=1e-8:1e-9", "reversed", "min"]),
        (["--range", "batch_size=16:16"], ["batch_size=16:16", "empty"]),
        (["--range", "lr=0:1:log"], ["lr=0:1:log", "min > 0"]),
        (["--range", "optimiser=adam,sgd"], ["'optimiser'", "did you mean 'optimizer'?"]),
        (["--range", "lr=0.1:1", "--set", "lr=0.1"], ["'lr'", "both searched and fixed"]),
        (["--set", "lr=abc"], ["lr='abc'", "must be a number > 0"]),
        (["--set", "epochs=0"], ["epochs=0", "must be a whole number >= 1"]),
        (["--range", "batch_size=0,32"], ["batch_size=0", "must be a whole number >= 1"]),
        (["--weights", "no such é.pt"], ["no such é.pt", "state_dict"]),
        (["--resume", "x", "--data", "y"], ["--resume 'x'", "leave out data.path"]),
        (["--resume", "x", "--name", "y"], ["--resume 'x'", "leave out --name"]),
        (["--image-size", "8"], ["image_size", "32", "8"]),
        (["--strategy", "Grid", "--range", "lr=0.1:1"], ["Grid", "categorical", "lr"]),
        (["--strategy", "packed", "--set", "augmentation=flip"], ["'packed'", "set views=1"]),
        (
            ["--strategy", "Bayesian", "--model", "mobilenet_v2,squeezenet1_1"],
            ["choice among 2 networks", "strategy='packed'"],
        ),
        (["--fine-tune", "--weights", "none"], ["--fine-tune", "leave one of the two out"]),
    ],
)
def test_parameters_that_make_no_sense(whippet, awkward_path, argv, parts):
    home = awkward_path / "home"
    refused(whippet(home, "run", *argv), *parts)
    assert not home.exists()


def test_a_network_that_shall_look_at_pictures_and_is_unknown(whippet, awkward_path):
    home = awkward_path / "home"
    found = whippet(home, "data", "samples/clipart", "--model", "mobilenet_v22")
    refused(found, "--model: unknown model 'mobilenet_v22'", "did you mean mobilenet_v2 or")
    assert not home.exists()


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_no_job_environment(whippet, awkward_path, weights):
    home, python = awkward_path / "home", awkward_path / "no python"
    found = whippet(home, "run", "--weights", weights, WHIPPET_JOB_PYTHON=str(python))
    refused(found, "no python", "make job-env")
    assert not home.exists()


def test_no_server_where_one_was_promised(whippet, awkward_path):
    refused(whippet(awkward_path / "home", "run"), NO_SERVER, "unset the variable")
    assert not (awkward_path / "home").exists()


def test_a_platform_that_is_not_set_up(whippet, awkward_path):
    home = awkward_path / "home"
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "WHIPPET_BUCKET": "b"}
    found = whippet(home, "run", WHIPPET_PLATFORM="aws", WHIPPET_REGION="eu-west-1", **credentials)
    refused(found, "WHIPPET_ROLE_ARN")
    refused(whippet(home, "run", WHIPPET_PLATFORM="azure"), "WHIPPET_PLATFORM", "'azure'", "aws")
    lots = whippet(home, "run", WHIPPET_JOB_MEMORY="lots", WHIPPET_JOB_PROCESSES="many")
    refused(lots, "WHIPPET_JOB_MEMORY: 'lots'", "8G", "WHIPPET_JOB_PROCESSES: 'many'", "64")
    assert not home.exists()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "small dïsk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_seen_before_the_run(whippet, small_disk):
    found = whippet(small_disk / "home", "run")
    refused(found, str(small_disk / "home"), "0.0 GiB free", "make room")
    assert not any(small_disk.iterdir())


FILLS = """
import os
from pathlib import Path
with Path(os.environ["SM_MODEL_DIR"], "big").open("wb", buffering=0) as file:
    while True:
        if not file.write(bytes(65536)):
            break
"""


def test_a_job_that_fills_the_disk_fails_and_says_so(small_disk):
    job = local_jobs(small_disk / "home").run("big", FILLS)
    assert job["TrainingJobStatus"] == "Failed"
    assert "No space left on device" in job["FailureReason"]


def test_a_bucket_without_room_is_named(small_disk, tmp_path):
    check = check_data(write_data(tmp_path / "data", FULL))
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 8192))
    with pytest.raises(StoreFailed, match=r"(?s)Could not write .*Check its free space"):
        sync_data(check, LocalStore(prefix=small_disk / "bucket", mkdir=True), "prefix")


@pytest.fixture
def outer_folder() -> Iterator[Path]:
    """A folder that anybody may enter; pytest's own is closed to other users."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def powerless() -> Iterator[Callable[[], None]]:
    """Give up root's right to write everywhere, until the test ends."""
    was = os.geteuid()
    yield lambda: os.seteuid(NOBODY) if was == 0 else None
    os.seteuid(was)


@pytest.mark.parametrize(
    ("mode", "advice"), [(0o555, "WHIPPET_HOME=/"), (0o000, "folder of your own")]
)
def test_a_home_without_the_right_to_write(
    outer_folder, powerless, monkeypatch, capsys, mode, advice
):
    closed, data = outer_folder / "closed", write_data(outer_folder / "data", FULL)
    monkeypatch.setenv("WHIPPET_HOME", str(closed / "home"))
    # Imports what the command needs: the project may be closed to others as well.
    assert main(["run", "--data", str(closed)]) == 1
    closed.mkdir()
    closed.chmod(mode)
    powerless()
    assert main(["run", "--data", str(data)]) == 1
    _, message = capsys.readouterr().err.splitlines()
    assert str(closed) in message
    assert "Permission denied" in message
    assert advice in message


def test_a_home_that_is_a_file(whippet, awkward_path):
    (awkward_path / "file").write_text("")
    for home in (awkward_path / "file", awkward_path / "file" / "home"):
        refused(whippet(home, "run"), str(home), "is not a folder")
    assert (awkward_path / "file").read_text() == ""


def made(home: Path) -> list[str]:
    """Return every job and every object of the bucket."""
    platform = connect(Settings(home=home))
    jobs = platform.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    objects = [path for path in (home / "s3").rglob("*") if path.is_file()]
    return [*(job["TrainingJobName"] for job in jobs), *map(str, objects)]


@pytest.fixture
def api_url(prefect_server) -> str:
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


def of_its_own(home: Path, api_url: str, *argv: str, cwd: Path) -> Answer:
    """Run the command as people do, in a process of its own: a flow runs in it."""
    done = Whippet(home=home, api_url=api_url).run(*argv, cwd=cwd)
    return Answer(returncode=done.code, stdout=done.out, stderr=done.err)


def test_corrupt_images_are_all_named_before_the_upload(awkward_path, api_url):
    data, home = write_data(awkward_path / "data", FULL), awkward_path / "home"
    whole = (data / "train" / "cat" / "001.jpg").read_bytes()
    (data / "train" / "cat" / "001.jpg").write_bytes(whole[: len(whole) // 2])
    (data / "test" / "dög" / "000.jpg").write_bytes(b"<html>not found</html>")
    found = of_its_own(home, api_url, "run", "--data", "./data/", "--name", "bad", cwd=awkward_path)
    refused(found, "'train/cat/001.jpg'", "'test/dög/000.jpg'", "The data folder './data/' has 2")
    assert str(data) not in found.stdout + found.stderr
    assert made(home) == []
    run = json.loads((home / "runs" / "bad" / "run.json").read_text("utf-8"))
    assert run["status"] == "failed"
    assert "001.jpg" in run["error"]
    assert "The data folder './data/' has" in run["error"]
    typed = {"text": "./data/", "folder": str(awkward_path)}
    assert run["parameters"]["data"]["path"] == str(data)
    assert run["parameters"]["data"]["path_typed"] == typed
    # From another folder it goes on with the same pictures, and names them alike.
    found = of_its_own(home, api_url, "run", "--resume", "bad", cwd=home)
    refused(found, "'test/dög/000.jpg'", "The data folder './data/' has 2")
    data.rename(awkward_path / "dáta")
    found = of_its_own(home, api_url, "run", "--resume", "bad", cwd=home)
    refused(found, f"'./data/' cannot be read: No such file or directory at '{data}'. Did you")


def write_safetensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """Write float32 zeros in the format of safetensors: header length, header, data."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


@pytest.mark.job
def test_weights_of_another_architecture_name_the_tensors(awkward_path, api_url):
    data, home = write_data(awkward_path / "data", FULL), awkward_path / "home"
    weights = awkward_path / "wéights.safetensors"
    write_safetensors(weights, {"conv1.weight": [64, 3, 7, 7], "bn1.weight": [64]})
    typed = f"../{awkward_path.name}/{weights.name}"
    options = ("--data", str(data), "--model", "squeezenet1_1", "--weights", typed)
    found = of_its_own(home, api_url, "run", *options, cwd=awkward_path)
    refused(found, f"weights={typed!r} cannot be used", "squeezenet1_1", "conv1.weight")
    assert str(weights) not in found.stdout + found.stderr
    assert made(home) == []
    shutil.rmtree(home)
