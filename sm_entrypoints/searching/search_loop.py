"""The whole search: generations are drawn, trained, told and kept, until the plan is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sm_entrypoints.contract import format_metrics
from sm_entrypoints.searching.first_heads import FirstHeads
from sm_entrypoints.searching.generation import Generation, Interrupted
from sm_entrypoints.searching.progress import Best, Progress, better
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.searching.sampler import Sampler
from sm_entrypoints.searching.shared_features import SharedFeatures
from sm_entrypoints.searching.trial import Trial

_SAID_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search found.

    ``resumed`` trials were taken over from before a kill; ``interrupted``: the job was asked to
    stop. ``best`` is of the trials that ended well; of those that were stopped where none did.
    """

    trials: list[Trial] = field(default_factory=list)
    best: Best | None = None
    resumed: int = 0
    interrupted: bool = False


class SearchLoop:
    """A search that runs once.

    Args:
        request: what to search.
        shared: what the trials read.
        first: the heads that they start from.
        progress: what was done before a kill.
        stopped: whether the job was asked to stop.
    """

    def __init__(
        self,
        request: SearchRequest,
        *,
        shared: SharedFeatures,
        first: FirstHeads,
        progress: Progress,
        stopped: Callable[[], bool],
    ) -> None:
        self._request = request
        self._shared = shared
        self._first = first
        self._progress = progress
        self._stopped = stopped
        self._found = Found()
        self._said = time.monotonic()

    def run(self, sampler: Sampler) -> Found:
        """Search until the plan is done, or the job is asked to stop."""
        found, plan = self._found, self._request.plan
        generations, found.best = self._progress.load(self._request)
        for trials in generations:
            sampler.tell(trials)
            found.trials += trials
        found.resumed = len(found.trials)
        if found.resumed:
            print(f"resumed after {found.resumed} of {plan.trials} trials", flush=True)
        count = math.ceil(plan.trials / plan.generation)
        for generation in range(len(generations), count):
            first, last = (plan.trials * place // count for place in (generation, generation + 1))
            if not self._generation(generation, sampler, range(first, last)):
                break
        self._say()
        return found

    def _generation(self, generation: int, sampler: Sampler, numbers: range) -> bool:
        """Run one generation; return whether it ran to its end."""
        texts = sampler.draw(numbers)
        trials = [
            Trial(number=number, texts=each, arguments=self._request.arguments(each))
            for number, each in zip(numbers, texts, strict=True)
        ]
        work = Generation(
            trials,
            shared=self._shared,
            first=self._first,
            pruning=self._request.plan.pruning,
            stopped=self._stopped,
        )
        try:
            work.run(self._ended)
        except Interrupted:
            self._interrupt(trials)
            return False
        sampler.tell(trials)
        self._found.trials += trials
        self._progress.save(generation, trials, self._found.best)
        self._progress.show(self._found.trials)
        self._say()
        return True

    def _ended(self, trial: Trial) -> None:
        if trial.status == "Completed":
            self._found.best = better(self._found.best, trial)
        if trial.status == "Failed":
            print(f"trial {trial.number + 1} failed: {trial.why}", flush=True)
        trial.head = None
        if time.monotonic() - self._said > _SAID_SECONDS:
            self._say()

    def _interrupt(self, trials: list[Trial]) -> None:
        found, now = self._found, time.time()
        found.interrupted = True
        begun = [trial for trial in trials if trial.started]
        for trial in begun:
            if trial.status == "InProgress":
                trial.end("Stopped", now, "the job was asked to stop")
        if found.best is None:
            for trial in begun:
                found.best = better(found.best, trial)
        found.trials += begun

    def _say(self) -> None:
        """Print how far the search is; trials of the current generation count when it ends."""
        self._said = time.monotonic()
        found = self._found
        values: dict[str, float] = {
            "search:trials_done": len(found.trials),
            "search:trials": self._request.plan.trials,
        }
        if found.best is not None:
            values["search:best_valid_loss"] = found.best.loss
        print(format_metrics(values), flush=True)
