"""A person at a browser: headless Chromium, which finds things by what stands on the page."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.sources import ROOT
from tests.worlds.waiting import wait_for

# Where screenshots are kept; not part of the repository.
SHOTS = ROOT / "ui-screenshots"
DESKTOP = (1400, 1000)
PHONE = (390, 844)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-dev-shm-usage")
_LABELLED = """
for (const label of document.querySelectorAll("label")) {
  const words = label.innerText.trim().replace(/ \\(Optional\\)$/, "");
  const field = label.htmlFor && document.getElementById(label.htmlFor);
  if (words === arguments[0] && field) return field;
}
return null;
"""
_CLICKABLE = "button, a, [role=menuitem], [role=tab], [role=option], [role=switch]"
T = TypeVar("T")


def programs() -> tuple[str, str] | None:
    """Return the browser and its driver; None where one of them is not installed.

    ``CHROMIUM`` and ``CHROMEDRIVER`` name others than those on PATH. Nothing is ever downloaded.
    """
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@dataclass(frozen=True)
class Person:
    """Somebody at a browser whose pages are below ``url``."""

    driver: webdriver.Chrome
    url: str

    def open(self, path: str) -> None:
        """Go to a page."""
        self.driver.get(f"{self.url}{path}")

    def text(self) -> str:
        """Return what stands on the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def sees(self, words: str) -> str:
        """Wait until words are on the page (a pattern, any case); return all of its text.

        Raises:
            AssertionError: they did not come; tells what is there, and keeps a picture of it.
        """

        def text() -> str | None:
            found = self.text()
            return found if re.search(words, found, re.IGNORECASE) else None

        try:
            return self.finds(text, f"{words!r}")
        except AssertionError:
            self.shoot("missed")
            raise

    def finds(self, look: Callable[[], T | None], what: str) -> T:
        """Wait for something on a page that may still draw itself."""

        def found() -> T | None:
            try:
                return look()
            except StaleElementReferenceException:  # it was drawn again in the meantime
                return None

        there = lambda: f"{what} on {self.driver.current_url}:\n{self.text()}\n"  # noqa: E731
        return wait_for(found, there, pause=0.2)  # type: ignore[return-value]

    def clicks(self, words: str, *, inside: str = "body") -> None:
        """Click what has these words, the last one if there are several."""

        def click() -> bool:
            element = self._clickable(words, inside)
            if element is None:
                return False
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            try:
                element.click()
            except WebDriverException as error:
                if "intercepted" in str(error) or "not interactable" in str(error):
                    return False  # something passes above it
                raise
            return True

        self.finds(click, f"something to click with the words {words!r}")

    def offers(self, words: str) -> bool:
        """Say whether there is something to click with these words now."""
        return self._clickable(words, "body") is not None

    def _clickable(self, words: str, inside: str) -> WebElement | None:
        for part in reversed(self.driver.find_elements(By.CSS_SELECTOR, inside)):
            for each in reversed(part.find_elements(By.CSS_SELECTOR, _CLICKABLE)):
                if each.text.strip() == words and each.is_displayed() and each.is_enabled():
                    return each
        return None

    def field(self, label: str) -> WebElement:
        """Return the control of a label, scrolled to the middle of the window."""
        look = lambda: self.driver.execute_script(_LABELLED, label)  # noqa: E731
        found: WebElement = self.finds(look, f"field {label!r}")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def fills(self, label: str, value: str) -> None:
        """Write a value into a field, in place of what is there."""
        field = self.field(label)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.DELETE)
        field.send_keys(value)

    def chooses(self, label: str, value: str) -> None:
        """Choose from a list that opens when it is clicked."""
        self.field(label).click()
        self.clicks(value, inside="[role=listbox]")
        self.finds(lambda: self.field(label).text.strip() == value, f"{value!r} chosen")

    def refused(self) -> list[str]:
        """Return what the pages' content policy kept them from since the last time."""
        log: Callable[[str], list[dict[str, object]]] = self.driver.get_log
        told = [str(each["message"]) for each in log("browser")]
        return [each for each in told if "Content Security Policy" in each]

    def shoot(self, name: str, size: tuple[int, int] = DESKTOP) -> Path:
        """Keep a picture of the window, at that size."""
        SHOTS.mkdir(exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.driver.set_window_size(*size)
        assert self.driver.save_screenshot(str(path))
        return path


@contextmanager
def person(url: str) -> Iterator[Person]:
    """Give somebody at an empty browser."""
    found = programs()
    assert found is not None
    browser, driver = found
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*_OPTIONS, f"--window-size={DESKTOP[0]},{DESKTOP[1]}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Person(chrome, url)
    finally:
        chrome.quit()


def signs_in(visitor: Person, login: str) -> None:
    """Sign in at a Prefect server with its login (``user:password``)."""
    visitor.open("/")
    look = lambda: visitor.driver.find_elements(By.CSS_SELECTOR, "input[type=password]")  # noqa: E731
    (box,) = visitor.finds(look, "box for the password")
    visitor.shoot("login")
    box.send_keys(login, Keys.ENTER)
    visitor.finds(lambda: "/login" not in visitor.driver.current_url, "page after signing in")
