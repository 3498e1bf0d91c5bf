"""What to try next: Optuna's decisions, a generation at a time.

A draw depends on the seed of the plan, the trial's number and the generations that were told
before, never on time: a search that was killed draws the same again. Where nothing is known yet,
the first generation is spread evenly: a scrambled Sobol sequence leaves no part of a range out.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
import torch
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial
from torch.quasirandom import SobolEngine

from sm_entrypoints.contract.search import SearchPlan
from sm_entrypoints.searching.space import Space
from sm_entrypoints.searching.trial import Trial

_STATES = {
    "Completed": TrialState.COMPLETE,
    "Stopped": TrialState.PRUNED,
    "Failed": TrialState.FAIL,
}
# Draws that are random before losses are looked at: fewer than Optuna's ten, as in the search of
# single jobs, so that the second generation of a small search learns already.
_RANDOM_DRAWS = 5


class Sampler:
    """An Optuna study that is asked for generations, and told their ends."""

    def __init__(self, plan: SearchPlan) -> None:
        self.space = Space(plan)
        self._plan = plan
        self._told: list[FrozenTrial] = []

    def draw(self, numbers: Iterable[int]) -> list[dict[str, str]]:
        """Return the hyperparameters of a generation, as texts, by its trials' numbers.

        Those that are drawn first count as poor for those after them, so that they differ.
        """
        numbers = list(numbers)
        if self._plan.sampling == "tpe" and 0 in numbers and len(self._told) < _RANDOM_DRAWS:
            return self._spread(len(numbers))
        # Optuna announces every study on stderr.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(study_name="search", direction="minimize")
        study.add_trials(self._told)
        texts = []
        for number in numbers:
            study.sampler = self._sampler(number)
            texts.append(self.space.texts(study.ask(self.space.distributions).params))
        return texts

    def _spread(self, count: int) -> list[dict[str, str]]:
        """Return a first generation, by torch's sequence: Optuna's takes SciPy, 0.7 s to import."""
        engine = SobolEngine(len(self.space.ranges), scramble=True, seed=self._plan.seed)
        points = engine.draw(count, dtype=torch.float64).tolist()
        return [self.space.texts(self.space.at(point)) for point in points]

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from a generation that has ended."""
        for trial in sorted(trials, key=lambda each: each.number):
            drawn = self.space.draw(trial.texts)
            if drawn is not None:
                self._add(drawn, _STATES[trial.status], trial.best_loss, trial.epochs)

    def learn(self, summaries: Iterable[Mapping[str, Any]]) -> int:
        """Learn from trials of an earlier search; return how many fit into this one."""
        learned = 0
        for summary in summaries:
            texts = summary.get("TunedHyperParameters") or {}
            final = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
            drawn = self.space.draw({str(name): str(text) for name, text in texts.items()})
            value = final.get("Value")
            finished = summary.get("TrainingJobStatus") == "Completed"
            if drawn is not None and finished and isinstance(value, int | float):
                self._add(drawn, TrialState.COMPLETE, float(value), 1)
                learned += 1
        return learned

    def _add(
        self, drawn: dict[str, Any], state: TrialState, value: float | None, step: int
    ) -> None:
        measured = value if state == TrialState.COMPLETE else None
        self._told.append(
            create_trial(
                state=state,
                params=drawn,
                distributions=self.space.distributions,
                value=measured,
                intermediate_values={} if value is None or measured is not None else {step: value},
            )
        )

    def _sampler(self, number: int) -> BaseSampler:
        """Return a fresh sampler: it has no state that a restart would lose."""
        digest = hashlib.sha256(f"{self._plan.seed}:{number}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        if self._plan.sampling == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            # Optuna calls both options experimental since 2020.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                seed=seed, multivariate=True, constant_liar=True, n_startup_trials=_RANDOM_DRAWS
            )
