"""Lines reach the disk in batches, and all of them in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from sm_entrypoints.instrumentation import line_writer as records
from sm_entrypoints.instrumentation.line_writer import FLUSH_LINES, LineWriter


def test_everything_is_on_disk_after_close(tmp_path: Path) -> None:
    path = tmp_path / "a folder's été" / "lines.txt"
    writer = LineWriter(path, header="head")
    writer.write("un été")
    writer.close()
    assert path.read_text(encoding="utf-8") == "head\nun été\n"
    assert writer.bytes_written == path.stat().st_size
    writer.close()


def test_a_killed_process_loses_at_most_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    writer = LineWriter(path)
    for number in range(FLUSH_LINES + 5):
        writer.write(str(number))
    assert len(path.read_text().splitlines()) >= FLUSH_LINES
    writer.close()


def test_a_slow_writer_flushes_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines.txt"
    monkeypatch.setattr(records, "FLUSH_SECONDS", 0.0)
    writer = LineWriter(path)
    writer.write("only one")
    assert path.read_text() == "only one\n"
    writer.close()


def test_a_full_disk_is_an_os_error() -> None:
    writer = LineWriter(Path("/dev/full"))
    writer.write("x")
    with pytest.raises(OSError, match="No space"):
        writer.close()
