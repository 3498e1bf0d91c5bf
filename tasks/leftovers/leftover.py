"""One thing that no live run owns: what it is, how old, what it costs, and why it goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

Kind = Literal["endpoint", "endpoint config", "model", "tuning job", "training job"]
_HOUR = Decimal(3600)
_MINUTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A resource that is to be removed, or a job that is to be stopped.

    Attributes:
        run: the run that made it, by its tag. why: why it goes, in words.
        usd_per_hour: what it bills, or would on AWS; 0 for what bills nothing, None where the
            price is by use, or not known: then ``no_price`` says so.
    """

    kind: Kind
    name: str
    status: str
    run: str
    created: datetime
    why: str
    usd_per_hour: Decimal | None = Decimal(0)
    no_price: str = ""

    def usd(self, now: datetime) -> Decimal | None:
        """Return what it has cost since it was created, at most; None if that is not known."""
        if self.usd_per_hour is None:
            return None
        seconds = Decimal(max(0, int((now - self.created).total_seconds())))
        return self.usd_per_hour * seconds / _HOUR

    def row(self, now: datetime) -> dict[str, str]:
        """Return its row of a table."""
        usd = self.usd(now)
        hour = self.no_price if self.usd_per_hour is None else f"{self.usd_per_hour:.4f}"
        return {
            "left behind": f"{self.kind} {self.name}",
            "status": self.status or "-",
            "run": self.run,
            "age": age(now - self.created),
            "USD per hour": hour,
            "USD so far": "-" if usd is None else f"{usd:.4f}",
            "why": self.why,
        }


def age(elapsed: timedelta) -> str:
    """Return an age in its two largest units: ``2 d 3 h``, ``3 h 20 min``, ``4 min``."""
    seconds = max(0, int(elapsed.total_seconds()))
    days, hours = divmod(seconds // 3600, 24)
    minutes = seconds % 3600 // _MINUTE
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
