"""Search the hyperparameters of a head in one SageMaker training job, its trials packed.

    python sm_entrypoints/search.py --model resnet18 --search '{"trials": 64, "ranges": {…}}'

Every picture is seen once by the frozen backbone; the heads of all trials are trained together on
what it saw (:mod:`sm_entrypoints.searching`), each with the numbers that ``train.py`` would give
it. ``search`` is a :class:`sm_entrypoints.contract.search.SearchPlan`; the other hyperparameters
are those of ``train.py``, for all trials. The best head is delivered as a whole model, and tested
on the features of the test split, in the numbers in which they were computed. A plan
with ``networks`` has one of them chosen first, by a few heads each, in
:mod:`sm_entrypoints.choosing`.

After SIGTERM what was found so far is delivered, without the test evaluation. A killed job that is
started again with the same checkpoint location goes on after the last generation that had ended;
so does the job of another name whose plan ``continues`` it.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    gc.disable()  # until all is imported: nothing of it is garbage
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch

from sm_entrypoints.choosing.job import choose, kept_features
from sm_entrypoints.contract import PARENTS_CHANNEL, WEIGHTS_FILE
from sm_entrypoints.contract.search import SearchPlanError
from sm_entrypoints.contract.search_progress import progress_folder
from sm_entrypoints.features.backbone import Built, feature_shape, tail_of
from sm_entrypoints.features.compute import rows_of
from sm_entrypoints.features.features import FeatureFolders, FeatureUse, features_of
from sm_entrypoints.images.batches import BatchOrder, TensorData, make_loader
from sm_entrypoints.images.channels import Split, Splits, read_splits
from sm_entrypoints.images.views import Views
from sm_entrypoints.job.clock import Clock, process_age
from sm_entrypoints.job.entry_point import run_entry_point
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.searching.delivery import BestModel, write_search_summary, write_trials
from sm_entrypoints.searching.first_heads import FirstHeads
from sm_entrypoints.searching.progress import Progress, identity
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.searching.sampler import Sampler
from sm_entrypoints.searching.search_loop import Found, SearchLoop
from sm_entrypoints.searching.shared_features import SharedFeatures, require_memory
from sm_entrypoints.training.checkpoint import frozen_digest
from sm_entrypoints.training.evaluation import Evaluation
from sm_entrypoints.training.feeds import features_on_device, tensor_data
from sm_entrypoints.training.network import require_batch
from sm_entrypoints.training.preparation import SMALL_IMAGE, build
from sm_entrypoints.training.state import NothingLearned, learning_tensors

# Debugger's automatic hook (sm_entrypoints/zero_code) leaves this program alone.
BRINGS_ITS_OWN_HOOK = True
# A test that calls main() is older than its search.
_IS_THE_JOB = __name__ == "__main__"
_TEST_BATCH = 1024


def run(request: SearchRequest, environment: Environment, stop: StopRequest) -> None:
    """Search, and write everything that the job delivers.

    Raises:
        JobError: the data, the weights or the hyperparameters do not allow it, or no trial
            learned anything.
        OSError: an output cannot be written.
    """
    clock = Clock.start(age=process_age() if _IS_THE_JOB else 0.0)
    seconds = {"start_up": clock.lap()}
    if environment.world_size > 1:
        raise SearchPlanError(
            f"a packed search runs in one process, but this job has {environment.world_size}: "
            "give it one instance, and no distribution"
        )
    if request.fixed.threads:
        torch.set_num_threads(request.fixed.threads)
    splits = read_splits(environment.channels)
    with kept_features(environment, several=bool(request.plan.networks)) as folders:
        file = WEIGHTS_FILE
        if request.plan.networks:
            request, file = _choice(request, environment, splits, folders, stop)
            seconds["choice"] = clock.lap()
        built = _network(request, environment, splits, file)
        seconds["initialization"] = clock.lap()
        shared, tested, use = _features(request, built, splits, folders)
    print(use, flush=True)
    seconds["features"] = clock.lap()
    found = _search(request, built, shared, environment=environment, splits=splits, stop=stop)
    seconds["search"] = clock.lap()
    write_trials(environment.output_data_dir, found.trials, environment.job_name)
    best = _deliver(request, built, found, environment)
    seconds["delivery"] = clock.lap()
    if best and splits.test and tested and not found.interrupted and not stop.agreed():
        _test(built, best, splits.test, tested)
    seconds["evaluation"] = clock.lap()
    measured = {
        "plan": json.loads(request.plan.to_json()),
        "fixed": asdict(request.fixed),
        "features": {**asdict(use), "shape": list(shared.train.shape)},
        "samples": {"train": len(splits.train), "valid": len(splits.valid)},
        "tail": shared.plan.way,
        "threads": torch.get_num_threads(),
        "device": built.compute.device.type,
        "seconds": {**seconds, "total": clock.total()},
    }
    document = best.document(environment.job_name) if best else None
    write_search_summary(environment.output_data_dir, found, measured, document)
    if best is None:
        raise NothingLearned(_why_nothing(found))
    print(best.last_line(), flush=True)


def _choice(
    request: SearchRequest,
    environment: Environment,
    splits: Splits,
    folders: FeatureFolders,
    stop: StopRequest,
) -> tuple[SearchRequest, str]:
    """Choose among the networks of the plan; return the search, and the file of weights."""
    chosen, network = choose(
        request,
        environment,
        splits,
        build=lambda each, file: _network(each, environment, splits, file),
        folders=folders,
        stopped=stop.agreed,
    )
    return chosen, network.weights_file


def _network(request: SearchRequest, environment: Environment, splits: Splits, file: str) -> Built:
    """Build the network that all trials share, and check that they can."""
    built = build(request.fixed, environment, splits, weights_file=file)
    if not built.frozen:
        raise SearchPlanError(
            "the trials cannot be packed into one job: there are no pretrained weights, so that "
            "the whole network learns and images have no features to share. Give the weights "
            "channel, or set trainable=head"
        )
    if not built.pretrained and "seed" in request.plan.ranges:
        raise SearchPlanError(
            "seed cannot be searched without pretrained weights: the backbone is random then, and "
            "another one for each seed. Give the weights channel, or one seed"
        )
    if request.fixed.image_size < SMALL_IMAGE:
        require_batch(built.model, built.card, smallest=2, frozen=True)
    return built


def _features(
    request: SearchRequest, built: Built, splits: Splits, folders: FeatureFolders
) -> tuple[SharedFeatures, TensorData | None, FeatureUse]:
    """Return what the trials read, what the best head is tested on, and what both cost."""
    read = [split for split in (splits.train, splits.valid, splits.test) if split]
    pictures = sum(map(len, read))
    views = rows_of(read, Views.of(request.fixed)) - pictures
    shape = feature_shape(built)
    require_memory(shape, pictures, views=views)
    features = features_of(read, built, request.fixed, folders=folders, shape=shape)
    train, valid, *test = (tensor_data(features, split, seed=request.fixed.seed) for split in read)
    shared = SharedFeatures.of(built.model, train, valid, built.compute)
    return shared, test[0] if test else None, features.use


def _search(
    request: SearchRequest,
    built: Built,
    shared: SharedFeatures,
    *,
    environment: Environment,
    splits: Splits,
    stop: StopRequest,
) -> Found:
    frozen = frozen_digest(built.model, learning_tensors(built.model, frozen=True))
    digest = identity(request, frozen=frozen, data=splits.fingerprint())
    folder = environment.checkpoint_dir / progress_folder(request.plan, environment.job_name)
    progress = Progress(
        folder if environment.checkpoint_dir.is_dir() else None,
        digest,
        job=environment.job_name,
        tell=lambda sentence: print(sentence, flush=True),
    )
    sampler = Sampler(request.plan)
    learned = sampler.learn(_parents(environment))
    if learned:
        print(f"learned from {learned} trials of earlier searches", flush=True)
    loop = SearchLoop(
        request,
        shared=shared,
        first=FirstHeads(built, shared.plan, request.fixed.seed),
        progress=progress,
        stopped=stop.agreed,
    )
    return loop.run(sampler)


def _parents(environment: Environment) -> list[Mapping[str, Any]]:
    """Return the trials in the channel of earlier searches, if there is one."""
    folder, trials = environment.channels.get(PARENTS_CHANNEL), list[Mapping[str, Any]]()
    for file in sorted(folder.rglob("*.json")) if folder else ():
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SearchPlanError(f"channel {PARENTS_CHANNEL}: {file.name}: {error}") from None
        trials += [each for each in document if isinstance(each, dict)]
    return trials


def _deliver(
    request: SearchRequest, built: Built, found: Found, environment: Environment
) -> BestModel | None:
    if found.best is None:
        return None
    trial = next(each for each in found.trials if each.number == found.best.trial)
    best = BestModel(built, found.best, trial, environment)
    best.deliver()
    return best


def _test(built: Built, best: BestModel, split: Split, features: TensorData) -> None:
    """Score the best head on the features of the test split: nothing is computed again."""
    clock = Clock.start(age=0.0)
    evaluation = Evaluation(
        network=tail_of(best.model),
        class_count=len(best.card.classes),
        prepare=features_on_device(built.compute),
    )
    batches = make_loader(features, BatchOrder(len(features), _TEST_BATCH), 0)
    scores = evaluation.score(batches, features.labels)
    best.deliver_test(split, scores, clock.total())


def _why_nothing(found: Found) -> str:
    if found.interrupted:
        return "the job was asked to stop before any trial had learned for an epoch"
    first = next((trial.why for trial in found.trials if trial.why), "there were none")
    return f"all {len(found.trials)} trials failed; the first one: {first}"


def main(argv: Sequence[str] | None = None, variables: Mapping[str, str] | None = None) -> int:
    """Run the job that ``argv`` and ``variables`` (default: this process's) describe.

    Returns:
        The exit code: 0, or 1 with the failure file written.
    """
    return run_entry_point("search", run, parse=SearchRequest.parse, argv=argv, variables=variables)


if __name__ == "__main__":
    gc.freeze()  # what was imported stays to the end: to take it apart there takes a second
    gc.enable()
    sys.exit(main())
