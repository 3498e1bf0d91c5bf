"""``whippet doctor``: check the set-up, and rehearse a model archive before it costs money."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from PIL import Image

from cli.doctor.archive import Source, check_layout, fetch
from cli.doctor.checks import Check, failed, passed, print_checks, print_verdict
from cli.doctor.handlers import Picture, check_handlers
from cli.doctor.program import Bench, Patience
from cli.doctor.server import check_server
from cli.doctor.setup import check_job_environment, check_setup
from platforms import Settings
from platforms.errors import DataError, WhippetError
from platforms.settings import PROJECT_ROOT
from tasks.endpoints.predictions import CONTENT_TYPES

_SAMPLES = PROJECT_ROOT / "samples" / "clipart" / "test"
_SIDE_PIXELS = 320


def check_all(source: Source, image: Path | None) -> int:
    """Print every check; return 0 when all that are required passed.

    ``image`` is a good one to ask about.
    """
    settings = Settings()
    done = print_checks("Set-up", check_setup(settings))
    done += print_checks("Job environment", check_job_environment(settings))
    if any(check.name == "job environment" and check.outcome == "failed" for check in done):
        print("The model archive was not rehearsed: that needs the job environment.")
    else:
        with closing(rehearse(source, settings, image)) as checks:
            done += print_checks("Model archive", checks)
    print_verdict(done)
    return 1 if any(check.outcome == "failed" for check in done) else 0


def rehearse(
    source: Source, settings: Settings, image: Path | None, patience: Patience | None = None
) -> Generator[Check]:
    """Yield the checks of an archive; those that a failure makes pointless are left out.

    Works in a temporary folder and leaves neither files nor processes behind.
    """
    with _terminable(), tempfile.TemporaryDirectory(prefix="whippet-doctor-") as name:
        bench = Bench(
            folder=Path(name),
            job_python=settings.job_python,
            patience=patience or Patience(),
        )
        try:
            yield passed("archive", fetch(source, settings, bench))
        except WhippetError as error:
            yield failed("archive", str(error), "nothing else can be checked without an archive")
            return
        picture = _picture(image, bench)
        stages = (
            partial(check_layout, bench),
            partial(check_handlers, bench, picture),
            partial(check_server, bench, picture),
        )
        yield from _until_one_fails(stages)


def _until_one_fails(stages: Iterable[Callable[[], Iterator[Check]]]) -> Iterator[Check]:
    """Yield the checks of each stage; a failure in one makes the next ones pointless."""
    for stage in stages:
        failures = 0
        for check in stage():
            failures += check.outcome == "failed"
            yield check
        if failures:
            return


def good_image(option: str | None) -> Path | None:
    """Return the image to ask about: the user's, else a sample, else none.

    Raises:
        DataError: the user's is not there, or no JPEG or PNG.
    """
    if option is None:
        return next(iter(sorted(_SAMPLES.glob("*/*.jpg"))), None)
    path = Path(option).absolute()
    if not path.is_file():
        raise DataError(f"--image {option!r}: no such file")
    if path.suffix.lower() not in CONTENT_TYPES:
        raise DataError(f"--image {option!r} is not a JPEG or PNG by its name")
    return path


def _picture(image: Path | None, bench: Bench) -> Picture:
    if image is None:
        image = bench.folder / "good.jpg"
        Image.linear_gradient("L").resize((_SIDE_PIXELS, _SIDE_PIXELS)).convert("RGB").save(image)
    return Picture(path=image, content_type=CONTENT_TYPES[image.suffix.lower()])


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does: with the server stopped and the folder removed."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
