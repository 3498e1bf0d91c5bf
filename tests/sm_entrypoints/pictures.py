"""Folders of small generated pictures that a tiny network can tell apart, and job folders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PROJECT = Path(__file__).resolve().parents[2]
CLASSES = ("blå cirkel", "green's square", "red bar")
_COLOURS = ((40, 60, 200), (40, 160, 60), (200, 50, 40))


def draw(label: int, random: np.random.Generator, size: int = 48) -> Image.Image:
    """Return a noisy picture of the class ``label`` (0, 1, 2, then mixtures)."""
    noise = random.integers(90, 170, (size, size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    pen = ImageDraw.Draw(image)
    left, top = (int(x) for x in random.integers(4, 16, 2))
    box = (left, top, left + 24, top + 24)
    colour = tuple(int(c) for c in np.clip(random.normal(_COLOURS[label % 3], 35), 0, 255))
    if label % 3 == 0:
        pen.ellipse(box, fill=colour)
    elif label % 3 == 1:
        pen.rectangle(box, fill=colour)
    else:
        pen.rectangle((left, top, left + 8, top + 28), fill=colour)
    return image


def make_split(
    folder: Path, count: int, *, classes: Iterable[str] = CLASSES, seed: int = 0
) -> Path:
    """Write ``count`` JPEGs for each class below ``folder``."""
    random = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            draw(label, random).save(folder / name / f"{index:03d} é.jpg", "JPEG")
    return folder


def make_channels(root: Path, *, train: int = 8, valid: int = 4, test: int = 4) -> dict[str, Path]:
    """Write the three splits; return their folders by channel."""
    counts = {"train": train, "valid": valid, "test": test}
    return {
        name: make_split(root / name, count, seed=seed)
        for seed, (name, count) in enumerate(counts.items())
    }


def job_variables(root: Path, channels: dict[str, Path]) -> dict[str, str]:
    """Return the SM_* variables of a job whose opt/ml tree is ``root``, and make the tree."""
    for folder in ("input/config", "model", "output/data", "checkpoints"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    return {
        "SM_MODEL_DIR": str(root / "model"),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
        "SM_INPUT_CONFIG_DIR": str(root / "input/config"),
        **{f"SM_CHANNEL_{name.upper()}": str(folder) for name, folder in channels.items()},
    }


def start_training(
    variables: dict[str, str], *arguments: str, **extra: str
) -> subprocess.Popen[str]:
    """Start train.py by path as the platform does, with one thread and only the job's variables."""
    return _start([sys.executable, *_script(arguments)], {**variables, **extra})


def start_instance(
    variables: dict[str, str], node: int, port: int, *arguments: str
) -> subprocess.Popen[str]:
    """Start train.py on one of two instances by torchrun, as ``torch_distributed`` does.

    Options as in sagemaker-training 5.1.4 (``torch_distributed.py``), with the first on this host.
    """
    group = ["--nnodes", "2", "--nproc_per_node", "1", "--node_rank", str(node)]
    leader = ["--master_addr", "127.0.0.1", "--master_port", str(port)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *group, *leader]
    return _start([*torchrun, *_script(arguments)], variables)


def _script(arguments: tuple[str, ...]) -> list[str]:
    return [str(PROJECT / "sm_entrypoints/train.py"), *arguments]


def _start(command: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.Popen(
        command,
        cwd=variables["SM_MODEL_DIR"],
        env={**kept, "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
