"""docker/Dockerfile says what SageMaker and a reviewer of images want; Docker is not needed."""

from __future__ import annotations

import ast
import json
import re

import httpx
import pytest

from tests.worlds.image_recipe import ROOT, Container, of, stages, stops_at_sigterm
from tests.worlds.job_environment import JOB_PYTHON, needs_job_environment

PINNED = re.compile(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+")

HANDLERS = """
import json

def model_fn(model_dir):
    return len(model_dir)

def input_fn(data, content_type):
    return bytes(data)

def predict_fn(data, model):
    return sum(data)

def output_fn(prediction, accept):
    return json.dumps(prediction), accept
"""


def requirements(name):
    lines = (ROOT / f"docker/requirements-{name}.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_base_image_is_one_release():
    arguments, build, final = stages()
    (tag,) = [text.partition("=")[2] for text in of(arguments, "ARG")]
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-[a-z]+", tag)
    assert of(build, "FROM") == ["python:${PYTHON} AS build"]
    assert of(final, "FROM") == ["python:${PYTHON}"]


def test_it_runs_as_nobody_special_and_is_looked_after():
    final = stages()[-1]
    names = [name for name, _ in final]
    assert of(final, "USER") == ["1000:1000"]
    assert names.index("RUN") < names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names[names.index("USER") :]
    (check,) = of(final, "HEALTHCHECK")
    assert "/ping" in check
    assert of(final, "EXPOSE") == ["8080"]
    (labels,) = of(final, "LABEL")
    assert labels.count("org.opencontainers.image.") == 3


def test_the_server_is_process_one():
    final = stages()[-1]
    (entry_point,) = of(final, "ENTRYPOINT")
    assert json.loads(entry_point)[1].endswith("/sm_entrypoints/serve.py")
    assert [json.loads(each) for each in of(final, "CMD")] == [["serve"]]


def test_nothing_is_fetched_that_is_not_listed():
    build, final = stages()[1:]
    assert not of(build, "ADD") + of(final, "ADD")
    runs = " ".join(of(build, "RUN") + of(final, "RUN"))
    assert not re.search(r"\b(curl|wget|apt-get|sudo|latest)\b", runs)
    assert runs.count("pip install") == runs.count("--no-cache-dir") == runs.count("--no-deps") == 1
    assert "pip check" in runs
    assert "/opt/whippet/python" in of(final, "COPY")[0]


def test_versions_are_those_that_the_tests_run_with():
    tested = set((ROOT / "constraints/job.txt").read_text("utf-8").split())
    for name in ("cpu", "cuda"):
        listed = requirements(name)
        assert listed
        assert all(PINNED.fullmatch(line) for line in listed)
        assert set(listed) <= tested
    (version,) = [line for line in requirements("cpu") if line.startswith("torch==")]
    assert f'"{version.partition("==")[2]}-${{VARIANT}}"' in of(stages()[-1], "LABEL")[0]


def test_what_is_copied_is_let_through_to_the_build():
    ignored, *kept = (ROOT / "docker/Dockerfile.dockerignore").read_text("utf-8").split()
    assert ignored == "*"
    assert kept == [
        "!docker/requirements-*.txt",
        "!sm_entrypoints/*.py",
        "!sm_entrypoints/contract/*.py",
        "!sm_entrypoints/serving/*.py",
    ]
    allowed = re.compile(
        r"docker/requirements-\w+\.txt|sm_entrypoints/((contract|serving)/)?\w+\.py"
    )
    texts = [text for stage in stages()[1:] for text in of(stage, "COPY") if "--from" not in text]
    sources = [source for text in texts for source in text.split()[:-1]]
    assert len(sources) > len(texts)
    for source in sources:
        assert allowed.fullmatch(source)
        assert (ROOT / source).is_file()


def test_every_module_of_the_server_is_copied():
    copied = {
        source
        for text in of(stages()[-1], "COPY")
        for source in text.split()[:-1]
        if source.startswith("sm_entrypoints/")
    }
    for source in copied:
        for node in ast.walk(ast.parse((ROOT / source).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sm_entrypoints."):
                assert f"{str(node.module).replace('.', '/')}.py" in copied


@pytest.mark.slow
@needs_job_environment
def test_the_entry_point_serves_what_was_copied(tmp_path):
    container = Container(root=tmp_path / "an image's root", python=JOB_PYTHON)
    container.build()
    code = container.inside("/opt/ml/model/code")
    code.mkdir(parents=True)
    (code / "inference.py").write_text(HANDLERS, "utf-8")
    laid_out = files(container.root)
    with container.run({}) as (url, process):
        assert container.healthy(url)
        answer = httpx.post(
            f"{url}/invocations",
            content=bytes([1, 2, 3]),
            headers={"Content-Type": "image/jpeg"},
            trust_env=False,
        )
        assert (answer.status_code, answer.json()) == (200, 6)
        assert stops_at_sigterm(process)
    assert not container.healthy(url)
    # Its own user may write nowhere in it, and a file system that is only read is enough.
    assert files(container.root) == laid_out | {"port"}
