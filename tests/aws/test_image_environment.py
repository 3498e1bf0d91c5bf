"""The image's own Python environment, made anew from its requirements: `make test-aws` only."""

from __future__ import annotations

import io
import subprocess
import sys

import httpx
import pytest
from PIL import Image

from tests.worlds.image_recipe import ROOT, Container, stops_at_sigterm
from tests.worlds.job_environment import JOB_PYTHON, needs_job_environment


@needs_job_environment
@pytest.mark.timeout(1800)
def test_the_listed_packages_alone_serve_a_model(tmp_path):
    python = tmp_path / "python/bin/python"
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    listed = ROOT / "docker/requirements-cuda.txt"
    subprocess.run([*install, "--requirement", listed], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)

    container = Container(root=tmp_path / "root", python=python)
    container.build()
    model = container.inside("/opt/ml/model")
    build = ["build", "--architecture", "mobilenet_v2", "--label", "cat", "--label", "châ"]
    rehearsal = ROOT / "sm_entrypoints/rehearsal.py"
    subprocess.run([JOB_PYTHON, rehearsal, *build, "--out", model], check=True)
    photo = io.BytesIO()
    Image.new("RGB", (80, 60), (200, 30, 30)).save(photo, "JPEG")
    with container.run({"OMP_NUM_THREADS": "1"}) as (url, process):
        assert container.healthy(url)
        answer = httpx.post(
            f"{url}/invocations",
            content=photo.getvalue(),
            headers={"Content-Type": "image/jpeg"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        assert {each["label"] for each in answer.json()["predictions"]} == {"cat", "châ"}
        assert stops_at_sigterm(process)
