"""How far a choice has come, kept where a killed job finds it again: one small file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from sm_entrypoints.choosing.candidate import Candidate
from sm_entrypoints.contract.files import write_json
from sm_entrypoints.contract.sentences import clause

_FILE = "networks.json"


class ChoiceProgress:
    """The standings of networks in a folder, or nowhere if there is none.

    A file that is damaged is told and ignored, one of another search ignored: both cost only time.
    """

    def __init__(self, folder: Path | None, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell

    def load(self, candidate: Candidate) -> None:
        """Give a candidate what was found out about it."""
        if self._folder is None:
            return
        try:
            document = json.loads((self._folder / _FILE).read_text(encoding="utf-8"))
            if candidate.name in document:
                candidate.take_over(document[candidate.name])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._tell(f"the progress of the choice is ignored: {clause(error)}")

    def save(self, candidates: Iterable[Candidate]) -> None:
        """Keep what was found out; where that cannot be, the choice goes on without."""
        if self._folder is None:
            return
        document = {each.name: each.document() for each in candidates if each.is_begun}
        try:
            self._folder.mkdir(exist_ok=True)
            write_json(self._folder / _FILE, document, indent=None)
        except OSError as error:
            self._tell(f"the progress of the choice cannot be kept: {clause(error)}")
            self._folder = None
