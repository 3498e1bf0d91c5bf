"""The page docs/hyperparameters.md, from the table of hyperparameters.

python -m sm_entrypoints.contract.documentation > docs/hyperparameters.md
"""

from __future__ import annotations

from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS, Hyperparameter

_HEAD = """# The hyperparameters of training

`whippet run --set NAME=VALUE` gives a hyperparameter to every job of a run, `--range` searches it
([the search](tuning.md)), and the forms take both (`tuning.fixed`, `training.hyperparameters`).
Values are checked before anything runs, and by the job again. `--model`, `--image-size`,
`--trainable`, `--epochs`, `--seed` and `--rule` are options of their own.

The last column is what `whippet improve --change NAME=VALUE` measures: the time, or the loss of
validation. A change marked *same model* gives the same numbers, only sooner or later.

| name | values | default | what it is for | a change is judged by |
|---|---|---|---|---|
"""


def hyperparameters_markdown() -> str:
    """Return the whole page, in alphabetical order."""
    identifying = [f"`{row.name}`" for row in HYPERPARAMETERS.values() if row.identifies]
    rows = "".join(map(_row, HYPERPARAMETERS.values()))
    same = f"{', '.join(identifying[:-1])} and {identifying[-1]}"
    return f"{_HEAD}{rows}\nA checkpoint only continues a training with the same {same}.\n"


def _row(row: Hyperparameter) -> str:
    allowed = f"{row.allowed}, or none" if row.optional else row.allowed
    default = "none" if row.default is None else row.default
    judged_by = f"{row.judged_by or '-'}{', *same model*' if row.same_numbers else ''}"
    return f"| `{row.name}` | {allowed} | {default} | {row.help} | {judged_by} |\n"


if __name__ == "__main__":
    print(hyperparameters_markdown(), end="")
