"""Proxies, certificates and pip's settings reach the jobs; other machines never get loopback's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from platforms.errors import SettingsError
from platforms.local.boundary.mechanism import choose
from platforms.local.boundary.network import network_paths, network_variables
from platforms.local.connection import connect_local
from platforms.local.context import supervisor_environment
from tests.worlds.local.jobs import Jobs, local_settings

PROXY = "http://user:word@proxy.example:3128"
SCRIPT = """
import json, os
found = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_"))}
found |= {key: os.environ.get(key) for key in ("HTTPS_PROXY", "no_proxy", "NO_PROXY", "SECRET")}
found["certificates"] = open(os.environ["SSL_CERT_FILE"]).read()
try:
    found["key"] = open(os.environ["SSL_CERT_FILE"].replace("ca.pem", "id_rsa")).read()
except OSError:
    found["key"] = None
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["namespaces", "none"])
def test_a_job_reaches_the_network_as_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mechanism: str
) -> None:
    home = tmp_path / "my home"
    home.mkdir()
    (home / "ca.pem").write_text("ours")
    (home / "id_rsa").write_text("private")
    for key, value in {
        "HOME": str(home),
        "HTTPS_PROXY": PROXY,
        "NO_PROXY": "intranet.example",
        "SSL_CERT_FILE": str(home / "ca.pem"),
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_TARGET": str(home),
        "SECRET": "x",
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("no_proxy", raising=False)
    try:
        choose(mechanism, tmp_path)
    except SettingsError as error:
        pytest.skip(str(error))
    settings = local_settings(tmp_path / "whippet", boundary=mechanism)
    jobs = Jobs(platform=connect_local(settings))
    job = jobs.run("network", SCRIPT)
    assert job["TrainingJobStatus"] == "Completed", jobs.log("network")
    found = json.loads(jobs.log("network").splitlines()[-1])
    assert found["HTTPS_PROXY"] == PROXY
    assert found["PIP_INDEX_URL"] == "https://index.example/simple"
    assert found["certificates"] == "ours"
    assert found["no_proxy"] == found["NO_PROXY"]
    assert found["NO_PROXY"].split(",") == [
        *("intranet.example", "127.0.0.1", "localhost", "::1", "algo-1")
    ]
    assert "PIP_TARGET" not in found
    assert found["SECRET"] is None
    assert found["key"] == (None if mechanism == "namespaces" else "private")


def test_what_a_supervisor_hands_on() -> None:
    ours = {"http_proxy": PROXY, "PIP_CERT": "/none.pem", "PIP_USER": "1", "HF_TOKEN": "x"}
    found = supervisor_environment({**ours, "no_proxy": "*"})
    assert found["http_proxy"] == PROXY
    assert found["NO_PROXY"] == found["no_proxy"] == "*"
    assert found["PIP_CERT"] == "/none.pem"
    assert not {"PIP_USER", "HF_TOKEN"} & set(found)
    # Handed on twice, it stays the same: from us to the supervisor, and from there to the job.
    once = network_variables(ours)
    assert network_variables(once) == once
    assert "NO_PROXY" not in network_variables({"NO_PROXY": "a", "PIP_CERT": "/none.pem"})


def test_a_home_is_never_shown_for_pip(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    links = f"{wheels} {tmp_path} / https://index.example/links {tmp_path}/none file://{wheels}"
    assert list(network_paths({"PIP_FIND_LINKS": links}, hidden=[tmp_path])) == [wheels]
