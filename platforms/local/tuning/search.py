"""What to try next in a tuning job, and which running trial to stop: Optuna's decisions.

A :class:`Search` lives only in memory. The tuning supervisor feeds it from records on disk (values
tried, intermediate and final objective values), and every draw depends only on the seed, the
trial's number and what was fed before. A restarted supervisor therefore rebuilds the same search by
feeding it the same trials again.

How SageMaker's strategies map:

- ``Random``: ``RandomSampler``. ``Bayesian``: multivariate ``TPESampler`` (AWS uses Gaussian
  processes); running trials count as poor so that parallel trials differ (constant liar).
- ``Grid``: ``GridSampler``; every combination of the categorical values once.
- ``Hyperband``: ``RandomSampler`` and ``HyperbandPruner`` between ``MinResource`` and
  ``MaxResource``; one unit is one value of the objective metric (an epoch).
- ``TrainingJobEarlyStoppingType=Auto``: ``MedianPruner``. AWS stops a job whose current value is
  worse than the median of the running averages of earlier jobs; here a trial stops when its best
  value so far is worse than the median of earlier trials at the same epoch, so one bad epoch does
  no harm. The first three trials always run to their end.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState, create_trial

from platforms.local.tuning.search_space import SearchSpace, SearchSpaceError
from sm_entrypoints.contract.choices import Strategy

# Names the study so that Hyperband's brackets do not depend on the tuning job's name.
_STUDY_NAME = "tuning"
_EARLY_STOPPING_STARTUP_TRIALS = 3
# Random draws before the model of the objective is used: Optuna's default of 10 would leave
# nothing of a small search.
_TPE_STARTUP_TRIALS = 5
# Jobs repeat their final objective once at the end, so one value more than MaxResource is normal.
_REPEATED_VALUES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What a tuning request says about the search."""

    strategy: Strategy
    space: SearchSpace
    maximize: bool
    seed: int
    early_stopping: bool = False
    min_resource: int = 1
    max_resource: int = 1


class Search:
    """An Optuna study that proposes trials and takes their results.

    Trials have numbers from 0 in the order in which they were proposed. Not thread safe.

    Example:
        >>> from platforms.local.tuning.search import Search, SearchPlan
        >>> from platforms.local.tuning.search_space import search_space
        >>> lr = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}
        >>> space = search_space({"ContinuousParameterRanges": [lr]})
        >>> search = Search(SearchPlan(strategy="Random", space=space, maximize=False, seed=7))
        >>> search.propose(0)
        {'lr': '0.018...'}
        >>> search.report(0, [0.9, 0.7])  # whether to stop the trial
        False
        >>> search.finish(0, 0.7)
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self._handles: dict[int, Trial] = {}
        self._reported: dict[int, int] = {}
        # Optuna announces every study on stderr; a person asked for a tuning job, not for a study.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            study_name=_STUDY_NAME,
            direction="maximize" if plan.maximize else "minimize",
            pruner=_pruner(plan),
        )

    def learn(self, hyperparameters: Mapping[str, str], value: float) -> bool:
        """Add a finished trial of a parent tuning job; call before the first proposal.

        Returns:
            False when the trial does not fit in this search space and was left out. A grid needs
            no history, so it learns nothing.
        """
        if self._plan.strategy == "Grid":
            return False
        try:
            drawn = self._plan.space.decode(hyperparameters)
        except SearchSpaceError:
            return False
        self._study.add_trial(
            create_trial(params=drawn, distributions=self._plan.space.distributions, value=value)
        )
        return True

    def propose(self, number: int) -> dict[str, str]:
        """Return the hyperparameters of trial ``number``, which must be the next one."""
        self._require_next(number)
        self._study.sampler = self._sampler(number)
        trial = self._study.ask(self._plan.space.distributions)
        self._handles[number] = trial
        return self._plan.space.encode(trial.params)

    def adopt(self, number: int, hyperparameters: Mapping[str, str]) -> None:
        """Add trial ``number``, proposed before this process started, as running.

        Raises:
            SearchSpaceError: the values are not of this search space.
        """
        self._require_next(number)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=self._plan.space.decode(hyperparameters),
                distributions=self._plan.space.distributions,
            )
        )
        newest = self._study.get_trials(deepcopy=False)[-1]
        self._handles[number] = Trial(self._study, newest._trial_id)

    def report(self, number: int, values: Sequence[float]) -> bool:
        """Report all objective values of a running trial so far; return whether to stop it. Only
        new values are considered, one by one, so that the decision does not depend on how often the
        log is read.
        """
        trial, start = self._handles[number], self._reported.get(number, 0)
        stop = False
        for step, value in enumerate(values[start:], start=start + 1):
            trial.report(value, step)
            stop = stop or trial.should_prune()
        self._reported[number] = max(start, len(values))
        limit = self._plan.max_resource + _REPEATED_VALUES
        return stop or (self._plan.strategy == "Hyperband" and len(values) > limit)

    def finish(self, number: int, value: float | None, *, stopped: bool = False) -> None:
        """Report the end of a trial: its objective, or None if it has none."""
        trial = self._handles.pop(number)
        # A grid sampler would end an optimisation loop that we do not run.
        self._study.sampler = RandomSampler()
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif stopped and self._reported.get(number):
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, value)

    def _require_next(self, number: int) -> None:
        expected = len(self._reported)
        if number != expected:
            raise ValueError(f"trial {number=} is not the next one ({expected=})")
        self._reported[number] = 0

    def _sampler(self, number: int) -> BaseSampler:
        """Return a fresh sampler: its state must survive a restart, so it has none."""
        seed = _seed(self._plan.seed, number)
        if self._plan.strategy == "Grid":
            return GridSampler(self._plan.space.grid, seed=self._plan.seed % 2**32)
        if self._plan.strategy == "Bayesian":
            return _tpe_sampler(seed)
        return RandomSampler(seed=seed)


def _tpe_sampler(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        # Optuna calls both options experimental since 2020; the search does not depend on them.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            seed=seed,
            multivariate=True,
            constant_liar=True,
            n_startup_trials=_TPE_STARTUP_TRIALS,
        )


def _pruner(plan: SearchPlan) -> BasePruner:
    if plan.strategy == "Hyperband":
        return HyperbandPruner(min_resource=plan.min_resource, max_resource=plan.max_resource)
    if plan.early_stopping:
        return MedianPruner(n_startup_trials=_EARLY_STOPPING_STARTUP_TRIALS)
    return NopPruner()


def _seed(seed: int, number: int) -> int:
    """Return a 32-bit seed for one trial: same search seed and number, same draw."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
