"""The statuses in which SageMaker's training, tuning and transform jobs end."""

from __future__ import annotations

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
