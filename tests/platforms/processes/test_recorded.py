"""Processes as files remember them."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from platforms.processes.process import identify
from platforms.processes.recorded import Recorded, read_recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk(Recorded):
    desk: str


def test_a_process_is_remembered_until_it_has_ended(tmp_path: Path) -> None:
    me = Clerk.of(identify(os.getpid()), desk="bücher")
    me.write(tmp_path / "clerk.json")
    assert read_recorded(tmp_path / "clerk.json", Clerk) == me
    assert me.to_record() == identify(os.getpid()).to_record()
    assert read_recorded(tmp_path / "nobody.json", Clerk) is None


@pytest.mark.skipif(not identify(os.getpid()).boot, reason="this kernel does not name its boots")
def test_one_of_an_earlier_boot_is_gone_though_pid_and_start_are_the_same(tmp_path: Path) -> None:
    me = Clerk.of(identify(os.getpid()), desk="1")
    assert me.boot, "every record names the boot"
    replace(me, boot="another").write(tmp_path / "clerk.json")
    assert read_recorded(tmp_path / "clerk.json", Clerk) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 1}'])
def test_what_we_did_not_write_is_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "clerk.json").write_text(text)
    assert read_recorded(tmp_path / "clerk.json", Clerk) is None
    assert asdict(Clerk(pid=1, started=2.0, desk="3"))["boot"] == ""
