"""Templates of work pools pass Prefect's own schema, and so do our deployments in them."""

from __future__ import annotations

import json

import pytest
import yaml
from prefect.server.schemas.actions import DeploymentCreate, WorkPoolCreate
from prefect.utilities.schema_tools import validate
from prefect.utilities.templating import find_placeholders

from cli.pools import DEFAULTS, HOME, KINDS, template_of
from tests.sources import ROOT

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_one_that_the_server_takes(kind):
    found = template_of(kind)
    WorkPoolCreate(name="whippet", type=kind, base_job_template=found)
    # Every placeholder of the job is a variable, and every default fits its variable.
    variables = found["variables"]["properties"]
    used = {each.name for each in find_placeholders(found["job_configuration"])}
    assert used <= set(variables)
    given = {**DEFAULTS[kind], "env": variables["env"]["default"]}
    validate(given, found["variables"], raise_on_error=True, ignore_required=True)
    assert variables["env"]["default"]["WHIPPET_HOME"] == HOME
    assert HOME in json.dumps(found["job_configuration"]) or HOME in json.dumps(given["volumes"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_deployment_fits_the_template_of(kind):
    found = template_of(kind)
    for each in DEPLOYMENTS:
        variables = each["work_pool"]["job_variables"]
        DeploymentCreate(
            name=each["name"],
            flow_id="00000000-0000-0000-0000-000000000000",
            job_variables=variables,
        ).check_valid_configuration(found)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="there is no template for 'nomad'"):
        template_of("nomad")
