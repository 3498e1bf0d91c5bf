import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dashboards.files.frames import empty_training_output
from dashboards.files.trials import read_trials
from dashboards.report import Report, render_report, write_report
from tests.worlds.sample_output import CLASSES, sample_report, trial_summaries, write_output

SECTIONS = (
    "verdict",
    "overview",
    "rules",
    "data",
    "pictures",
    "tuning",
    "curves",
    "confusion",
    "mistakes",
    "time",
    "profiler",
    "health",
    "tensors",
    "configuration",
)
FIGURES = 26
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Page(HTMLParser):
    """Collects what a browser would see: ids, tags with their attributes, and balance."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.ids = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def requests_of_pages(net_log):
    """Return the addresses that pages asked for; Chromium's own start-up requests have no page."""
    events = json.loads(net_log.read_text())["events"]
    asked = [event.get("params", {}) for event in events]
    return [
        params["url"]
        for params in asked
        if not str(params.get("url", "file:")).startswith(("file:", "data:", "blob:"))
        and params.get("initiator", "not an origin") != "not an origin"
    ]


@pytest.fixture(scope="module")
def report(output_folder):
    return sample_report(output_folder)


@pytest.fixture(scope="module")
def html(report):
    return render_report(report)


def test_every_second_of_the_job_is_in_the_bar_of_its_time(html):
    stages = re.findall(r"</i>([a-z-]+)[^<]*<b>([\d.]+) s</b>", html)
    assert dict(stages) == {
        "start-up": "5.2",
        "initialization": "3.1",
        "training": "140.2",
        "evaluation": "4.4",
        "finalization": "0.8",
    }


def test_the_page_has_every_section_and_figure_once(html):
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert set(SECTIONS) <= set(page.ids)
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == [f"#{name}" for name in SECTIONS]
    slots = [attrs for tag, attrs in page.tags if attrs.get("class") == "plot"]
    assert len(slots) == FIGURES
    assert all(attrs["aria-label"] for attrs in slots)


def test_no_name_becomes_a_tag(html):
    scripts = [attrs for tag, attrs in Page(html).tags if tag == "script"]
    assert len(scripts) == 3
    assert '<script>alert("x")' not in html
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in html
    assert "<b>0</b>.jpg" not in html


def test_the_page_is_small_and_deterministic(html, report):
    pictures = sum(len(code) for code in re.findall(r"data:image/jpeg;base64,([^\"]*)", html))
    assert pictures > 20_000
    assert len(html.encode()) - pictures <= 2_000_000
    assert render_report(report) == html


def test_the_page_tells_the_numbers(html, output):
    right = int(output.predictions["correct"].sum())
    assert f"{right} of 400 test images are right" in html
    assert "12 epochs, stopped early; delivered is epoch 10" in html
    assert "13 with a result" in html
    assert "10:15 UTC" in html


@pytest.mark.slow
def test_a_long_job_makes_a_page_as_small(tmp_path):
    folder = write_output(tmp_path / "o", samples=5_000, steps=20_000, layers=40, seconds=3_600)
    html = render_report(sample_report(folder))
    pictures = sum(len(code) for code in re.findall(r"data:image/jpeg;base64,([^\"]*)", html))
    assert len(html.encode()) - pictures <= 2_000_000


@pytest.mark.parametrize(
    "trials", [None, read_trials([]), read_trials(trial_summaries(3, failed=(0, 1, 2)))]
)
def test_a_run_that_left_nothing_still_has_a_report(trials, report):
    bare = Report(
        title="",
        run_name="",
        generated_at=report.generated_at,
        trials=trials,
        training=empty_training_output(),
    )
    page = Page(render_report(bare))
    # Only a frozen backbone tells of the pictures.
    assert set(SECTIONS) - {"pictures"} <= set(page.ids)
    assert not [attrs for tag, attrs in page.tags if attrs.get("class") == "plot"]


def test_a_time_without_zone_is_refused(report):
    naive = dataclasses.replace(report, generated_at=datetime(2026, 8, 1))
    with pytest.raises(ValueError, match="time zone"):
        render_report(naive)


def test_writing_replaces_the_page_and_leaves_nothing_else(tmp_path, report, html):
    path = tmp_path / "run 'é' <1>" / "report.html"
    path.parent.mkdir()
    path.write_text("old")
    assert write_report(path, report) == len(html.encode())
    assert path.read_text(encoding="utf-8") == html
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_keeps_the_old_page(tmp_path, report):
    path = tmp_path / "report.html"
    path.mkdir()
    with pytest.raises(OSError, match=re.escape(str(path))):
        write_report(path, report)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_rendering_needs_neither_prefect_nor_boto3_nor_scikit_learn(tmp_path, output_folder):
    code = """
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys(("prefect", "boto3", "torch", "sklearn")))
from tests.worlds.sample_output import sample_report
from dashboards.report import write_report
print(write_report(Path(sys.argv[2]), sample_report(Path(sys.argv[1]))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(output_folder), str(tmp_path / "report.html")],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1_500_000


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_draws_every_figure_without_a_network(tmp_path, report):
    path = tmp_path / "my 'report' é.html"
    write_report(path, report)
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1280,6000",
            "--virtual-time-budget=20000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    dom = done.stdout
    assert 'data-figures="drawn"' in dom, done.stderr[-2_000:]
    drawn = dom.count("js-plotly-plot")
    assert drawn == FIGURES
    # Each figure has three layers of SVG.
    assert dom.count('class="main-svg"') >= 2 * drawn
    assert "CONSOLE" not in done.stderr
    assert requests_of_pages(log) == []
    # A class called <script> is text in the figures, too.
    assert CLASSES[3] == '<script>alert("x")</script>'
    assert '&lt;script&gt;alert("x")&lt;/script&gt;' in dom
