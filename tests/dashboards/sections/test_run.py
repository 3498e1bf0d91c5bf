"""The tuning section: how the search was made, and a table of trials that stays short."""

from __future__ import annotations

import re

import pytest

from dashboards.files.packed_search import read_packed_search
from dashboards.files.trials import Trials, read_trials
from dashboards.page.markup import Section
from dashboards.sections.run import MAX_TRIALS, tuning_section
from tests.worlds.packed_search import write_packed_search


def trials_of(folder, count: int) -> Trials:
    """Return trials whose objective falls, but for the last, which failed."""
    losses = [(0.1 + number, [1.0 - number / 100]) for number in range(count - 1)]
    write_packed_search(folder, "s", [*losses, (9.0, [])])
    found = read_packed_search(folder)
    return read_trials(found.summaries, found.histories)


def markup(section: Section) -> str:
    return "".join(block.markup for block in section.blocks)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "heading"), [(5, "Trials"), (59, "The best 20 trials")])
def test_the_table_has_the_best_trials_and_marks_the_best(tmp_path, count, heading):
    html = markup(tuning_section(trials_of(tmp_path, count), {}, "It was packed."))
    assert f">{heading}<" in html
    assert f"It was packed. {count} trials, {count - 1} with a result." in html
    names = re.findall(r"s-(\d{3})-0a1b2c3d</td>", html)
    if count <= MAX_TRIALS:
        assert names == [f"{number:03d}" for number in range(1, count + 1)]
    else:
        assert names == [f"{number:03d}" for number in range(count - 1, count - 1 - MAX_TRIALS, -1)]
    (marked,) = re.findall(r"<tr class=[^>]*>(?:(?!</tr>).)*s-(\d{3})-", html)
    assert int(marked) == count - 1
