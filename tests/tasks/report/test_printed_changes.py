"""Every change that a verdict, a rule or the lint can print is run, from the printed command.

The command that the report prints is read by the command line's own parser; what it stands for
becomes the request of a training job, instrumented as the flow instruments it; and train.py runs
with that request's hyperparameters and configuration files, on small pictures.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from cli.options import from_options
from cli.parser import build_parser
from platforms.settings import PROJECT_ROOT, Settings
from platforms.validation import validate
from sm_entrypoints.contract import HYPERPARAMETERS
from sm_entrypoints.rules.documentation import rules_markdown
from tasks.parameters.run import (
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.parameters.values import require_values
from tasks.report.rerun import change_commands
from tasks.requests.bodies import JobInputs, training_job_request
from tasks.requests.inputs import TrainingInputs
from tasks.requests.training import final_hyperparameters

VERDICT = sorted((PROJECT_ROOT / "sm_entrypoints/rules/verdict").glob("*.py"))
# The change that each place in the verdict makes, by the hyperparameters that it sets there.
CHANGES = {
    ("learning", "scaled_rate", "lr"): [{"lr": 0.0001}, {"lr": 0.01}],
    ("machine", "_change", "batch_size"): [{"batch_size": 64}],
    ("machine", "_change", "num_workers"): [{"num_workers": 2}],
    ("outcome", "no_better_than_guessing", "epochs"): [{"epochs": 2}],
    ("quality", "epochs_too_few", "epochs"): [{"epochs": 2}],
    ("quality", "epochs_too_many", "patience"): [{"patience": 3}],
    ("quality", "_less_overfit", "augmentation"): [
        {"augmentation": "standard"},
        {"augmentation": "standard", "cache_features": "auto"},
    ],
    ("quality", "_less_overfit", "augmentation,views"): [
        {"augmentation": "standard", "views": 4},
    ],
    ("quality", "_less_overfit", "label_smoothing"): [{"label_smoothing": 0.1}],
    ("quality", "_less_overfit", "weight_decay"): [{"weight_decay": 0.1}],
    ("quality", "underfit", "trainable"): [
        {"trainable": "all"},
        {"trainable": "all", "cache_features": "auto"},
    ],
    ("speed", "features_repeated", "cache_features"): [{"cache_features": "auto"}],
    ("speed", "waits_for_data", "num_workers"): [{"num_workers": 2}],
    ("speed", "too_many_threads", "num_workers"): [{"num_workers": 1}],
    ("speed", "too_many_threads", "threads"): [{"threads": 2}],
    ("speed", "batch_too_small", "batch_size"): [{"batch_size": 16}],
    ("speed", "cores_idle", "threads"): [{"threads": 2}],
    ("speed", "slow_numbers", "precision"): [{"precision": "auto"}],
    ("speed", "slow_layout", "channels_last"): [{"channels_last": "true"}],
}
# What advice and recommendations name in words, beside what is a verdict's change already.
IN_WORDS = [
    *({"patience": 2}, {"augmentation": "flip"}, {"augmentation": "none"}, {"trainable": "head"}),
    *({"cache_features": "auto"}, {"cache_features": "false"}, {"weights": "auto"}),
    {"instrumentation": "on"},
]
# Not advice: what the job had.
_NO_ADVICE = {("trainable", "all"), ("num_workers", "0"), ("precision", "float32")}
# The run that the verdict is about; a change that lifts cached features comes from one with them.
_QUICK = {"batch_size": 4, "epochs": 1, "lr": 0.001, "num_workers": 0, "threads": 1}
_MODEL = ModelParameters(architecture="squeezenet1_1", image_size=32)


def _changes() -> list[dict[str, object]]:
    every = [change for changes in CHANGES.values() for change in changes] + IN_WORDS
    return [change for index, change in enumerate(every) if change not in every[:index]]


def _places() -> set[tuple[str, str, str]]:
    """Return where the verdict makes changes, and the hyperparameters it sets there."""
    found = set()
    for path in VERDICT:
        for function in ast.parse(path.read_text("utf-8")).body:
            for call in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                made = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
                if made and call.func.attr == "set":
                    names = ",".join(sorted(keyword.arg or "**" for keyword in call.keywords))
                    found.add((path.stem, function.name, names))
    return found


def test_the_table_has_every_change_that_a_verdict_makes():
    assert _places() == set(CHANGES)


def test_no_finding_has_a_change_that_is_not_made_by_the_case():
    # Case.set keeps changes within what the next job takes; a literal would go round it.
    for path in VERDICT:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.keyword) and call.arg == "change":
                assert not isinstance(call.value, ast.Dict | ast.DictComp), path


def _texts() -> str:
    """Return all that rules, verdicts and the lint can say, as one text."""
    sources = [*VERDICT, *(PROJECT_ROOT / "tasks/lint").glob("*.py")]
    said = [
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join([rules_markdown(), *said])


def test_every_setting_that_is_named_in_words_is_in_the_table():
    known = "|".join(row.name for row in HYPERPARAMETERS.values() if row.domain)
    named = set(re.findall(rf"\b({known})=([\w.]+\w|\d)", _texts()))
    table = {(name, str(value)) for change in _changes() for name, value in change.items()}
    assert sorted(named - table - _NO_ADVICE) == []
    assert len(named & table) > 5


def test_every_option_and_command_that_is_named_exists():
    parser = build_parser()
    commands = {name: each for action in parser._actions for name, each in _choices(action)}
    options = {option for each in commands.values() for option in each._option_string_actions}
    text = _texts()
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text)) <= options
    named = set(re.findall(r"`whippet ([a-z-]+)", text))
    assert "improve" in named
    assert named <= set(commands)


def _choices(action):
    return action.choices.items() if isinstance(action.choices, dict) else ()


def _command(change, **tuning):
    """Return the printed command that runs everything with the change, as the parser reads it."""
    groups = {
        "data": DataParameters(),
        "model": _MODEL,
        "tuning": TuningParameters(**tuning),
        "training": TrainingParameters(),
        "resources": ResourceParameters(),
    }
    recorded = {name: group.model_dump(mode="json") for name, group in groups.items()}
    *_, (label, command) = change_commands("r", {**recorded, "deployment": None}, change)
    assert label == "Run everything again with the change"
    return from_options(build_parser().parse_args(command.split()[1:]))


def _request(change):
    fixed = {"cache_features": "true"} if "cache_features" in change and len(change) > 1 else {}
    chosen = _command(change, fixed=fixed)
    model = ModelParameters(**chosen["model"])
    training = TrainingParameters(**chosen["training"])
    TuningParameters(**chosen["tuning"])
    DeploymentParameters(**chosen["deployment"])
    inputs = TrainingInputs(
        dataset="pictures", data_uri="s3://bucket/data", classes=["a", "b"],
        train_images=24, source_uri="s3://bucket/source.tar.gz", source_digest="0",
        weights_uri="s3://bucket/weights/", weights_source="imagenet",
    )  # fmt: skip
    job = JobInputs(
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2",
        role_arn="arn:aws:iam::123456789012:role/whippet",
        source_uri=inputs.source_uri,
        data_uri=inputs.data_uri,
        output_uri="s3://bucket/jobs",
        weights_uri=inputs.weights_uri,
        resources=ResourceParameters(**chosen["resources"]),
    )
    values = final_hyperparameters(model, inputs, training, _QUICK)
    request = training_job_request("job", values, job, training)
    validate("CreateTrainingJob", request)
    return request


def _job(request):
    given = request["HyperParameters"].items()
    return {
        "hyperparameters": {name: text for name, text in given if not name.startswith("sagemaker")},
        "config": {
            "debughookconfig.json": request["DebugHookConfig"],
            "profilerconfig.json": request["ProfilerConfig"],
        },
    }


@pytest.mark.parametrize("change", _changes(), ids=str)
def test_the_flow_takes_the_change(change):
    require_values(change)
    assert _request(change)["HyperParameters"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("changes")
    jobs = {json.dumps(change): _job(_request(change)) for change in _changes()}
    (folder / "jobs.json").write_text(json.dumps(jobs))
    words = ["-W", "ignore", "-m", "tests.sm_entrypoints.many_trainings"]
    done = subprocess.run(
        [str(Settings().job_python), *words, str(folder / "jobs.json"), str(folder / "work")],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(PROJECT_ROOT))},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line[4:] for line in done.stdout.splitlines() if line.startswith("JOB ")]
    return {answer["name"]: answer for answer in map(json.loads, lines)}


@pytest.mark.job
@pytest.mark.parametrize("change", _changes(), ids=str)
def test_the_job_with_the_change_completes(trained, change):
    answer = trained[json.dumps(change)]
    assert answer["exit_code"] == 0, answer["failure"]
    assert answer["instrumentation"] is None
    for name, value in change.items():
        if name != "weights":  # of the model's parameters: the channel decides
            assert answer["arguments"][name] == value
    assert any(line.startswith("verdict: ") for line in answer["printed"])
