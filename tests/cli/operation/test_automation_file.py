"""The file of automations is read strictly: what Prefect would drop in silence is an error."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml

from cli.operation.automation_file import FILE, Known, automation_of, read_automations
from platforms.errors import ParameterError

DEPLOYMENT, BLOCKS = uuid4(), [uuid4(), uuid4()]
KNOWN = Known({"recover-runs/all": DEPLOYMENT}, BLOCKS)


def described() -> dict[str, Any]:
    return {
        "name": "one",
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "expect": ["prefect.flow-run.Failed"],
        },
        "actions": [{"type": "notify", "subject": "s", "body": "b"}],
    }


def written(folder: Path, **content: Any) -> Path:
    path = folder / "automations.yaml"
    path.write_text(yaml.safe_dump({"automations": [described()], **content}), "utf-8")
    return path


def test_the_file_of_the_project_watches_what_it_should():
    found = read_automations()
    names = {each["name"].removeprefix("whippet: ") for each in found.automations}
    assert names >= {
        *("run failed", "run cancelled", "run does not start", "run gives no sign of life"),
        *("run takes long", "a person is asked", "verdict is an error", "cost above the limit"),
        *("endpoint near its end", "model deployed"),
    }
    for each in found.automations:
        made = automation_of(each, KNOWN)
        assert [str(action.block_document_id) for action in made.actions] == list(map(str, BLOCKS))
        for action in made.actions:
            assert "flow_run" in action.body


def change(place: str, key: str, value: Any = 1) -> Callable[[dict[str, Any]], None]:
    def changed(automation: dict[str, Any]) -> None:
        for part in filter(None, place.split(".")):
            automation = automation[int(part) if part.isdigit() else part]
        automation[key] = value

    return changed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (change("", "descripton"), "it has no key 'descripton'. did you mean 'description'?"),
        (change("trigger", "expcet", ["x"]), "trigger has no key 'expcet'. did you mean 'expect'?"),
        (change("trigger", "treshold"), "trigger has no key 'treshold'. did you mean 'threshold'?"),
        (change("actions.0", "subjcet"), "actions.0 has no key 'subjcet'. did you mean 'subject'?"),
        (change("actions.0", "type", "notfy"), "actions.0"),
        (change("trigger", "posture", "Reactiv"), "trigger"),
        (change("actions.0", "body", "{{ broken"), "no template"),
        (lambda automation: automation.pop("name"), "name: Field required"),
        (lambda automation: automation.pop("trigger"), "trigger: Field required"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_written_wrong_is_refused(tmp_path, wrong, said):
    automation = described()
    wrong(automation)
    with pytest.raises(ParameterError) as refused:
        read_automations(written(tmp_path, automations=[automation]))
    assert said in str(refused.value)
    assert "automations.yaml: automation" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"automation": []}, "automation: Extra inputs are not permitted"),
        ({"limits": {"cost_eur": 3}}, "limits.cost_eur: Extra inputs are not permitted"),
        ({"limits": {"cost_usd": -1}}, "limits.cost_usd: Input should be greater than 0"),
        ({"automations": {}}, "automations: Input should be a valid list"),
        ({"automations": [described(), described()]}, "two automations are called 'one'"),
    ],
)
def test_what_is_wrong_about_the_whole_is_refused(tmp_path, content, said):
    with pytest.raises(ParameterError, match=r"automations\.yaml") as refused:
        read_automations(written(tmp_path, **content))
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["automations: [", "", "- one\n- two", "\x00"])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "automations.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=r"automations\.yaml"):
        read_automations(path)
    with pytest.raises(ParameterError, match="cannot be read"):
        read_automations(tmp_path / "none.yaml")


def test_deployments_are_named_and_looked_up():
    automation = described()
    automation["actions"] = [{"type": "run-deployment", "deployment": "recover-runs/all"}]
    (action,) = automation_of(automation, KNOWN).actions
    assert (action.source, action.deployment_id) == ("selected", DEPLOYMENT)
    automation["actions"][0]["deployment"] = "recover-run/all"
    with pytest.raises(ParameterError, match="did you mean 'recover-runs/all'"):
        automation_of(automation, KNOWN)


def test_nobody_to_tell_is_no_error():
    (action,) = automation_of(described(), Known({}, [])).actions
    assert action.type == "do-nothing"


def test_what_is_read_is_not_changed():
    automation = described()
    before = deepcopy(automation)
    automation_of(automation, KNOWN)
    assert automation == before
    assert FILE.is_file()
    assert isinstance(DEPLOYMENT, UUID)
