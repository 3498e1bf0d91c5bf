"""Have the job environment examine a checked data set; keep its features for the next time."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from obstore.store import LocalStore

from dashboards.files.pictures import PictureFindings, read_picture_findings
from platforms import Platform
from platforms.errors import DataError
from platforms.job_environment import ENTRY_POINTS, require_job_python
from sm_entrypoints.contract import SPLITS, WEIGHTS_FILE
from tasks.dataset.checking.check import DataCheck
from tasks.features.places import features_root
from tasks.job_environment.spoken import run_spoken
from tasks.job_environment.weights import IMAGENET, prepare_weights
from tasks.storage.uris import download

PROGRAM = ENTRY_POINTS / "examine.py"
# A pass over a hundred thousand pictures on a small machine; a hung disk ends here.
_SECONDS = 6 * 3600.0


def examine(
    platform: Platform,
    check: DataCheck,
    output: Path,
    *,
    model: str,
    progress: Callable[[str], None],
) -> PictureFindings:
    """Write ``pictures.json`` and its pictures into ``output``, and return what was found.

    Features are kept with those of runs, in ``features/`` of the project's folder where the bucket
    is elsewhere, unless nothing is to be kept. An earlier output is replaced by a complete one
    only.

    Raises:
        DataError: there are no ImageNet weights of ``model`` here, or the examination failed.
        SettingsError: the job environment is missing.
    """
    settings = platform.settings
    require_job_python(settings.job_python)
    prepared = prepare_weights(
        IMAGENET,
        model,
        job_python=settings.job_python,
        cache=settings.home / "weights",
        fetch=lambda uri, path: download(platform, uri, path),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".examine-") as folder:
        work = Path(folder)
        fresh, weights = work / "output", work / "weights"
        weights.mkdir()
        if prepared.file is not None:
            (weights / WEIGHTS_FILE).symlink_to(prepared.file.resolve())
        manifest = work / "manifest.json"
        manifest.write_text(json.dumps(_manifest(check, model)), encoding="utf-8")
        command = [str(settings.job_python), str(PROGRAM), str(manifest)]
        command += ["--output", str(fresh), "--weights", str(weights)]
        command += _features(platform, check.name)
        run_spoken(command, progress=progress, seconds=_SECONDS)
        shutil.rmtree(output, ignore_errors=True)
        fresh.rename(output)
    found = read_picture_findings(output)
    if found is None:
        raise DataError(f"{PROGRAM.name} left no findings in {output}")
    return found


def _features(platform: Platform, dataset: str) -> list[str]:
    """Return the options that say where features are kept, if they are.

    Where buckets are folders of this machine that is where runs keep them, so that either starts
    warm after the other.
    """
    settings = platform.settings
    if not settings.features_gb:
        return []
    folder = settings.home / "features" / dataset
    store = platform.store(platform.defaults.bucket)
    if isinstance(store, LocalStore) and store.prefix is not None:
        folder = Path(store.prefix) / features_root(platform) / dataset
    return ["--features", str(folder.resolve())]


def _manifest(check: DataCheck, model: str) -> dict[str, object]:
    classes = check.classes
    number = {label: place for place, label in enumerate(classes)}
    return {
        "model": model,
        "root": str(check.root.resolve()),
        "classes": classes,
        "splits": {
            split: [
                # A converted picture lies elsewhere.
                [
                    str(Path(each.converted).resolve()) if each.converted else each.path,
                    number[each.label],
                ]
                for each in check.files
                if each.split == split
            ]
            for split in SPLITS
        },
    }
