"""Printing by a browser: what it wrote counts, and what goes wrong is a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.report.pdf import PdfError, find_chromium, print_pdf
from tests.worlds.waiting import wait_for


def browser(folder: Path, script: str) -> Path:
    """A program that is called as Chromium is; $target is where it should write."""
    path = folder / "my chromium"
    find = 'for word in "$@"; do case "$word" in --print-to-pdf=*) target="${word#*=}";; esac; done'
    path.write_text(f"#!/bin/sh\n{find}\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def page(awkward_path):
    path = awkward_path / "report.html"
    path.write_text("<p>hello</p>")
    return path


def test_a_pdf_replaces_the_older_one(page, tmp_path):
    target = page.with_name("report.pdf")
    target.write_text("old")
    chromium = browser(tmp_path, 'printf "%%PDF-1.4 of %s" "$*" > "$target"')
    assert print_pdf(page, target, chromium) == target.stat().st_size
    said = target.read_text()
    assert said.startswith("%PDF-1.4 of --headless")
    assert said.endswith(page.as_uri())
    assert ("--no-sandbox" in said) == (os.geteuid() == 0)
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.pdf"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no display >&2; exit 3", "exit code 3: no display"),
        ("exit 0", "did not write a PDF"),
        ('echo "<html>" > "$target"', "did not write a PDF"),
    ],
)
def test_a_browser_that_fails_leaves_the_older_one(page, tmp_path, script, message):
    target = page.with_name("report.pdf")
    target.write_text("old")
    with pytest.raises(PdfError, match=message):
        print_pdf(page, target, browser(tmp_path, script))
    assert target.read_text() == "old"
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.pdf"]


@pytest.mark.slow
def test_a_browser_that_hangs_is_ended_with_its_children(page, tmp_path):
    child = tmp_path / "child"
    chromium = browser(tmp_path, f'sleep 300 & echo $! > "{child}"; wait')
    for seconds in (1, 4, 16):  # as long as this machine needs to start a shell and its child
        with pytest.raises(PdfError, match=f"longer than {seconds} s"):
            print_pdf(page, page.with_name("report.pdf"), chromium, seconds=seconds)
        if child.exists() and child.read_text().endswith("\n"):
            break
    stat = Path(f"/proc/{int(child.read_text())}/stat")
    wait_for(lambda: not stat.exists() or stat.read_text().split()[2] == "Z", "end of the child")


def test_a_browser_gets_no_secrets(page, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    chromium = browser(tmp_path, '{ printf "%%PDF-"; env; } > "$target"')
    target = page.with_name("report.pdf")
    print_pdf(page, target, chromium)
    assert "AWS_SECRET" not in target.read_text()


def test_the_browser_is_the_one_that_is_named_or_the_first_on_path(tmp_path, monkeypatch):
    mine = browser(tmp_path, "exit 0")
    assert find_chromium(mine) == mine
    with pytest.raises(PdfError, match="WHIPPET_CHROMIUM='/nowhere/chrome' is not a program"):
        find_chromium(Path("/nowhere/chrome"))
    assert find_chromium(Path("none")) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    mine.rename(tmp_path / "google-chrome")
    assert find_chromium() == tmp_path / "google-chrome"


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium on this machine")
def test_a_real_browser_prints_the_report(awkward_path):
    from dashboards.report import write_report
    from tests.worlds.sample_output import sample_report, write_output

    page = awkward_path / "report.html"
    write_report(page, sample_report(write_output(awkward_path / "output")))
    chromium = find_chromium()
    assert chromium is not None
    assert print_pdf(page, page.with_name("report.pdf"), chromium) > 200_000
    content = page.with_name("report.pdf").read_bytes()
    # A4; the drawn figures are vectors, so there are many pages with content.
    assert b"/MediaBox [0 0 59" in content
    assert content.count(b"/Type /Page\n") > 8
