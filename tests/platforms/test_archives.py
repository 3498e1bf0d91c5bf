from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from platforms import archives
from platforms.archives import ArchiveError, extract_archive, write_archive
from sm_entrypoints.contract.strangers.archives import MAX_RATIO


def make(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_round_trip_and_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "it's é"
    (source / "b/c").mkdir(parents=True)
    (source / "b/c/long-é-name.txt").write_bytes(os.urandom(100_000))
    (source / "run.sh").write_text("#!/bin/sh")
    (source / "run.sh").chmod(0o700)
    (source / "link").symlink_to("/etc/passwd")
    write_archive(source, tmp_path / "one.tar.gz")
    os.utime(source / "run.sh", (1, 1))
    write_archive(source, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    extract_archive(tmp_path / "one.tar.gz", tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*"))
    assert found == [Path("b/c/long-é-name.txt"), Path("run.sh")]
    assert os.access(tmp_path / "out/run.sh", os.X_OK)
    assert not (tmp_path / "out/link").exists()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/evil"),
        member("../evil"),
        member("a/../../evil"),
        member("a\\..\\evil"),
        member("link", tarfile.SYMTYPE, "/etc"),
        member("hard", tarfile.LNKTYPE, "../../etc/passwd"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda info: info.name,
)
def test_hostile_members(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    content = b"evil" if bad.isreg() else b""
    archive = make(tmp_path / "a.tar.gz", (member("good"), b"1"), (bad, content))
    with pytest.raises(ArchiveError, match=r"a\.tar\.gz"):
        extract_archive(archive, tmp_path / "out/in")
    assert not (tmp_path / "out/in").exists()
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_link_cannot_be_written_through(tmp_path: Path) -> None:
    archive = make(
        tmp_path / "a.tar.gz",
        (member("d", tarfile.SYMTYPE, str(tmp_path)), b""),
        (member("d/evil"), b"1"),
    )
    with pytest.raises(ArchiveError):
        extract_archive(archive, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tar.gz", (member("x"), b"1"), (member("x"), b"2"))
    with pytest.raises(ArchiveError, match="twice"):
        extract_archive(archive, tmp_path / "out")
    nested = make(tmp_path / "b.tar.gz", (member("x"), b"1"), (member("x/y"), b"2"))
    with pytest.raises(ArchiveError, match="twice"):
        extract_archive(nested, tmp_path / "out")


def test_a_bomb_stops_early(tmp_path: Path) -> None:
    size = 40 * 1024**2
    archive = make(tmp_path / "a.tar.gz", (member("zeros"), bytes(size)))
    assert archive.stat().st_size * MAX_RATIO < size
    with pytest.raises(ArchiveError, match="more than is allowed"):
        extract_archive(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = make(tmp_path / "a.tar.gz", *[(member(f"{n}"), b"") for n in range(4)])
    with pytest.raises(ArchiveError, match="more than 3 members"):
        extract_archive(archive, tmp_path / "out")


@pytest.mark.parametrize("cut", [0, 5, 60])
def test_damaged(tmp_path: Path, cut: int) -> None:
    whole = make(tmp_path / "a.tar.gz", (member("x"), os.urandom(5000)))
    whole.write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(ArchiveError):
        extract_archive(whole, tmp_path / "out")


def test_a_wrong_check_sum(tmp_path: Path) -> None:
    whole = make(tmp_path / "a.tar.gz", (member("x"), b"1"))
    data = bytearray(whole.read_bytes())
    data[-6] ^= 0xFF
    whole.write_bytes(data)
    with pytest.raises(ArchiveError):
        extract_archive(whole, tmp_path / "out")


def test_not_over_a_folder(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tar.gz", (member("x"), b"1"))
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        extract_archive(archive, tmp_path / "out")


def test_no_tar_inside(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(os.urandom(4096)))
    with pytest.raises(ArchiveError):
        extract_archive(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_the_folder_itself_may_be_a_member(tmp_path: Path, name: str) -> None:
    folder, file = member(name, tarfile.DIRTYPE), member("code/inference.py")
    archive = make(tmp_path / "by-the-sdk.tar.gz", (folder, b""), (file, b"pass"))
    extract_archive(archive, tmp_path / "out")
    assert (tmp_path / "out" / "code" / "inference.py").read_text() == "pass"
