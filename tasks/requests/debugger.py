"""SageMaker's own Debugger, closed to new customers since 2026-07-30: try it, or do without.

What CreateTrainingJob answers to an account that may not use it is not documented, so any refusal
of the request that names Debugger or the profiler is treated as that answer. Whippet's
instrumentation runs inside the job and needs neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from botocore.exceptions import ClientError

from platforms.sagemaker_requests import TrainingRequest

MEMBERS = (
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
)
_NAMED = re.compile(r"debug|profil", re.IGNORECASE)
_REFUSALS = ("ValidationException", "AccessDeniedException", "AccessDenied", "OptInRequired")


@dataclass(slots=True, kw_only=True)
class DebuggerFallback:
    """Give up Debugger and profiler when the service refuses them; ``reason`` says so then.

    With ``insist``, a refusal stays an error.
    """

    insist: bool
    reason: str | None = field(default=None, init=False)

    def __call__(self, request: TrainingRequest, error: ClientError) -> TrainingRequest | None:
        """Return what to ask for instead, or None when something else is wrong."""
        details = error.response.get("Error", {})
        message = str(details.get("Message", ""))
        refused = details.get("Code") in _REFUSALS and _NAMED.search(message) is not None
        if self.insist or not refused or not any(member in request for member in MEMBERS):
            return None
        self.reason = message
        # Its tags stay, the digest too: it answers the same wish, so a resumed run adopts the job.
        kept = {key: value for key, value in request.items() if key not in MEMBERS}
        return cast(TrainingRequest, kept)
