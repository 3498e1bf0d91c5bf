"""The parameters that a run began with, for a run that goes on."""

from __future__ import annotations

from pydantic import ValidationError

from tasks.parameters.run import RUN_PARAMETERS, Parameters
from tasks.runs.record_model import RunRecord, newer_run


def recorded_parameters(run_record: RunRecord) -> dict[str, Parameters]:
    """Return the parameters of a run's record; groups that it does not name have their defaults.

    Raises:
        NewerRun: it has parameters that this version does not know.
        ValidationError: a value is out of its bounds.
    """
    parameters: dict[str, Parameters] = {}
    unknown: list[str] = []
    for name, model in RUN_PARAMETERS.items():
        try:
            parameters[name] = model.model_validate(run_record.group(name))
        except ValidationError as error:
            problems = error.errors(include_url=False)
            places = [each["loc"] for each in problems if each["type"] == "extra_forbidden"]
            if not places:
                raise
            unknown += [".".join(map(str, (name, *place))) for place in places]
    if unknown:
        raise newer_run(run_record.name, f"it has the parameters {', '.join(unknown)}")
    return parameters
