"""The README's pictures, of the newest run of ``WHIPPET_HOME``: ``make pictures``.

It needs that run's server (``whippet up``), Chromium and chromedriver. Nothing is drawn by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from cli.server.login import read_login, shell_file
from platforms import Settings
from tasks.runs.record import read_run
from tests.flows.workers import sourced
from tests.sources import ROOT
from tests.ui.browser import Person, person, programs, signs_in

PICTURES = ROOT / "docs" / "pictures"
SIZE = (1280, 718)
_COLOURS = 128
_NEWEST = "latest"


def main() -> int:
    """Make both pictures anew; return 1 and say why where that is not possible."""
    settings = Settings()
    newest = settings.runs / _NEWEST
    login = read_login(settings)
    if programs() is None or login is None or not (newest / "report.html").is_file():
        print("needed: chromium and chromedriver, `make demo`, and `whippet up`", file=sys.stderr)
        return 1
    run = read_run(settings, newest.resolve().name)
    url = sourced(shell_file(settings))["PREFECT_API_URL"].removesuffix("/api")
    with person(url) as visitor:
        visitor.driver.get((newest.resolve() / "report.html").as_uri())
        visitor.sees("verdict")
        keep(visitor, "report")
        signs_in(visitor, login)
        visitor.open(f"/v2/runs/flow-run/{run.flow_run_id}")
        visitor.sees("completed")
        visitor.clicks("Details")
        visitor.sees("endpoint up until")
        keep(visitor, "run")
    return 0


def keep(visitor: Person, name: str) -> None:
    """Keep a picture of the window in the documents, with few colours: it is read over networks."""
    shot = visitor.shoot(name, SIZE)
    PICTURES.mkdir(exist_ok=True)
    path: Path = PICTURES / f"{name}.png"
    Image.open(shot).convert("RGB").quantize(_COLOURS).save(path, optimize=True)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
