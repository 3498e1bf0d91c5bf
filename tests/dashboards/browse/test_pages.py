"""The pages of `whippet ui`: what is on them, and that nobody's text becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from dashboards.browse.comparison import ComparedRun, comparison_page
from dashboards.browse.frame import ASSETS, POLICY, asset, run_address
from dashboards.browse.run import RunView, run_page
from dashboards.browse.runs import RunLine, runs_page
from dashboards.browse.trying import answer_markup, refusal_markup, trying_page
from dashboards.files.frames import TrainingOutput, empty_training_output

EVIL = '"><script>alert(1)</script>'
DONE = RunLine(
    name="pets 1",
    state="completed",
    data="pets",
    network="mobilenet_v2",
    accuracy=0.735,
    usd="0.07",
    verdict="The model over-fits.",
    endpoint="pets-endpoint",
    report=True,
)
LOST = RunLine(name=EVIL, state="failed", verdict=f"no {EVIL}")
BAD = RunLine(name="bad", state="unreadable", verdict="cannot be read")


class Links(HTMLParser):
    """Collects links and the names of elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def test_every_run_has_its_line_and_its_links() -> None:
    page = runs_page([DONE, LOST, BAD])
    links = Links(page)
    assert {"/runs/pets%201", "/runs/pets%201/report", run_address(EVIL)} <= set(links.links)
    assert "/runs/bad" not in links.links
    assert "script" not in links.tags
    for told in ("73.5%", "0.07", "not billed", "The model over-fits.", "3 runs", "cannot be read"):
        assert told in page
    assert page.count('type="checkbox"') == 2


@pytest.mark.parametrize(
    ("words", "state", "count"),
    [
        ("", "", 3),
        ("PETS over-fits", "", 1),
        ("mobilenet", "failed", 0),
        ("", "failed", 1),
        ("endpoint", "completed", 1),
    ],
)
def test_runs_are_filtered_by_words_and_state(words: str, state: str, count: int) -> None:
    page = runs_page([DONE, LOST, BAD], words, state)
    assert page.count("<tr>") == (count + 1 if count else 0)
    assert ("No run matches" in page) == (not count)


@pytest.mark.parametrize(
    ("state", "kind"),
    [("completed", ""), ("waiting", "stop"), ("crashed", "issues"), ("x", "none")],
)
def test_a_state_has_its_colour(state: str, kind: str) -> None:
    assert f'<span class="chip {kind}">{state}</span>' in runs_page([replace(DONE, state=state)])


def test_what_was_typed_stays_in_the_form() -> None:
    page = runs_page([DONE], EVIL, "running")
    assert "script" not in Links(page).tags
    assert '<option value="running" selected>' in page
    assert "alert(1)" in page


def test_without_runs_it_says_how_to_start_one() -> None:
    assert "whippet run --data DIR" in runs_page([])


def test_a_run_shows_how_far_it_came() -> None:
    view = RunView(
        line=DONE,
        facts=[("Test accuracy", "73.5%")],
        parameters={"model": {"architecture": EVIL}},
        seconds={"tune": 12.4},
        files=["trials.csv"],
    )
    links = Links(run_page(view))
    assert "/runs/pets%201/files/trials.csv" in links.links
    assert "/try?endpoint=pets-endpoint" in links.links
    assert "12 s" in run_page(view)
    assert "script" not in links.tags
    assert "no data" in run_page(RunView(line=LOST, error="no data"))


def side(name: str, output: TrainingOutput, **more: object) -> ComparedRun:
    found = {"facts": {"Test accuracy": "70%"}, "parameters": {"model.image_size": 160}, **more}
    return ComparedRun(name=name, output=output, **found)  # type: ignore[arg-type]


def test_two_runs_side_by_side(output: TrainingOutput) -> None:
    left = side("a", output, data="1", verdict="Too slow.")
    right = side(EVIL, output, data="2", parameters={"model.image_size": 224, "model.weights": "x"})
    page = comparison_page(left, right)
    words = re.sub(r"<[^>]*>", " ", page)
    assert re.search(r"model\.image_size\s+160\s+224", words)
    assert re.search(r"model\.weights\s+—\s+x", words)
    assert "a: Too slow." in words
    assert "saw different pictures" in words
    assert 'id="confusion-1"' in page
    assert 'id="confusion-2"' in page
    assert "<script>alert" not in page
    same = comparison_page(side("a", output, data="1"), side("b", output, data="1"))
    assert "Both runs have the same parameters." in same
    assert "saw different pictures" not in same


def test_runs_that_left_nothing_say_so(output: TrainingOutput) -> None:
    page = comparison_page(side("a", empty_training_output()), side("b", empty_training_output()))
    assert "Neither run reported metrics." in page


def test_a_run_beside_itself_is_no_comparison(output: TrainingOutput) -> None:
    with pytest.raises(ValueError, match="cannot be compared with itself"):
        comparison_page(side("a", output), side("a", output))


def test_an_endpoint_to_try_or_the_reason_why_not() -> None:
    page = trying_page(["new", "old"], "old")
    assert 'data-endpoint="old"' in page
    assert '<option value="old" selected>' in page
    assert "/drop.js" in Links(page).links
    assert "No endpoint is in service" in trying_page([], None)
    assert "no such account" in trying_page([], None, "no such account")


def test_answers_are_escaped_and_few() -> None:
    markup = answer_markup([(EVIL, 0.75), *((f"class {n}", 0.01) for n in range(20))])
    assert "script" not in Links(markup).tags
    assert "75.0%" in markup
    assert "and 11 more" in markup
    assert "script" not in Links(refusal_markup(EVIL)).tags


def test_pages_load_from_their_own_server_alone() -> None:
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY
    assert all(asset(name) for name in ASSETS)
    for page in (runs_page([DONE]), trying_page(["new"], "new")):
        assert all(link.startswith("/") for link in Links(page).links)
        assert "style=" not in page
    assert "style=" not in answer_markup([("a", 0.5)])


def test_addresses_take_any_name() -> None:
    assert run_address("a/b ?") == "/runs/a%2Fb%20%3F"
