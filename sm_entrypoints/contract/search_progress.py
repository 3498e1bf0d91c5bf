"""Where a packed search keeps its progress below its checkpoints, for who watches or goes on.

A generation of trials a file, and beside them ``trials.json``: the trials that have ended so far,
as the job delivers them. Standard library only.
"""

from __future__ import annotations

from sm_entrypoints.contract.search import SearchPlan

# Beside it are folders of features, whose names are 16 hexadecimal digits.
PROGRESS_PREFIX = "search-"


def progress_folder(plan: SearchPlan, job: str) -> str:
    """Return the name of the folder: the same for all attempts at one search.

    Args:
        plan: of any of the attempts.
        job: the name of that attempt's training job.
    """
    return f"{PROGRESS_PREFIX}{(*plan.continues, job)[0]}"
