"""Tasks that put data, weights and code where jobs find them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from platforms import Platform, connect
from platforms.errors import shown
from platforms.files import write_atomically
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract import TRAIN_CHANNEL
from sm_entrypoints.contract.networks import AUTO, Network
from sm_entrypoints.contract.strangers.tables import table
from tasks.cancelling.watch import CancelWatch
from tasks.dataset.checking.check import DataCheck, check_data
from tasks.dataset.checking.memory import open_memory
from tasks.dataset.document import write_document
from tasks.dataset.findings import DataProblems
from tasks.dataset.identity import SCHEME
from tasks.dataset.markdown import data_markdown
from tasks.dataset.sameness import require_same_pictures
from tasks.dataset.source import bring_source, data_root, dataset_name, is_remote, require_folder
from tasks.dataset.syncing.sync import sync_data
from tasks.features.kept import GIGABYTE, list_kept, remove, surplus
from tasks.features.places import features_root, features_uri, mark
from tasks.job_environment.networks import StagedWeights, bring_networks
from tasks.job_environment.source import package_source, upload_source
from tasks.job_environment.weights import (
    IMAGENET,
    PreparedWeights,
    kept_weights,
    prepare_weights,
    require_same_weights,
    upload_weights,
)
from tasks.parameters.run import DataParameters, ModelParameters
from tasks.requests.inputs import SyncedData
from tasks.runs.names import RunIdentity
from tasks.runs.progress import Progress
from tasks.runs.record import PROBLEMS_FILE, SKIPPED_FILE, read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import DataFacts, SourceFacts, WeightsFacts
from tasks.runs.task_policy import policy
from tasks.storage.objects import StoreFailed
from tasks.storage.sync_progress import Moved
from tasks.storage.uris import download

_LOG_SECONDS = 10.0


@task(name="check data", task_run_name="check {parameters.shown_path}", **policy(3600))
def check_dataset(run: RunIdentity, parameters: DataParameters) -> DataCheck:
    """Check every image before anything is uploaded; publish what was found.

    Raises:
        DataError: it cannot be trained on, or the run began with other pictures.
    """
    platform = connect()
    settings, folder = platform.settings, run_folder(platform.settings, run.name)
    root = _bring(platform, parameters)
    try:
        with Progress("data-check") as progress:
            check = check_data(
                root,
                parameters.reading(),
                progress=progress.of,
                remembered=open_memory(settings.home / "data-check", root),
            )
    except DataProblems as error:
        place = shown(parameters.shown_path)
        raise error.listed_in(folder / PROBLEMS_FILE, place) from error
    before = read_run(settings, run.name)
    require_same_pictures(folder, before, check.files, check.fingerprint)
    check = replace(check, name=dataset_name(parameters, before))
    document = check.document(
        place=parameters.path if is_remote(parameters.path) else None,
        left_out_list=_list_skipped(folder, check),
    )
    write_document(folder, document)
    facts = DataFacts.model_validate({**document.as_json(), "scheme": SCHEME})
    record(settings, run, RunFacts(data=facts, seeds={"split": parameters.seed}))
    for warning in document.warnings:
        get_run_logger().warning("data: %s", warning.message)
    create_markdown_artifact(data_markdown(document), key="data-check", description="Data check")
    return check


def _bring(platform: Platform, parameters: DataParameters) -> Path:
    path = parameters.path
    if not is_remote(path):
        require_folder(path, parameters.shown_path)
        return data_root(path)
    get_run_logger().info("data: checking %s", path)
    with Progress("data-fetch") as progress:
        return bring_source(platform, path, progress=SyncLog(progress.of))


def _list_skipped(folder: Path, check: DataCheck) -> str | None:
    """Write every file that was left out, and why, into the run's folder; return the list's path.

    None when nothing was left out.
    """
    if not check.skipped:
        return None
    file = folder / SKIPPED_FILE
    text = table(("path", "reason"), check.skipped)
    write_atomically(file, text.encode(errors="surrogateescape"))
    get_run_logger().warning("data: the omitted files are listed in %s", file)
    return str(file)


class SyncLog:
    """Tells how far a sync is: a bar always, a line with rate and time left now and then."""

    def __init__(self, bar: Callable[[int, int], None]) -> None:
        """``bar`` is called with (bytes moved, bytes to move)."""
        self._bar = bar
        self._logger = get_run_logger()
        self._said = time.monotonic()
        self._watch = CancelWatch()

    def __call__(self, moved: Moved) -> None:
        """Take note of one more file; a run that was cancelled sends no other."""
        self._watch.look()
        self._bar(moved.bytes, moved.of_bytes)
        if time.monotonic() - self._said >= _LOG_SECONDS:
            self._said = time.monotonic()
            self._logger.info("data: %s", moved)


@task(name="sync data", task_run_name="sync {check.name}", **policy(6 * 3600))
def sync_dataset(run: RunIdentity, parameters: DataParameters, check: DataCheck) -> SyncedData:
    """Bring the data set to the bucket; existing objects are not transferred again."""
    platform = connect()
    name = check.name
    prefix = f"{platform.settings.prefix}/datasets/{name}"
    bucket = platform.defaults.bucket
    with Progress("data-sync") as progress:
        result = sync_data(
            check,
            platform.store(bucket),
            prefix,
            delete=parameters.delete_removed,
            progress=SyncLog(progress.of),
        )
    get_run_logger().info(
        "data %s: %d uploaded, %d already there, %d removed",
        name,
        result.uploaded,
        result.skipped,
        result.removed,
    )
    _make_room_for_features(platform, name)
    uri = f"s3://{bucket}/{result.prefix}"
    moved = {"uploaded": result.uploaded, "skipped": result.skipped, "removed": result.removed}
    record(platform.settings, run, RunFacts(data=DataFacts(uri=uri, dataset=name, **moved)))
    return SyncedData(
        dataset=name,
        uri=uri,
        features_uri=features_uri(platform, name),
        fingerprint=check.fingerprint,
        classes=check.classes,
        train_images=check.document().splits[TRAIN_CHANNEL].images,
    )


def _make_room_for_features(platform: Platform, dataset: str) -> None:
    """Mark where the features of the data set lie; remove old ones beyond the quota, if possible.

    Raises:
        StoreFailed: the place cannot be marked, so that no job could read from it.
    """
    store, root = platform.store(platform.defaults.bucket), features_root(platform)
    mark(store, root, dataset)
    quota = int(platform.settings.features_gb * GIGABYTE)
    try:
        too_much = list(surplus(list_kept(store, root), quota, spare=dataset))
        freed = remove(store, too_much)
    except StoreFailed as error:
        get_run_logger().warning("features: old ones stay: %s", error)
        return
    if too_much:
        get_run_logger().info(
            "features: removed %s, %.1f MB, to stay below WHIPPET_FEATURES_GB=%g",
            ", ".join(each.name for each in too_much),
            freed / 1e6,
            platform.settings.features_gb,
        )


@task(
    name="prepare weights", task_run_name="prepare weights of {model.architecture}", **policy(1800)
)
def stage_weights(run: RunIdentity, model: ModelParameters) -> StagedWeights:
    """Bring the weights to the bucket; return where they are, and their source."""
    platform = connect()
    prepared = _prepared(platform, model, str(model.first))
    before, kept = read_run(platform.settings, run.name), None
    if model.weights == IMAGENET:  # the source names the content, which a file's name does not
        kept = kept_weights(platform, before.weights, prepared)
    else:
        require_same_weights(before, prepared)
    uri = kept or upload_weights(
        prepared,
        platform.store(platform.defaults.bucket),
        platform.defaults.bucket,
        platform.settings.prefix,
    )
    # What ImageNet's weights lack is the head for other classes: as it should be.
    say = get_run_logger().info if model.weights == IMAGENET else get_run_logger().warning
    for note in prepared.notes:
        say("weights %s: %s", prepared.source, note)
    weights = WeightsFacts(source=prepared.source, sha256=prepared.sha256, uri=uri)
    record(platform.settings, run, RunFacts(weights=weights))
    _warn_of_licence(model.first)
    return StagedWeights(uri=uri, source=prepared.source)


def _prepared(platform: Platform, model: ModelParameters, network: str) -> PreparedWeights:
    return prepare_weights(
        model.weights,
        network,
        job_python=platform.settings.job_python,
        cache=platform.settings.home / "weights",
        fetch=lambda uri, path: download(platform, uri, path),
        typed=model.shown_weights,
    )


def _warn_of_licence(network: Network) -> None:
    if network.licence:
        get_run_logger().warning(
            "the weights of %s are under %s: not for commercial use", network, network.licence
        )


@task(
    name="prepare weights of networks",
    task_run_name="prepare weights of {model.architecture}",
    **policy(7200),
)
def stage_networks(run: RunIdentity, model: ModelParameters) -> StagedWeights:
    """Bring the weights of several networks to the bucket: together, and each alone.

    Of ``auto`` those are left out that no weights can be had for; a run that goes on keeps to the
    networks that it began with.

    Raises:
        DataError: there are none of a network that was named, or of ``auto`` of fewer than two.
    """
    platform = connect()
    earlier = read_run(platform.settings, run.name).weights
    asked = [str(each) for each in model.networks]
    names = [name for name in asked if name in earlier.networks] if earlier else []
    staged = bring_networks(
        platform,
        names or asked,
        prepare=lambda name: _prepared(platform, model, name),
        skip=model.architecture == AUTO,
        tell=get_run_logger().info,
    )
    for name in staged.networks:
        _warn_of_licence(Network.parse(name))
    weights = WeightsFacts(
        source=staged.source, uri=staged.uri, networks=staged.networks, left_out=staged.left_out
    )
    record(platform.settings, run, RunFacts(weights=weights))
    return staged


@task(name="package code", **policy(300))
def stage_source(run: RunIdentity) -> tuple[str, str]:
    """Bring the entry points to the bucket under their digest; return URI and digest."""
    platform = connect()
    archive = package_source(PROJECT_ROOT)
    bucket = platform.defaults.bucket
    uri = upload_source(archive, platform.store(bucket), bucket, platform.settings.prefix)
    record(platform.settings, run, RunFacts(code=SourceFacts(uri=uri, digest=archive.digest)))
    return uri, archive.digest
