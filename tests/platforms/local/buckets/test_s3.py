from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from platforms.local.buckets.buckets import BadUri, BucketError
from platforms.local.buckets.s3 import S3Buckets
from platforms.local.context import S3_VARIABLES, LocalContext, local_context
from platforms.local.context import supervisor_environment as environment_of
from platforms.settings import Settings
from tests.worlds.local.served import REGION, client, moto_server

pytestmark = pytest.mark.slow
BASE = "s3://a-bucket"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto_server() as url:
        where = {"LocationConstraint": REGION}
        client("s3", url).create_bucket(Bucket="a-bucket", CreateBucketConfiguration=where)
        yield url


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in S3_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def buckets(server: str, account: None, monkeypatch: pytest.MonkeyPatch) -> S3Buckets:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return S3Buckets(server, region=REGION)


def sizes(buckets: S3Buckets, prefix: str) -> dict[str, int]:
    pages = obstore.list(buckets("a-bucket"), prefix=prefix)
    return {item["path"]: item["size"] for page in pages for item in page}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_a_folder_goes_there_and_back(buckets: S3Buckets, awkward_path: Path) -> None:
    source = awkward_path / "source"
    write(source / "é 'one'.txt", "one")
    write(source / "deep" / "two.txt", "two")
    (source / "link").symlink_to("/etc/passwd")
    buckets.push(source, f"{BASE}/there/")
    assert sizes(buckets, "there") == {"there/deep/two.txt": 3, "there/é 'one'.txt": 3}
    buckets.pull(f"{BASE}/there", awkward_path / "back")
    found = {p.name: p.read_text("utf-8") for p in (awkward_path / "back").rglob("*.txt")}
    assert found == {"é 'one'.txt": "one", "two.txt": "two"}
    assert len(list((awkward_path / "back").rglob("*"))) == 3


def test_only_changes_are_sent(buckets: S3Buckets, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("same", "changed"):
        write(source / name, "before")
    buckets.push(source, f"{BASE}/changes")
    obstore.delete(buckets("a-bucket"), ["changes/same", "changes/changed"])
    write(source / "changed", "after!")
    os.utime(source / "changed", ns=(1, 1))
    buckets.push(source, f"{BASE}/changes")
    assert sizes(buckets, "changes") == {"changes/changed": 6}
    buckets.push(tmp_path / "nowhere", f"{BASE}/changes")


def test_a_channel_is_an_object_or_what_is_below(buckets: S3Buckets, tmp_path: Path) -> None:
    s3 = client("s3", buckets.where("").rstrip("/"))
    s3.put_object(Bucket="a-bucket", Key="set/", Body=b"")
    for key in ("set/a cat/1.jpg", "set/a cat/2.jpg", "settings/x"):
        s3.put_object(Bucket="a-bucket", Key=key, Body=key.encode())
    assert buckets.is_object(f"{BASE}/set/a cat/1.jpg")
    assert not buckets.is_object(f"{BASE}/set")
    assert not buckets.is_object(BASE)
    assert buckets.has_objects(f"{BASE}/set")
    assert buckets.has_objects(BASE)
    assert not buckets.has_objects(f"{BASE}/se")
    buckets.mount(f"{BASE}/set", tmp_path / "all")
    assert sorted(p.name for p in (tmp_path / "all").rglob("*")) == ["1.jpg", "2.jpg", "a cat"]
    buckets.mount(f"{BASE}/set/a cat/1.jpg", tmp_path / "one")
    assert [p.read_bytes() for p in (tmp_path / "one").iterdir()] == [b"set/a cat/1.jpg"]


def test_files_are_read_and_written_through_a_scratch_folder(
    buckets: S3Buckets, tmp_path: Path
) -> None:
    with buckets.writing(f"{BASE}/model.tar.gz", tmp_path) as path:
        path.write_bytes(b"weights")
    with buckets.reading(f"{BASE}/model.tar.gz", tmp_path) as path:
        assert (path.name, path.read_bytes()) == ("model.tar.gz", b"weights")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError), buckets.writing(f"{BASE}/half.tar.gz", tmp_path) as path:
        path.with_name("nowhere").replace(path)
    assert not buckets.is_object(f"{BASE}/half.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there(buckets: S3Buckets, tmp_path: Path) -> None:
    with (
        pytest.raises(BucketError, match="s3://a-bucket/nothing does not exist"),
        buckets.reading(f"{BASE}/nothing", tmp_path),
    ):
        pass
    source = write(tmp_path / "source" / "x", "x").parent
    with pytest.raises(BucketError, match=r"s3://no-such-bucket/up/x .*NoSuchBucket|not exist"):
        buckets.push(source, "s3://no-such-bucket/up")
    with pytest.raises(BadUri):
        buckets.has_objects("s3://a-bucket/../x")


def test_keys_that_are_no_file_names(buckets: S3Buckets, tmp_path: Path) -> None:
    s3 = client("s3", buckets.where("").rstrip("/"))
    s3.put_object(Bucket="a-bucket", Key="evil/../../outside.txt", Body=b"x")
    with pytest.raises((BadUri, BucketError), match="evil"):
        buckets.pull(f"{BASE}/evil", tmp_path / "inside")
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_server_that_is_not_there(buckets: S3Buckets) -> None:
    gone = S3Buckets("http://127.0.0.1:9", region=REGION)
    with pytest.raises(BucketError, match="Check the endpoint"):
        gone.is_object(f"{BASE}/x")


def test_no_credentials(server: str, account: None) -> None:
    with pytest.raises(BucketError, match="AWS_ACCESS_KEY_ID"):
        S3Buckets(server, region=REGION)


def test_an_unknown_profile(server: str, account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(BucketError, match="nobody"):
        S3Buckets(server, region=REGION)


def test_credentials_reach_supervisors_of_such_jobs_only(tmp_path: Path) -> None:
    ours = {"AWS_SECRET_ACCESS_KEY": "secret", "PREFECT_API_URL": "x", "PATH": "/bin"}
    assert "AWS_SECRET_ACCESS_KEY" not in environment_of(ours)
    assert environment_of(ours, s3_endpoint="http://x")["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert "PREFECT_API_URL" not in environment_of(ours, s3_endpoint="http://x")


@pytest.mark.parametrize("endpoint", ["http://user:pass@host", "ftp://host", "host", "http://h/b"])
def test_an_endpoint_is_an_address_alone(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ValueError, match="use http://HOST:PORT"):
        Settings(home=tmp_path, s3_endpoint=endpoint)


def test_folders_are_the_default(tmp_path: Path) -> None:
    context: LocalContext = local_context(Settings(home=tmp_path))
    assert context.buckets.where("b") == str(tmp_path / "s3" / "b")
