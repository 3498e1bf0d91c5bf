"""A network in a choice, as far as it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sm_entrypoints.choosing.measures import Measures
from sm_entrypoints.choosing.standing import Standing, behind
from sm_entrypoints.contract.networks import Network, NetworkRow


@dataclass(slots=True, kw_only=True)
class Candidate:
    """Changed while the choice goes on.

    Attributes:
        source: where its weights come from, in words.
        identity: a digest of all that its standings depend on; progress of another one is void.
        standings: by the round, from 0.
        kept: those of an attempt that was killed, until a round takes them over.
        gap: how far behind the best one of its last round it was, with the standard error.
        computed: pictures whose features had not been kept before.
        seconds: for those.
        dropped: why it goes no further; empty while it may win.
    """

    network: Network
    source: str = ""
    identity: str = ""
    measures: Measures | None = None
    standings: dict[int, Standing] = field(default_factory=dict)
    kept: dict[int, Standing] = field(default_factory=dict)
    gap: tuple[float, float] | None = None
    computed: int = 0
    seconds: float = 0.0
    dropped: str = ""

    @property
    def name(self) -> str:
        """The network's name."""
        return str(self.network)

    @property
    def last(self) -> Standing | None:
        """How it stood in the last round that it took part in."""
        return self.standings[max(self.standings)] if self.standings else None

    @property
    def is_begun(self) -> bool:
        """Whether anything was found out about it, in whichever attempt."""
        return bool(self.kept or self.standings)

    @property
    def pictures(self) -> int:
        """How many pictures it was shown."""
        return self.last.train_pictures + len(self.last.right) if self.last else 0

    @property
    def flops(self) -> float:
        """Operations for a picture; what cannot be measured comes last."""
        return float(self.measures.flops) if self.measures else float("inf")

    @property
    def seconds_a_picture(self) -> float | None:
        """Seconds of features for one picture; None if all of them were kept."""
        return self.seconds / self.computed if self.computed else None

    def remembers(self, number: int, *, train: int, valid: int) -> bool:
        """Take over the kept standing of a round; return whether it is of so many pictures."""
        kept = self.kept.pop(number, None)
        if kept is None or (kept.train_pictures, len(kept.right)) != (train, valid):
            return False
        self.standings[number] = kept
        return True

    def compare(self, best: Candidate) -> None:
        """Note how far it is behind the best one of its last round."""
        if self.last and best.last and len(self.last.right) == len(best.last.right):
            self.gap = behind(self.last, best.last)

    def row(self, all_pictures: int) -> NetworkRow:
        """Return what the document says of it."""
        measures, last = self.measures, self.last
        gap, error = self.gap or (None, None)
        return {
            "network": self.name,
            "architecture": self.network.architecture,
            "source": self.source,
            "licence": self.network.licence,
            "parameters": measures.parameters if measures else None,
            "megabytes": measures.megabytes if measures else None,
            "gigaflops": measures.flops / 1e9 if measures else None,
            "milliseconds": measures.milliseconds if measures else None,
            "feature_seconds": self.seconds_a_picture,
            "share": self.pictures / all_pictures,
            "train_pictures": last.train_pictures if last else 0,
            "valid_pictures": len(last.right) if last else 0,
            "accuracy": last.accuracy if last else None,
            "accuracy_error": last.accuracy_error if last else None,
            "loss": last.loss if last else None,
            "loss_error": last.loss_error if last else None,
            "behind": gap,
            "behind_error": error,
            "dropped": self.dropped,
        }

    def document(self) -> dict[str, Any]:
        """Return what :meth:`take_over` needs after a kill."""
        return {
            "identity": self.identity,
            "measures": asdict(self.measures) if self.measures else None,
            "standings": {
                str(number): asdict(value)
                for number, value in {**self.kept, **self.standings}.items()
            },
            "computed": self.computed,
            "seconds": self.seconds,
        }

    def take_over(self, document: Mapping[str, Any]) -> None:
        """Take what was found out before a kill, if nothing has changed since.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: the document is damaged.
        """
        if document["identity"] != self.identity:
            return
        standings = {int(k): Standing(**v) for k, v in document["standings"].items()}
        measures = Measures(**document["measures"]) if document["measures"] else None
        computed, seconds = int(document["computed"]), float(document["seconds"])
        self.kept, self.measures = standings, measures or self.measures
        self.computed, self.seconds = computed, seconds
