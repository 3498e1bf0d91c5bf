"""The choice of a network: rounds of growing parts of the pictures, and who goes on after each.

A network is dropped when it cannot be used, when it can no longer win (it is more than
:data:`~sm_entrypoints.choosing.standing.HOPELESS` standard errors behind, counted on the same
pictures), or when it is not in the better half and another round follows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sm_entrypoints.choosing.candidate import Candidate
from sm_entrypoints.choosing.measures import measure
from sm_entrypoints.choosing.probe import HEADS, NoHeadLearned, Prober
from sm_entrypoints.choosing.progress import ChoiceProgress
from sm_entrypoints.choosing.rounds import Parts, Rounds
from sm_entrypoints.choosing.standing import hopeless, leader, pick
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.files import write_json
from sm_entrypoints.contract.networks import (
    NETWORKS_FILE,
    NETWORKS_VERSION,
    RULE,
    ChoiceCost,
    Network,
    NetworksDocument,
    read_networks,
)
from sm_entrypoints.contract.search import SearchPlanError
from sm_entrypoints.contract.sentences import clause, ended
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.images.channels import Splits
from sm_entrypoints.models.model import ModelError
from sm_entrypoints.models.weights import WeightsError
from sm_entrypoints.searching.generation import Interrupted
from sm_entrypoints.searching.progress import identity
from sm_entrypoints.searching.request import SearchRequest

# How a network is built; the job knows how, with its weights.
Build = Callable[[Network], Built]
_FINALISTS = 2
# Raised when standings mean something else than before: those that an older version kept are void.
_PROBE_VERSION = 2


class NoNetwork(JobError):
    """Raised when none of the networks can be used; says why the first one cannot."""


class Choice:
    """A choice that runs once.

    Args:
        prober: how networks are probed.
        splits: the pictures.
        build: builds a network with its weights.
        progress: what was found out before a kill.
    """

    def __init__(
        self, prober: Prober, splits: Splits, *, build: Build, progress: ChoiceProgress
    ) -> None:
        self._prober = prober
        self._splits = splits
        self._build = build
        self._progress = progress
        self._data = splits.fingerprint()
        self._built: dict[str, Built] = {}
        self._pictures = len(splits.train) + len(splits.valid)
        self._seconds = 0.0
        self._winner = ""
        self.interrupted = False
        self.candidates = [
            Candidate(network=each) for each in read_networks(prober.request.plan.networks)
        ]

    def run(self) -> Network:
        """Return the winner; of a choice that was asked to stop, the best one so far.

        Raises:
            NoNetwork: none of them can be used.
            DataSetError: a picture is bad.
        """
        started = time.perf_counter()
        try:
            winner = self._run()
        finally:
            self._seconds = time.perf_counter() - started
            self._built.clear()
        self._say(f"network {winner.name}: {RULE}")
        self._winner = winner.name
        return winner.network

    def _run(self) -> Candidate:
        for each in self.candidates:
            self._prepare(each)
        self.candidates.sort(key=lambda each: (each.flops, each.name))
        rounds = Rounds(self._splits, _flops(self._alive()))
        number, parts = 0, rounds.next(_flops(self._alive()))
        while parts is not None:
            try:
                for each in self._alive():
                    self._probe(each, number, parts)
            except Interrupted:
                self.interrupted = True
                break
            parts = self._judge(number, rounds)
            number += 1
        return self._picked()

    def _alive(self) -> list[Candidate]:
        alive = [each for each in self.candidates if not each.dropped]
        if not alive:
            first = self.candidates[0]
            raise NoNetwork(
                f"none of the {len(self.candidates)} networks can be used; {first.name}: "
                f"{first.dropped}"
            )
        return alive

    def _request(self, candidate: Candidate) -> SearchRequest:
        return self._prober.request.of_model(candidate.network.architecture)

    def _prepare(self, candidate: Candidate) -> None:
        """Build a network, measure it, and take over what was found out about it."""
        try:
            built = self._built[candidate.name] = self._build(candidate.network)
            candidate.measures = measure(built)
        except (ModelError, WeightsError) as error:
            self._drop(candidate, f"it cannot be used: {clause(error)}")
            return
        weights = built.card.fingerprints.get("weights", "")
        candidate.source = "pretrained weights" if built.pretrained else "random weights"
        request = self._request(candidate)
        digest = identity(request, frozen=weights, data=self._data)
        candidate.identity = f"{_PROBE_VERSION}:{digest}"
        self._progress.load(candidate)

    def _probe(self, candidate: Candidate, number: int, parts: Parts) -> None:
        train, valid = map(len, parts)
        if candidate.remembers(number, train=train, valid=valid):
            return
        if self._prober.stopped():
            raise Interrupted
        built, request = self._built[candidate.name], self._request(candidate)
        try:
            standing, use = self._prober.probe(built, parts, request)
        except (NoHeadLearned, ModelError, SearchPlanError) as error:
            self._drop(candidate, f"it cannot be used: {clause(error)}")
            return
        candidate.standings[number] = standing
        candidate.computed += use.computed
        candidate.seconds += use.seconds if use.computed else 0.0
        self._progress.save(self.candidates)
        self._say(
            f"network {candidate.name}: validation accuracy {standing.accuracy:.3f} ± "
            f"{standing.accuracy_error:.3f} after {standing.train_pictures} pictures"
        )

    def _judge(self, number: int, rounds: Rounds) -> Parts | None:
        """Drop those that cannot win any more; return what the better half sees next, if any."""
        alive = self._alive()
        standings = {each.name: each.standings[number] for each in alive}
        best = self._leader(alive, number)
        for each in alive:
            each.compare(best)
        lost = hopeless(standings, best.name)
        for each in alive:
            if each.name in lost:
                gap, error = lost[each.name]
                self._drop(
                    each,
                    f"it can no longer win: {100 * gap:.1f} ± {100 * error:.1f} points behind "
                    f"{best.name} on the same {len(standings[each.name].right)} pictures",
                )
        # The third round is that of the last two.
        most = _FINALISTS if number else max(_FINALISTS, math.ceil(len(alive) / 2))
        ahead = f"the best {most} of {len(alive)}"
        return self._halve(number, most, ahead, rounds) if len(self._alive()) > 1 else None

    def _halve(self, number: int, most: int, ahead: str, rounds: Rounds) -> Parts | None:
        """Drop all but ``most``, unless this was the last round."""
        ranked = sorted(
            self._alive(), key=lambda each: (-each.standings[number].accuracy, each.flops)
        )
        parts = rounds.next(_flops(ranked[:most]))
        for each in ranked[most:] if parts else ():
            self._drop(
                each,
                f"not among {ahead} after {each.standings[number].train_pictures} pictures",
            )
        return parts

    def _leader(self, among: Sequence[Candidate], number: int) -> Candidate:
        standings = {each.name: each.standings[number] for each in among}
        best = leader(standings, {each.name: each.flops for each in among})
        return next(each for each in among if each.name == best)

    def _picked(self) -> Candidate:
        """Return the winner among those that came furthest."""
        alive = self._alive()
        furthest = max((max(each.standings, default=-1) for each in alive), default=-1)
        if furthest < 0:  # stopped before anything was seen: the cheapest
            return alive[0]
        if any(furthest not in each.standings for each in alive) and furthest > 0:
            furthest -= 1  # stopped in mid-round: the last one that all have been in
        there = [each for each in alive if furthest in each.standings]
        best = self._leader(there, furthest)
        standings = {each.name: each.standings[furthest] for each in there}
        speeds = {each.name: each.measures.milliseconds for each in there if each.measures}
        name = pick(standings, best.name, speeds)
        for each in there:
            each.compare(best)
        return next(each for each in there if each.name == name)

    def _drop(self, candidate: Candidate, why: str) -> None:
        candidate.dropped = why
        self._built.pop(candidate.name, None)
        self._say(f"network {candidate.name} is left out: {why}")

    def _say(self, sentence: str) -> None:
        print(ended(sentence), flush=True)

    def write(self, folder: Path) -> None:
        """Write ``networks.json``, the winner first, then by how far they came."""
        folder.mkdir(parents=True, exist_ok=True)
        ranked = sorted(
            self.candidates,
            key=lambda each: (
                each.name != self._winner,
                -each.pictures,
                -(each.last.accuracy if each.last else -1),
                each.name,
            ),
        )
        document: NetworksDocument = {
            "version": NETWORKS_VERSION,
            "rule": RULE,
            "winner": self._winner,
            "heads": HEADS,
            "networks": [each.row(self._pictures) for each in ranked],
            "cost": self._cost(),
        }
        write_json(folder / NETWORKS_FILE, document)

    def _cost(self) -> ChoiceCost:
        seen = [each for each in self.candidates if each.standings and each.measures]
        flops = [(each.flops, each.pictures) for each in seen]
        timed = [(s, each.pictures) for each in seen if (s := each.seconds_a_picture) is not None]
        return {
            "pictures": sum(each.pictures for each in seen),
            "all_pictures": self._pictures * len(seen),
            "computed": sum(each.computed for each in seen),
            "flops_ratio": _ratio(flops, self._pictures),
            "seconds_ratio": _ratio(timed, self._pictures) if len(timed) == len(seen) else None,
            "seconds": self._seconds,
        }


def _flops(among: Sequence[Candidate]) -> list[float]:
    return [each.flops for each in among]


def _ratio(shown: Sequence[tuple[float, int]], pictures: int) -> float | None:
    """Return what was spent, as a share of showing all pictures to each network."""
    whole = sum(each * pictures for each, _ in shown)
    return sum(each * count for each, count in shown) / whole if whole else None
