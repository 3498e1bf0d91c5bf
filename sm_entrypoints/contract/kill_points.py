"""Named moments at which a process may be killed: beside each write, around each call of an API.

Whippet promises that `kill -9` is safe anywhere (docs/architecture.md). "Anywhere" is what is named
here: code calls :func:`reach` just before and just after whatever it leaves behind for others. It
does nothing unless ``WHIPPET_KILL_POINTS`` names a folder. In that folder

- ``reached.jsonl`` gets a line for each moment: role, point, how often the process had been there
  before, process id. So one undisturbed run lists every point that there is to kill at;
- ``orders.jsonl`` says where to die: a process that reaches an ordered moment kills itself with
  SIGKILL, once an order, whatever the number of processes;
- ``killed-*.json`` says which orders were carried out, by which process, and when.

A *role* says what a process is: ``runner`` (the command line or a worker's engine, and the default)
or what it called itself with :func:`play`: ``training supervisor``, ``tuning supervisor``,
``transform supervisor``, ``endpoint supervisor``, ``serverless supervisor``, ``queue worker``. The
orders are read anew at each point, so they may be given at any time.

Example:
    A run that dies when its training job is there, but not recorded yet::

        >>> order_kill(folder, role="runner", point="create_training_job answered")
        >>> subprocess.run(["whippet", "run", ...], env={**os.environ, VARIABLE: str(folder)})
        >>> [each["point"] for each in killed(folder)]
        ['create_training_job answered']

    At random: take any of ``points(folder)`` of an earlier run, or ``order_kill(folder,
    role="runner", count=random.randint(1, 300))``, the n-th moment of such a process.

Standard library only: jobs reach points, too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

VARIABLE = "WHIPPET_KILL_POINTS"
RUNNER = "runner"
_REACHED, _ORDERS = "reached.jsonl", "orders.jsonl"
# Of any number of moments, not of those of one name.
_ANY = "*"
_VARIABLE_PART = re.compile(r"[0-9a-f]{6,}|[0-9]+")


@dataclass(slots=True)
class _Process:
    """What this process is, and how often it was where; a forked child goes on counting."""

    role: str = RUNNER
    reached: Counter[str] = field(default_factory=Counter)


_PROCESS = _Process()


def play(role: str) -> None:
    """Say what this process is; at the beginning of its program."""
    _PROCESS.role = role


def reach(point: str) -> None:
    """Note that this process is at a point, and die if somebody ordered that."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _note(Path(folder), point)


def label_of(path: Path) -> str:
    """Return what to call a file in a point's name: without what differs from run to run."""
    if _VARIABLE_PART.search(path.name) is None:
        return path.name
    return f"{path.parent.name}/…{path.suffix.partition('#')[0]}"


def order_kill(
    folder: Path, *, role: str = _ANY, point: str = _ANY, count: int = 1, note: str = ""
) -> None:
    """Order that a process of ``role`` dies when it is at ``point`` for the ``count``-th time.

    Both may be patterns with ``*``. With the point ``*`` the process's moments are counted
    together, whatever they are called. An order with another ``note`` is another order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = {"role": role, "point": point, "count": count, "note": note}
    _append(folder / _ORDERS, order)


def points(folder: Path) -> dict[tuple[str, str], int]:
    """Return each role and point that processes were at, and how often, in the order of their
    first time.
    """
    return dict(Counter((each["role"], each["point"]) for each in _lines(folder / _REACHED)))


def killed(folder: Path) -> list[dict[str, Any]]:
    """Return the orders that were carried out, with ``at_role``, ``at_point``, ``pid`` and
    ``time`` (unix seconds), oldest first.
    """
    found = [json.loads(path.read_text("utf-8") or "{}") for path in folder.glob("killed-*.json")]
    return sorted((each for each in found if each), key=lambda each: float(each["time"]))


def _note(folder: Path, point: str) -> None:
    counts = _PROCESS.reached
    counts[point] += 1
    counts[_ANY] += 1
    what = {"role": _PROCESS.role, "point": point, "count": counts[point], "pid": os.getpid()}
    folder.mkdir(parents=True, exist_ok=True)
    _append(folder / _REACHED, what)
    for order in _lines(folder / _ORDERS):
        if _meant(order, point) and _first_to(folder, order, point):
            os.kill(os.getpid(), signal.SIGKILL)


def _meant(order: dict[str, Any], point: str) -> bool:
    # The names of points hold brackets of nobody's patterns.
    fits = fnmatchcase(_PROCESS.role, order["role"]) and fnmatchcase(point, order["point"])
    counted = _ANY if order["point"] == _ANY else point
    return fits and _PROCESS.reached[counted] == int(order["count"])


def _first_to(folder: Path, order: dict[str, Any], point: str) -> bool:
    """Claim an order; of any number of processes, and after any number of restarts, one does."""
    mark = sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()[:16]
    about = {"at_role": _PROCESS.role, "at_point": point, "pid": os.getpid(), "time": time.time()}
    try:
        file = os.open(folder / f"killed-{mark}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(json.dumps({**order, **about}))
    return True


def _append(file: Path, value: dict[str, Any]) -> None:
    line = json.dumps(value, ensure_ascii=False) + "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        yield json.loads(line)
