"""A run as one side of a comparison."""

from __future__ import annotations

from dashboards.browse.comparison import ComparedRun
from platforms import Settings
from tasks.browse.catalogue import parameter_groups, require_run, run_facts
from tasks.runs.output import training_output
from tasks.runs.record import read_run


def compared_run(settings: Settings, name: str) -> ComparedRun:
    """Return a run for a comparison.

    Raises:
        FileNotFoundError: there is no such run.
        ParameterError: its record cannot be read.
        ValueError: a file of its training job is not in its format.
    """
    require_run(settings, name)
    record = read_run(settings, name)
    groups = parameter_groups(record)
    # The verdict has a place of its own.
    facts = {key: value for key, value in run_facts(record) if key != "Verdict"}
    return ComparedRun(
        name=name,
        facts=facts,
        parameters={
            f"{group}.{key}": value
            for group, values in groups.items()
            for key, value in values.items()
        },
        verdict=record.verdict.sentence if record.verdict else "",
        output=training_output(settings.runs / name),
        data=record.data.fingerprint or "",
    )
