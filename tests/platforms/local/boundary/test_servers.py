"""Model servers see their model at /opt/ml/model, and nothing of WHIPPET_HOME."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from platforms.errors import SettingsError
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.runtime import LocalRuntime
from platforms.processes.process import ProcessId, alive
from tests.worlds.local.serving import make_config, make_context, wait_for_endpoint


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["namespaces", "bubblewrap"])
def test_what_a_server_sees_and_how_it_ends(tmp_path: Path, mechanism: str) -> None:
    context = make_context(tmp_path, boundary=mechanism)
    try:
        context.boundary()
    except SettingsError as error:
        pytest.skip(str(error))
    make_config(context, "one", "1:")
    Endpoints(context).create_endpoint(EndpointName="one", EndpointConfigName="one")
    assert wait_for_endpoint(context, "one")["EndpointStatus"] == "InService"
    answer = LocalRuntime(context).invoke_endpoint(
        EndpointName="one", Body=b"", ContentType="text/environment"
    )
    seen = json.loads(answer["Body"].read())
    assert seen["SM_MODEL_DIR"] == "/opt/ml/model"
    assert seen["PWD" if "PWD" in seen else "SAGEMAKER_SUBMIT_DIRECTORY"].startswith("/opt/ml/")
    assert not [value for value in seen.values() if str(context.home) in value]
    record = context.records.read("endpoints", "one")
    server = ProcessId.from_record(record["Local"]["Server"]["Process"])
    began = time.monotonic()
    Endpoints(context).delete_endpoint(EndpointName="one")
    assert not alive(server)
    assert time.monotonic() - began < 120
    assert not context.records.folder("endpoints", "one").exists()
