"""smdebug's hook in scripts of strangers: what they save, and that they run as without it.

Each script runs in a process of its own, all of them at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sm_entrypoints.instrumentation.smdebug.saved_tensors import read_saved_tensors

pytestmark = pytest.mark.slow

MODULES = Path(__file__).parents[2] / "sm_entrypoints" / "zero_code"
DATA = """
import copy, gc, os, sys, torch
from torch import nn
torch.manual_seed(0)
torch.set_num_threads(1)
inputs, labels = torch.randn(8, 4), torch.arange(8) % 3
def make():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
def step(model, criterion, optimizer):
    optimizer.zero_grad()
    criterion(model(inputs), labels).backward()
    optimizer.step()
"""
TRAIN = """
model, criterion = make(), nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""


def script(*parts: str) -> str:
    """Put a script together."""
    return "\n".join(map(textwrap.dedent, parts))


SCRIPTS = {
    # No line of smdebug. The model is copied, pickled and scripted along the way.
    "no line": script(
        DATA,
        TRAIN,
        """
    import torch.utils.data as data
    class Set(data.Dataset):
        scale = nn.BatchNorm1d(1)  # a module in the loader's worker
        def __len__(self): return 2
        def __getitem__(self, index): return self.scale(torch.zeros(2, 1)).detach()
    for batch in data.DataLoader(Set(), num_workers=1):
        step(model, criterion, optimizer)
    best = copy.deepcopy(model)
    step(model, criterion, optimizer)
    best(inputs)
    torch.save(model, "model.pth")
    torch.jit.script(model)(inputs)
    assert not model._forward_hooks and not model[0]._forward_hooks
    print(sum(p.double().sum().item() for p in model.parameters()))
    # The folds of a cross-validation, one of them in a type that NumPy does not have.
    inputs = inputs.to(torch.bfloat16)
    del model, best, optimizer
    for fold in range(2):
        gc.collect()
        model = make().to(torch.bfloat16)
        step(model, criterion, torch.optim.SGD(model.parameters(), lr=0.1))
    """,
    ),
    # The hook is asked for, the loss registered; the image was to find the model.
    "loss alone": script(
        DATA,
        """
    import smdebug.pytorch as smd
    from smdebug.pytorch import get_hook
    hook = get_hook(create_if_not_exists=True)
    """,
        TRAIN,
        """
    hook.register_loss(criterion)
    for epoch in range(2):
        hook.set_mode(smd.modes.TRAIN)
        step(model, criterion, optimizer)
        step(model, criterion, optimizer)
        hook.set_mode(smd.modes.EVAL)
        with torch.no_grad():
            criterion(model(inputs), labels)
    """,
    ),
    # The model is registered, twice even; the image was to find the loss.
    "model alone": script(
        DATA,
        """
    import smdebug.pytorch as smd
    hook = smd.Hook.create_from_json_file()
    """,
        TRAIN,
        """
    hook.register_module(model)
    hook.register_hook(model)
    hook.get_collection("mine").add_module_tensors(model[0], outputs=True)
    for _ in range(3):
        step(model, criterion, optimizer)
    """,
    ),
    "compiled": script(
        DATA,
        TRAIN,
        """
    model = torch.compile(model, backend="eager")
    step(model, criterion, optimizer)
    """,
    ),
    "without torch": script("""
    import sys
    assert "smdebug" not in sys.modules
    print("fine")
    """),
    # smdebug fails in the middle of a step.
    "broken": script(
        DATA,
        TRAIN,
        """
    step(model, criterion, optimizer)
    import smdebug.pytorch
    hook = smdebug.pytorch.get_hook()
    hook.forward_hook = hook.forward_pre_hook = None
    step(model, criterion, optimizer)
    step(model, criterion, optimizer)
    print(sum(p.double().sum().item() for p in model.parameters()))
    """,
    ),
    "own hook": script(
        "BRINGS_ITS_OWN_HOOK = True", DATA, TRAIN, "step(model, criterion, optimizer)"
    ),
}
SAVES_GRADIENTS = {"model alone"}
PROFILES = {"loss alone"}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A script that ran to its end."""

    code: int
    printed: str
    folder: Path

    @property
    def tensors(self) -> Mapping[str, Any]:
        """What it saved, by name."""
        found = read_saved_tensors(self.folder / "output" / "Tensors")
        return {each["name"]: each for each in found["tensors"]}


def start(name: str, folder: Path, modules: Path | None = MODULES) -> subprocess.Popen[str]:
    """Start a script in a tree of its own whose path has capitals, blanks and accents."""
    (folder / "model").mkdir(parents=True)
    (folder / "script.py").write_text(SCRIPTS[name])
    gradients = [{"CollectionName": "gradients"}] if name in SAVES_GRADIENTS else []
    hook = {
        "LocalPath": str(folder / "output" / "Tensors"),
        "HookParameters": {"save_interval": "1"},
        "CollectionConfigurations": gradients,
    }
    (folder / "hook.json").write_text(json.dumps(hook))
    parameters = {"LocalPath": "/opt/ml/output/profiler"} if name in PROFILES else {}
    (folder / "profiler.json").write_text(json.dumps({"ProfilingParameters": parameters}))
    environment = {
        **os.environ,
        "PYTHONPATH": str(modules or ""),
        "SMDEBUG_CONFIG_FILE_PATH": str(folder / "hook.json"),
        "SMPROFILER_CONFIG_PATH": str(folder / "profiler.json"),
        "SM_MODEL_DIR": str(folder / "model"),
        "TRAINING_JOB_NAME": "job",
    }
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """All scripts, and one of them without us."""
    root = tmp_path_factory.mktemp("Zero code é")
    running = {name: (start(name, root / name), root / name) for name in SCRIPTS}
    bare = root / "bare"
    running["bare"] = start("no line", bare, None), bare
    found = {}
    for name, (process, folder) in running.items():
        printed, _ = process.communicate(timeout=300)
        found[name] = Ended(code=process.returncode, printed=printed, folder=folder)
    return found


def test_every_script_runs_as_without_us(ended: dict[str, Ended]) -> None:
    for name, script in ended.items():
        assert script.code == 0, f"{name}: {script.printed}"
    assert ended["no line"].printed.splitlines()[-1] == ended["bare"].printed.splitlines()[-1]
    assert not (ended["bare"].folder / "output").exists()
    assert ended["without torch"].printed == "fine\n"


def test_losses_are_saved_without_a_line_of_smdebug(ended: dict[str, Ended]) -> None:
    tensors = ended["no line"].tensors
    assert list(tensors) == ["CrossEntropyLoss_output_0"]
    assert tensors["CrossEntropyLoss_output_0"]["steps"] == 5, "2 + 1, and one of each fold"


def test_a_registered_loss_finds_its_model(ended: dict[str, Ended]) -> None:
    tensors = ended["loss alone"].tensors
    assert "CrossEntropyLoss_output_0" in tensors
    # What smdebug profiles of the framework is in the job's tree, though it lower-cases its file.
    (timeline,) = (ended["loss alone"].folder / "output" / "profiler").rglob("*timeline.json")
    assert "Step:ModeKeys.TRAIN" in timeline.read_text()


def test_a_registered_model_finds_its_loss(ended: dict[str, Ended]) -> None:
    names = set(ended["model alone"].tensors)
    assert "CrossEntropyLoss_output_0" in names
    assert {"gradient/Sequential_0.weight", "gradient/Sequential_2.bias"} <= names


def test_what_cannot_be_looked_into_is_said(ended: dict[str, Ended]) -> None:
    assert "cannot look into a compiled model" in ended["compiled"].printed
    assert not (ended["own hook"].folder / "output").exists()


def test_a_fault_of_smdebug_ends_the_tensors_alone(ended: dict[str, Ended]) -> None:
    printed = ended["broken"].printed
    assert printed.count("Debugger's hook switched off (TypeError:") == 1
    assert list(ended["broken"].tensors) == ["CrossEntropyLoss_output_0"]
