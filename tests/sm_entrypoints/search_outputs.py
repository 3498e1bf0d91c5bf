"""What the tests of a search read of its output."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any


def document(root: Path, name: str) -> Any:
    """Return a JSON file of the job's output."""
    return json.loads((root / "output/data" / name).read_text())


def metrics(root: Path) -> list[dict[str, Any]]:
    """Return the epochs of all trials, without their seconds."""
    lines = (root / "output/data/trial_metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def when(file: Path, act: Any) -> threading.Thread:
    """Act when a file is there, from a thread of its own."""

    def wait() -> None:
        while not file.exists():
            threading.Event().wait(0.005)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread
