"""The pages of `whippet ui` in a browser, over what real runs left."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.ui.browser import PHONE, Person, person
from tests.worlds.pipeline import CLASSES, TINY, Whippet

pytestmark = [pytest.mark.slow, pytest.mark.job]
_DROP = """
const [zone, input] = [document.getElementById("drop"), document.getElementById("file")];
const carried = new DataTransfer();
carried.items.add(input.files[0]);
zone.dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
"""
_STATES_ARE_SEEN = """
const chips = [...document.querySelectorAll(".chip")];
return chips.length && chips.every(e => e.getBoundingClientRect().right <= window.innerWidth);
"""


@pytest.fixture(scope="module")
def pages(team: Whippet, data: Path) -> Iterator[Person]:
    """Somebody at the pages over two or more runs, the newest with an endpoint."""
    while len(finished(team)) < 2:
        run = team.run("run", "--data", str(data), *TINY)
        assert run.code == 0, run.err
    served = team.start("ui", "--port", "0")
    try:
        assert served.stdout is not None
        (url,) = re.findall(r"http://127.0.0.1:\d+", served.stdout.readline())
        with person(url) as found:
            yield found
    finally:
        served.send_signal(signal.SIGINT)
        served.communicate(timeout=60)


def finished(team: Whippet) -> list[str]:
    """Return the runs that have a model in service."""
    names = {path.parent.name for path in team.home.glob("runs/*/run.json")} - {"latest"}
    return sorted(name for name in names if team.record(name)["status"] == "completed")


def test_runs_are_listed_and_filtered(team: Whippet, pages: Person) -> None:
    pages.open("/")
    text = pages.sees("runs")
    assert all(name in text for name in finished(team))
    pages.shoot("whippet-ui-list")
    pages.shoot("whippet-ui-list-on-a-phone", PHONE)
    assert fits(pages)
    assert pages.driver.execute_script(_STATES_ARE_SEEN)
    pages.shoot("whippet-ui-list")
    search = pages.driver.find_element(By.NAME, "q")
    search.send_keys("no such run", Keys.ENTER)
    pages.sees("no run matches")
    pages.shoot("whippet-ui-nothing-found")
    pages.open("/?state=completed")
    assert "of" in pages.sees("runs")
    assert pages.driver.find_elements(By.NAME, "run")


def fits(pages: Person) -> bool:
    """Say whether the page is no wider than the window."""
    return bool(
        pages.driver.execute_script(
            "return document.documentElement.scrollWidth <= window.innerWidth"
        )
    )


def test_a_run_and_its_report_are_opened(team: Whippet, pages: Person) -> None:
    name = finished(team)[0]
    pages.open("/")
    pages.clicks(name)
    pages.sees("test accuracy")
    pages.shoot("whippet-ui-run")
    pages.shoot("whippet-ui-run-on-a-phone", PHONE)
    assert fits(pages)
    pages.shoot("whippet-ui-run")
    pages.open(f"/runs/{name}/report")
    pages.sees("confusion")
    pages.shoot("whippet-ui-report")


def test_two_runs_are_compared(team: Whippet, pages: Person) -> None:
    first, second = finished(team)[:2]
    pages.open("/")
    for name in (first, second):
        pages.driver.find_element(By.CSS_SELECTOR, f'input[value="{name}"]').click()
    pages.clicks("Compare two runs")
    assert second in pages.sees(first)
    pages.shoot("whippet-ui-comparison")
    pages.shoot("whippet-ui-comparison-on-a-phone", PHONE)
    assert fits(pages)
    pages.shoot("whippet-ui-comparison")


def test_a_dropped_picture_is_answered_by_the_newest_endpoint(pages: Person, data: Path) -> None:
    pages.open("/try")
    pages.shoot("whippet-ui-try")
    picture = next((data / "test").rglob("*.jpg"))
    # A file from the disk, into the page's hands: what is dropped then is that file.
    input_ = pages.driver.find_element(By.ID, "file")
    pages.driver.execute_script("arguments[0].onchange = e => e.stopPropagation()", input_)
    input_.send_keys(str(picture))
    pages.driver.execute_script(_DROP)
    answer = pages.finds(
        lambda: pages.driver.find_element(By.ID, "answer").text if "%" in pages.text() else None,
        "answer",
    )
    assert any(name in answer for name in CLASSES)
    pages.shoot("whippet-ui-tried")
