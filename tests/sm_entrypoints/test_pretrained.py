from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sm_entrypoints.models.model import build_model
from sm_entrypoints.models.packaged_weights import PACKAGES, packaged
from sm_entrypoints.models.weights import WeightsError, read_weights
from sm_entrypoints.pretrained import find_weights, main
from tests.sm_entrypoints.pictures import PROJECT

pytestmark = pytest.mark.slow

State = dict[str, Tensor]


def weights(classes: int = 7) -> State:
    torch.manual_seed(3)
    return dict(build_model("squeezenet1_1", classes).state_dict())


def _plain(file: Path) -> None:
    torch.save(weights(), file)


def _wrapped(file: Path) -> None:
    torch.save({"epoch": 3, "state_dict": weights()}, file)


def _parallel(file: Path) -> None:
    torch.save({f"module.{name}": value for name, value in weights().items()}, file)


def _safetensors(file: Path) -> None:
    save_file(weights(), file)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (_plain, "w é.pt"),
        (_wrapped, "w.pth"),
        (_parallel, "w.pth"),
        (_safetensors, "w.safetensors"),
    ],
)
def test_a_file_becomes_checked_safetensors(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    write: Callable[[Path], None],
    name: str,
) -> None:
    file, out = tmp_path / name, tmp_path / "o'ut 1" / "weights.safetensors"
    write(file)
    arguments = ["--model", "squeezenet1_1", "--weights", str(file), "--out", str(out)]
    assert main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["file"] == str(out)
    assert answer["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert answer["head"] is True
    assert answer["tensors"] == len(weights())
    written = read_weights(out)
    assert all(torch.equal(written[name], value) for name, value in weights().items())


def test_weights_of_another_model_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "w.pt", tmp_path / "out.safetensors"
    _plain(file)
    assert main(["--model", "resnet18", "--weights", str(file), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "file w.pt does not belong to model 'resnet18'" in said
    assert "They look like weights of 'squeezenet1_1': name that model" in said
    assert not out.exists()


def test_a_students_checkpoint_with_a_head_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {name: value for name, value in weights().items() if not name.startswith("classifier")}
    own = {f"module.{name}": value for name, value in state.items()}
    own |= {"module.classifier.0.weight": torch.zeros(9, 512)}
    file, out = tmp_path / "w.pt", tmp_path / "out.safetensors"
    arguments = ["--model", "squeezenet1_1", "--weights", str(file), "--out", str(out)]
    torch.save({"model": own, "optimizer": {"param_groups": []}, "epoch": 7}, file)
    assert main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["head"] is False
    assert answer["notes"] == [
        "no head (classifier.1) in the weights: it starts with random weights",
        "left out: classifier.0.weight",
    ]
    assert set(read_weights(out)) == set(state)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def _evil(file: Path) -> None:
    torch.save({"weight": Evil(file.parent / "owned")}, file)


def _whole_model(file: Path) -> None:
    torch.save(build_model("squeezenet1_1", 2), file)


def _text(file: Path) -> None:
    file.write_text("not weights")


def _list(file: Path) -> None:
    torch.save([1, 2], file)


def _whole_checkpoint(file: Path) -> None:
    torch.save({"step": 3, "lr": 0.1}, file)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_evil, "can be read safely"),
        (
            _whole_model,
            r"Python object \(torchvision.models.squeezenet.SqueezeNet\) beside tensors",
        ),
        (_text, "can be read safely"),
        (_list, "does not hold a state_dict but a list"),
        (_whole_checkpoint, r"\['step', 'lr'\] are not tensors"),
    ],
)
def test_a_file_runs_no_code_and_must_be_a_state_dict(
    tmp_path: Path, write: Callable[[Path], None], said: str
) -> None:
    file = tmp_path / "w.pth"
    write(file)
    with pytest.raises(WeightsError, match=said):
        find_weights(str(file), "squeezenet1_1", tmp_path)
    assert not (tmp_path / "owned").exists()


def test_a_model_that_no_package_ships_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no package has ImageNet weights for 'vgg11'"):
        packaged("vgg11", tmp_path)


def test_a_package_file_with_other_bytes_is_not_parsed(tmp_path: Path) -> None:
    kept = tmp_path / PACKAGES["squeezenet1_1"].member_sha256
    kept.write_bytes(pickle.dumps(Evil(tmp_path / "owned")))
    with pytest.raises(WeightsError, match="is not the pinned file"):
        packaged("squeezenet1_1", tmp_path)
    assert not kept.exists()
    assert not (tmp_path / "owned").exists()


def test_even_a_pinned_pickle_makes_arrays_only(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(tmp_path / "owned"))
    with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        PACKAGES["squeezenet1_1"].convert(evil)
    assert not (tmp_path / "owned").exists()


def test_it_runs_by_path_and_names_close_models(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "sm_entrypoints/pretrained.py")]
    command += ["--model", "mobilenetv2", "--weights", "imagenet", "--out", "out.safetensors"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "did you mean mobilenet_v2" in done.stderr.splitlines()[-1]
    assert done.stdout == ""
