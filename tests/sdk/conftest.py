"""`whippet api` in a process of its own, S3 and STS at moto, and clients in theirs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import AWKWARD
from tests.shown import show as show
from tests.worlds.job_environment import job_python
from tests.worlds.local.served import client, moto_server
from tests.worlds.served_api import BUCKET, REGION, ROOT, api_process, environment

HERE = Path(__file__).parent
USER_CODE = HERE / "user_code"
COLOURS = {"red": (220, 30, 30), "green": (20, 200, 40), "blue": (30, 30, 210)}


@dataclass(frozen=True, kw_only=True)
class Api:
    """A running API, and the world around it."""

    home: Path
    url: str
    s3: str
    environment: Mapping[str, str]

    def run(self, argv: list[str], seconds: float = 240) -> str:
        """Run a client to its good end; return what it printed."""
        found = subprocess.run(
            argv,
            cwd=self.home,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert found.returncode == 0, f"{found.stdout[-4000:]}\n{found.stderr[-6000:]}"
        return found.stdout

    def client(self, environment: str, script: str, *arguments: str) -> dict[str, Any]:
        """Run one of ``clients/`` in its environment; return the JSON that it ends with."""
        printed = self.run([program(environment), str(HERE / "clients" / script), *arguments])
        found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        return found


def program(environment: str, name: str = "python") -> str:
    """Return a program of an SDK's environment; skip the test when it was not made."""
    path = ROOT / environment / "bin" / name
    if not path.exists():
        pytest.skip(f"{environment} is missing: run `make test-aws`, which makes it")
    return str(path)


@pytest.fixture(scope="module")
def home_name() -> str:
    """The name of the API's folder; a module may choose its own."""
    return AWKWARD


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, home_name: str) -> Iterator[Api]:
    """`whippet api --s3-endpoint …` over an empty home."""
    job_python()
    home = tmp_path_factory.mktemp("api") / home_name
    home.mkdir()
    with moto_server() as moto, api_process(home, moto) as variables:
        yield Api(
            home=home,
            url=variables["AWS_ENDPOINT_URL_SAGEMAKER"],
            s3=moto,
            environment={**environment(home), **variables},
        )


@pytest.fixture(scope="module")
def pictures(api: Api) -> Path:
    """The same classes as files, in folders of their own, for clients that upload them."""
    folder = api.home / "dogImages"
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(2):
            picture = Image.new("RGB", (32, 24), tuple(each + number for each in colour))
            picture.save(folder / label / f"{number} é.jpg")
    return folder


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a user has: pictures in S3 and one at hand."""

    data: str
    picture: Path


@pytest.fixture(scope="module")
def inputs(api: Api) -> Inputs:
    """Three classes of two pictures in the bucket, and a green one."""
    s3 = client("s3", api.s3)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for label, colour in COLOURS.items():
        for number in range(2):
            path = api.home / f"{label}.jpg"
            Image.new("RGB", (32, 24), tuple(each + number for each in colour)).save(path)
            s3.upload_file(str(path), BUCKET, f"my data/train/{label}/{number} é.jpg")
    return Inputs(data=f"s3://{BUCKET}/my data/train", picture=api.home / "green.jpg")
