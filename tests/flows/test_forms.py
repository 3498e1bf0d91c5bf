"""The forms of the flows: what people see before a run, and what the server refuses then."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import jsonschema
import pytest
from jsonschema.exceptions import best_match
from prefect.utilities.callables import parameter_schema
from prefect.utilities.importtools import import_object
from prefect.utilities.schema_tools.validation import ValidationError, validate

from platforms.errors import ParameterError
from tasks.parameters.groups import ReleaseAdvanced
from tasks.parameters.options import RUN_OPTIONS
from tasks.parameters.run import RUN_PARAMETERS, DataParameters
from tasks.parameters.values import require_values
from tasks.runs.stages import _settled
from tests.sources import ROOT

FLOWS = sorted(
    {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "hooks", "naming"}
)
RELEASE = "release_model"
# What a form cannot fill in: which job, which picture.
NEEDED = {
    "deploy_model": {"training_job": "a-job"},
    "query_endpoint": {"request": {"endpoint": "an-endpoint", "image": "a.jpg"}},
    "transform_images": {"request": {"images": "pictures", "out": "labels.csv"}},
}


def flow_of(name: str) -> Any:
    return import_object(f"flows.{name}.{name}")


@cache
def schema_of(name: str) -> dict[str, Any]:
    """The schema as the server has it."""
    found = parameter_schema(flow_of(name).fn).model_dump_for_openapi()
    loaded: dict[str, Any] = json.loads(json.dumps(found))
    return loaded


def resolved(schema: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in described:
        return described
    return {**schema["definitions"][described["$ref"].rpartition("/")[2]], **described}


def fields_of(schema: dict[str, Any], *path: str) -> list[tuple[str, dict[str, Any]]]:
    """Every field of a form, by its path, groups included."""
    found = []
    at: dict[str, Any] = schema
    for each in path:
        at = resolved(schema, at["properties"][each])
    for name, described in at.get("properties", {}).items():
        found.append((".".join([*path, name]), resolved(schema, described)))
        found += fields_of(schema, *path, name)
    return found


def as_submitted(schema: dict[str, Any], at: dict[str, Any]) -> dict[str, Any]:
    """What a form sends when nothing is touched."""
    values: dict[str, Any] = {}
    for name, described in at["properties"].items():
        each = resolved(schema, described)
        inner = as_submitted(schema, each) if "properties" in each else {}
        given = each.get("default", inner or None)
        if given is not None:
            values[name] = {**inner, **given} if isinstance(given, dict) else given
    return values


def refusal(flow: str, **parameters: Any) -> str:
    """What the server says to parameters, and of which field; nothing when it takes them.

    It checks the schema each time, too, which takes ten times as long: here it is checked once.
    """
    worst = best_match(validate(parameters, schema_of(flow), ignore_required=False))
    return f"{worst.json_path}: {worst.message}" if worst else ""


def test_the_server_refuses_in_these_words():
    asked = {"tuning": {"max_jobs": 0}}
    with pytest.raises(ValidationError) as caught:
        validate(asked, schema_of(RELEASE), raise_on_error=True, ignore_required=False)
    path, _, why = refusal(RELEASE, **asked).partition(": ")
    assert str(caught.value).endswith(f"field {path.removeprefix('$.')!r}. Failure reason: {why}")
    validate({}, schema_of(RELEASE), raise_on_error=True, ignore_required=False)


@pytest.mark.parametrize("flow", FLOWS)
def test_every_field_is_one_control_with_a_title_and_a_text(flow):
    schema = schema_of(flow)
    jsonschema.Draft202012Validator.check_schema(schema)
    fields = fields_of(schema)
    assert fields
    for path, field in fields:
        # Several types would be tabs.
        assert isinstance(field.get("type"), str), path
        assert not field.keys() & {"anyOf", "oneOf", "allOf"}, path
        assert field["title"].strip()[0].isupper(), path
        assert field["description"].strip(), path
        assert not set(field["description"]) & set("`\n"), path
        assert field.get("default", ...) is not None, path
        assert isinstance(field["position"], int), path  # PostgreSQL forgets the order
        for bound in ("Minimum", "Maximum"):
            assert f"exclusive{bound}" not in field or bound.lower() in field, path


@pytest.mark.parametrize("flow", FLOWS)
def test_a_form_that_nobody_touched_is_accepted_and_means_the_defaults(flow):
    schema = schema_of(flow)
    needed = NEEDED.get(flow, {})
    sent = {**as_submitted(schema, schema), **needed}
    assert refusal(flow, **sent) == ""
    run = flow_of(flow)
    assert run.validate_parameters(sent) == run.validate_parameters(
        {**{name: p.default for name, p in _defaults(run).items()}, **needed}
    )


def _defaults(run: Any) -> dict[str, Any]:
    import inspect

    parameters = inspect.signature(run.fn).parameters.items()
    return {name: p for name, p in parameters if p.default is not p.empty}


def test_ten_fields_are_seen_first_and_all_others_at_the_end():
    schema = schema_of(RELEASE)
    seen = [path for path, _ in fields_of(schema) if path.count(".") == 1]
    assert seen[:10] == [
        "data.path",
        "model.architecture",
        "model.image_size",
        "tuning.max_jobs",
        "tuning.max_epochs",
        "training.fine_tune",
        "deployment.kind",
        "deployment.hours_to_live",
        "resources.instance_type",
        "resources.max_usd",
    ]
    groups = [name for name in schema["properties"] if name != "advanced"]
    assert seen[10:] == [f"advanced.{name}" for name in groups]
    assert [*schema["properties"]][-1] == "advanced"


def test_the_form_has_every_option_and_no_other_field():
    in_form = {
        path.removeprefix("advanced.")
        for path, _ in fields_of(schema_of(RELEASE))
        if path.count(".") == 1 + path.startswith("advanced.")
    }
    options = {each for option in RUN_OPTIONS for each in option.parameters.split()}
    # It has a list where the command line takes several names with commas.
    assert in_form == options | {"model.among"}
    assert all(option.title for option in RUN_OPTIONS)


@pytest.mark.parametrize(
    ("parameters", "field", "why"),
    [
        ({"tuning": {"max_jobs": 0}}, "tuning.max_jobs", "0 is less than the minimum of 1"),
        ({"tuning": {"max_jobs": "many"}}, "tuning.max_jobs", "'many' is not"),
        ({"tuning": {"max_jobs": 2.5}}, "tuning.max_jobs", "2.5 is not"),
        ({"tuning": {"max_job": 3}}, "tuning", "'max_job'"),
        ({"advanced": {"tuning": {"fixed": {"optimiser": "x"}}}}, "fixed", "'optimiser'"),
        ({"advanced": {"tuning": {"ranges": {"lrr": {}}}}}, "ranges", "'lrr'"),
        ({"model": {"architecture": "resnt18"}}, "model.architecture", "'resnt18' is not one of"),
        ({"model": {"image_size": 5000}}, "model.image_size", "maximum of 1024"),
        ({"advanced": {"model": {"weights": ""}}}, "advanced.model.weights", "non-empty"),
        ({"data": {"path": ""}}, "data.path", "non-empty"),
        ({"advanced": {"data": {"valid_share": 0.5}}}, "advanced.data.valid_share", "maximum"),
        ({"data": {"valid_share": 0}}, "data.valid_share", "minimum"),
        ({"advanced": {"data": {"nmae": "x"}}}, "advanced.data", "'nmae'"),
        ({"advanced": {"data": {"splits": {"Train": "x"}}}}, "advanced.data.splits", "Train"),
        ({"deployment": {"kind": "real time"}}, "deployment.kind", "is not one of"),
        ({"deployment": {"hours_to_live": 0}}, "deployment.hours_to_live", "minimum"),
        ({"advanced": {"deployment": {"memory_mb": 3000}}}, "memory_mb", "3000"),
        ({"resources": {"instance_type": "m5.large"}}, "resources.instance_type", "does not match"),
        ({"resources": {"max_usd": -1}}, "resources.max_usd", "minimum"),
        ({"resources": {"max_usd": "five"}}, "resources.max_usd", "'five' is not"),
        ({"advanced": {"training": {"epochs": -1}}}, "advanced.training.epochs", "minimum"),
        ({"advanced": {"training": {"rules": {"Overfit": "explode"}}}}, "rules", "'explode'"),
        ({"advanced": {"training": {"rules": {"Overfitt": "stop"}}}}, "rules", "'Overfitt'"),
        ({"training": {"hyperparameters": {"lrr": 1}}}, "training.hyperparameters", "'lrr'"),
        ({"data": None}, "data", "None is not of type 'object'"),
        ({"advanced": {"tuning": {"fixed": {"lr": "fast"}}}}, "fixed.lr", "'fast' does not match"),
        ({"advanced": {"tuning": {"fixed": {"lr": -1}}}}, "fixed.lr", "-1 is less than or equal"),
        ({"training": {"hyperparameters": {"batch_size": 0}}}, "s.batch_size", "minimum of 1"),
        ({"training": {"hyperparameters": {"views": True}}}, "views", "True is not of type"),
        (
            {"advanced": {"training": {"hyperparameters": {"optimizer": "adamx"}}}},
            "hyperparameters.optimizer",
            "'adamx' is not one of ['adam', 'adamw', 'sgd']",
        ),
        (
            {"advanced": {"model": {"among": "resnet18, resnet99"}}},
            "advanced.model.among",
            "'resnet18, resnet99' does not match",
        ),
    ],
    ids=str,
)
def test_nonsense_is_refused_before_a_run_exists_with_the_name_of_its_field(parameters, field, why):
    said = refusal(RELEASE, **parameters)
    assert field in said
    assert why in said


@pytest.mark.parametrize(
    "values",
    [
        {"lr": "0.01", "batch_size": 32, "backbone_lr": "none", "epochs": "4.0", "eps": 1e-8},
        {"optimizer": "sgd", "cache_features": True, "channels_last": "auto", "momentum": 0},
        {"model": "resnet18", "views": "4", "augmentation": "standard", "label_smoothing": "1e-1"},
    ],
)
def test_values_of_every_kind_are_taken(values: dict[str, Any]) -> None:
    assert refusal(RELEASE, advanced={"training": {"hyperparameters": values}}) == ""
    require_values(values)


@pytest.mark.parametrize("names", ["", "auto", "resnet18", "resnet18 , resnet50:IMAGENET1K_V1"])
def test_networks_to_choose_among_are_taken(names: str) -> None:
    assert refusal(RELEASE, advanced={"model": {"among": names}}) == ""


def typed_wrong() -> list[tuple[str, str, str]]:
    """The rows of the table in docs/troubleshooting.md: field, what was typed, why not."""
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    return re.findall(r"^\| `([\w.]+)` \| `(.+?)` \| `(.+?)` \| .+ \|$", page, re.M)


def test_the_table_of_what_was_typed_wrong_is_long_enough_to_help():
    assert len({field for field, _, _ in typed_wrong()}) >= 12


@pytest.mark.parametrize(("field", "typed", "reason"), typed_wrong(), ids=str)
def test_what_was_typed_wrong_is_refused_in_the_words_of_the_table(field, typed, reason):
    *groups, last = field.split(".")
    asked = {last: json.loads(typed)}
    for group in reversed(groups):
        asked = {group: asked}
    path, _, why = refusal(RELEASE, **asked).removeprefix("$.").partition(": ")
    # What is wrong inside a field is named after it; a name that is not known, by its group.
    assert path.startswith(field) or (path == ".".join(groups) and f"'{last}'" in why)
    whole, cut = reason.removesuffix("…"), reason.endswith("…")
    assert why.startswith(whole) if cut else why == whole


@pytest.mark.parametrize(
    "parameters",
    [
        # As a form sends it, as README and scripts do, and as `whippet run` records it.
        {"data": {"path": "d"}, "advanced": {"data": {"valid_share": 0.2, "name": "mine"}}},
        {"data": {"path": "d", "valid_share": 0.2, "name": "mine"}},
        {"data": {"path": "d", "valid_share": 0.2, "name": "mine", "path_typed": None}},
    ],
    ids=str,
)
def test_uncommon_fields_may_be_given_in_their_group_too(parameters):
    assert refusal(RELEASE, **parameters) == ""
    found = flow_of(RELEASE).validate_parameters(parameters)
    data = found.get("advanced", ReleaseAdvanced()).settle("data", found["data"])
    assert (data.path, data.valid_share, data.name) == ("d", 0.2, "mine")


def test_what_was_emptied_in_a_form_is_the_default():
    emptied = {
        "tuning": {"max_jobs": None},
        "resources": {"max_usd": None},
        "advanced": {
            "data": {"name": None, "splits": None},
            "tuning": {"ranges": None},
            "resources": {"max_wait_seconds": None},
            "model": {},
        },
    }
    assert refusal(RELEASE, **emptied) == ""
    found = flow_of(RELEASE).validate_parameters(emptied)
    assert found["tuning"].max_jobs is None
    assert found["advanced"].settle("data", DataParameters()) == DataParameters()


def test_networks_to_choose_among_are_one_text():
    asked = {
        "model": {"architecture": "resnet18"},
        "advanced": {"model": {"among": "mobilenet_v2, resnet34"}},
    }
    assert refusal(RELEASE, **asked) == ""
    found = flow_of(RELEASE).validate_parameters(asked)
    model = found["advanced"].settle("model", found["model"])
    assert model.architecture == "mobilenet_v2,resnet34"
    assert "among" not in model.model_dump()


@pytest.mark.parametrize(
    ("group", "given", "changed", "said"),
    [
        ("data", {"seed": 1}, {"seed": 2}, "data.seed is given twice"),
        ("data", {}, {"sede": 2}, "there is no 'sede': did you mean 'seed'"),
        ("model", {}, {"amogn": "resnet18"}, "did you mean 'among'"),
        ("model", {}, {"among": "resnt18"}, "advanced.model.architecture: .*did you mean resnet18"),
        ("tunning", {}, {"seed": 1}, "there is no group 'tunning': did you mean 'tuning'"),
        ("resources", {}, {"spot": True, "keep_alive_seconds": 9}, "spot instances cannot be"),
        ("data", {}, 3, "dict"),
    ],
    ids=str,
)
def test_what_a_form_cannot_mean_is_refused(group, given, changed, said):
    models = {
        name: model.model_validate(given if name == group else {})
        for name, model in RUN_PARAMETERS.items()
    }
    with pytest.raises((ValueError, ParameterError), match=said):
        ReleaseAdvanced.model_validate({group: changed}).settle(group, models[group])


def test_the_record_of_a_run_has_its_parameters_by_group():
    asked = {"data": {"path": "d"}, "advanced": {"data": {"valid_share": 0.2, "test_share": 0.15}}}
    found = flow_of(RELEASE).validate_parameters(asked)
    plain = {name: value.model_dump(mode="json") for name, value in found.items()}
    settled = _settled(plain)
    assert settled.keys() == RUN_PARAMETERS.keys()
    data = DataParameters.model_validate(settled["data"])
    assert data == DataParameters(path="d", valid_share=0.2)
