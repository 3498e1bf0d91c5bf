"""The model server as the local platform and a container start it: a process, real HTTP."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from sm_entrypoints.models.model import ModelCard, build_model, save_model
from sm_entrypoints.serve import ServerSettings, SettingError
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
SERVE = PROJECT / "sm_entrypoints" / "serve.py"
MIB = 1024 * 1024


class Server:
    """A server process, on any free port, with its files in a folder of its own."""

    def __init__(self, folder: Path, model_dir: Path, **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port_file, self.failure_file = folder / "port", folder / "failure"
        self.log_file = folder / "log"
        environment = {
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "SM_MODEL_DIR": str(model_dir),
            "SAGEMAKER_BIND_TO_PORT": "0",
            "SAGEMAKER_PORT_FILE": str(self.port_file),
            "SAGEMAKER_FAILURE_FILE": str(self.failure_file),
            **variables,
        }
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVE)],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        self._wait_for(self.port_file.exists, "port")
        return f"http://127.0.0.1:{self.port_file.read_text().strip()}"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_until_loaded(self) -> Server:
        url = self.url
        self._wait_for(lambda: httpx.get(f"{url}/ping").status_code == 200, "model")
        return self

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        def there() -> bool:
            assert self.process.poll() is None, self.log
            return condition()

        wait_for(there, lambda: f"{what}: {self.log}")

    def post(self, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.url}/invocations", content=body, headers=named, timeout=60)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=40)
        finally:
            self.process.kill()


def _program(folder: Path, source: str) -> Path:
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(source)
    return folder


def _jpeg(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a real archive of ours, with the code that training puts into it."""
    folder = tmp_path_factory.mktemp("the model's été")
    torch.manual_seed(0)
    card = ModelCard(
        architecture="squeezenet1_1", classes=("cat", "dog", "été"), image_size=64, resize_size=73
    )
    save_model(folder, build_model("squeezenet1_1", 3), card)
    shutil.copytree(
        PROJECT / "sm_entrypoints",
        folder / "code" / "sm_entrypoints",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(PROJECT / "sm_entrypoints" / "inference.py", folder / "code")
    server = Server(folder / "run", folder)
    try:
        yield server.wait_until_loaded()
    finally:
        server.stop()


def test_an_image_gets_labels(ours: Server) -> None:
    answer = ours.post(_jpeg(), Content_Type="image/jpeg")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    predictions = answer.json()["predictions"]
    assert {p["label"] for p in predictions} == {"cat", "dog", "été"}
    assert sum(p["probability"] for p in predictions) == pytest.approx(1)
    assert answer.content == ours.post(_jpeg()).content  # no Content-Type at all
    assert ours.post(_jpeg("CMYK"), Content_Type="application/x-image").status_code == 200
    text = ours.post(_jpeg("L"), Content_Type="image/jpeg", Accept="text/csv").text
    assert text.startswith("label,probability\n")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"\xff\xd8\xff not an image", "image/jpeg", 400),
        (_jpeg()[:-200], "image/jpeg", 400),
        (b"GIF89a" + bytes(100), "image/jpeg", 400),
        (_jpeg(), "text/plain", 415),
        (b"\xff\xfe", "application/json", 400),
        (bytes(7 * MIB), "image/jpeg", 413),
    ],
    ids=["empty", "text", "truncated", "gif", "wrong type", "not utf-8", "seven megabytes"],
)
def test_a_bad_request_gets_a_sentence(
    ours: Server, body: bytes, content_type: str, status: int
) -> None:
    answer = ours.post(body, Content_Type=content_type)
    assert answer.status_code == status
    sentence = answer.json()["error"]
    assert sentence.endswith(".")
    assert "Traceback" not in answer.text
    assert ours.post(_jpeg()).status_code == 200


def test_an_unannounced_large_body_is_refused_while_it_comes(ours: Server) -> None:
    # Chunked: the size is not known before the bytes are there.
    answer = ours.post((bytes(MIB) for _ in range(8)), Content_Type="image/jpeg")
    assert answer.status_code == 413
    assert "6,291,456" in answer.json()["error"]


def test_a_client_that_asks_first_need_not_send(ours: Server) -> None:
    host, port = ours.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_client_that_leaves_does_no_harm(ours: Server) -> None:
    host, port = ours.url.removeprefix("http://").split(":")
    for _ in range(40):  # more than the places in the queue
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
            )
    assert ours.post(_jpeg()).status_code == 200


def test_other_routes_and_methods(ours: Server) -> None:
    answer = httpx.get(f"{ours.url}/invocations")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {"error": "GET is not allowed on /invocations, which takes POST."}
    answer = httpx.post(f"{ours.url}/models/x")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith(
        "There is nothing at /models/x: only GET /ping and POST "
    )
    answer = httpx.delete(f"{ours.url}/ping")
    assert (answer.status_code, "GET" in answer.json()["error"]) == (405, True)
    assert httpx.get(f"{ours.url}/ping").content == b""


# As AWS's own example of a tuning job (pytorch_mnist) has it: no eval(), no other handler.
MNIST = """
import os, torch, torch.nn as nn, torch.nn.functional as F
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.norm = nn.BatchNorm2d(10)
        self.conv2_drop = nn.Dropout2d()
        self.fc = nn.Linear(1440, 10)
    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv2_drop(self.norm(self.conv1(x))), 2))
        x = F.dropout(x.view(-1, 1440), training=self.training)
        return F.log_softmax(self.fc(x), dim=1)
def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = torch.nn.DataParallel(Net())
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f, weights_only=True))
    return model.to(device)
"""


def _trained(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Save a network that tells ten pictures apart; return 120 of them and its own answers."""
    torch.manual_seed(3)
    scope: dict[str, Any] = {}
    exec(MNIST, scope)
    network = scope["Net"]()
    kinds = torch.arange(120) % 10
    pictures = torch.randn(10, 1, 28, 28)[kinds] + 0.1 * torch.randn(120, 1, 28, 28)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(15):
        optimiser.zero_grad()
        torch.nn.functional.nll_loss(network(pictures), kinds).backward()
        optimiser.step()
    folder.mkdir()
    # As DataParallel names them, which would take the network to a GPU if there is one.
    named = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save(named, folder / "model.pth")
    scores = network.eval()(pictures).detach()
    assert torch.equal(scores.argmax(1), kinds)
    return pictures, scores


def test_dropout_and_batch_norm_are_off_when_served(tmp_path: Path) -> None:
    pictures, scores = _trained(tmp_path / "model")
    _program(tmp_path / "model", MNIST)
    body = io.BytesIO()
    np.save(body, pictures.numpy())
    server = Server(tmp_path / "run", tmp_path / "model").wait_until_loaded()
    try:
        answers = [server.post(body.getvalue(), Content_Type="application/x-npy") for _ in range(3)]
        one = server.post(
            json.dumps(pictures[:1].tolist()).encode(), Content_Type="application/json"
        )
    finally:
        server.stop()
    assert len({answer.content for answer in answers}) == 1, answers[0].text
    assert torch.allclose(torch.tensor(answers[0].json()), scores, atol=1e-5)
    assert torch.allclose(torch.tensor(one.json()), scores[:1], atol=1e-5)


TRANSFORM = """
import pathlib, sys, time, neighbour
def model_fn(model_dir):
    print("arguments", sorted(name for name in sys.modules if name in ("data", "model")))
    return neighbour.NAME
def transform_fn(model, data, content_type, accept):
    if data == b"slow":
        while not pathlib.Path("released").exists():
            time.sleep(0.01)
    if data == b"crash":
        raise KeyError("planted")
    if data == b"exit":
        sys.exit("planted")
    if data == b"teapot":
        error = ValueError("I am a teapot.")
        error.status_code = 418
        raise error
    if data == b"number":
        return 3
    if data == b"set":
        return {3}
    if data == b"tuple":
        return b"\\x00\\xff", "application/octet-stream"
    return f"{model} {type(data).__name__} {content_type} {accept}"
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a user's transform_fn with one worker and room for one more request."""
    folder = tmp_path_factory.mktemp("theirs")
    model_dir = _program(folder / "model", TRANSFORM)
    (model_dir / "code" / "neighbour.py").write_text("NAME = 'neighbour'\n")
    limits = {"SAGEMAKER_MODEL_SERVER_QUEUE": "1", "SAGEMAKER_MODEL_SERVER_TIMEOUT": "30"}
    server = Server(folder / "run", model_dir, **limits)
    try:
        yield server.wait_until_loaded()
    finally:
        server.stop()


def test_a_users_transform_fn(theirs: Server) -> None:
    assert theirs.post(b"x", Content_Type="image/jpeg").text == (
        "neighbour bytes image/jpeg application/json"
    )
    assert theirs.post(b"x").text == "neighbour bytes None application/json"
    answer = theirs.post(b"x", Content_Type="text/csv", Accept="text/plain, */*")
    assert answer.text == "neighbour str text/csv text/plain, */*"
    assert answer.headers["content-type"] == "text/plain"
    assert theirs.post(b"number").text == "3"
    answer = theirs.post(b"tuple")
    assert answer.content == b"\x00\xff"
    assert answer.headers["content-type"] == "application/octet-stream"
    # The server's own modules are not found under the names that a user may want.
    assert "arguments []" in theirs.log


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"crash", 500, "KeyError: 'planted'"),
        (b"exit", 500, "planted"),
        (b"teapot", 418, "I am a teapot."),
        (b"set", 500, "returned set"),
    ],
)
def test_errors_of_handlers_are_answers(
    theirs: Server, body: bytes, status: int, said: str
) -> None:
    answer = theirs.post(body)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    if status == 500:
        assert "log" in answer.json()["error"]
        assert "Traceback" in theirs.log
    assert theirs.post(b"x").status_code == 200


def test_overload_is_said_at_once(theirs: Server) -> None:
    released = theirs.log_file.with_name("released")
    with ThreadPoolExecutor(6) as clients:
        calls = [clients.submit(theirs.post, b"slow") for _ in range(6)]
        try:  # four are refused while the others are still at it
            soon = list(islice(as_completed(calls, timeout=25), 4))
        finally:
            released.touch()
    assert [call.result().status_code for call in soon] == [429] * 4
    assert sorted(call.result().status_code for call in calls) == [200, 200, *[429] * 4]
    assert soon[0].result().headers["retry-after"] == "1"
    assert httpx.get(f"{theirs.url}/ping").status_code == 200


def test_an_archive_with_another_version_of_our_package(tmp_path: Path) -> None:
    source = (
        "from sm_entrypoints.model import VALUE\ndef model_fn(model_dir): return VALUE\n"
        "def transform_fn(model, data, content_type, accept): return model\n"
    )
    model_dir = _program(tmp_path / "model", source)
    package = model_dir / "code" / "sm_entrypoints"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text("VALUE = 'the archive'\n")
    # As the local platform starts it.
    server = Server(tmp_path / "run", model_dir, PYTHONPATH=str(model_dir / "code"))
    try:
        assert server.wait_until_loaded().post(b"x").text == "the archive"
    finally:
        server.stop()


def test_running_requests_are_answered_before_the_end(tmp_path: Path) -> None:
    source = (
        "import pathlib, time\ndef model_fn(model_dir): return 1\n"
        "def transform_fn(model, data, content_type, accept):\n"
        "    pathlib.Path('running').touch(); time.sleep(1); return 'answered'\n"
    )
    counts = tmp_path / "told" / "requests"
    model_dir = _program(tmp_path / "model", source)
    server = Server(tmp_path / "run", model_dir, SAGEMAKER_REQUESTS_FILE=str(counts))
    server.wait_until_loaded()
    assert counts.read_text() == "", "a health check is no request"
    running = tmp_path / "run" / "running"
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(server.post, b"x")
        while not running.exists() and not answer.done():
            time.sleep(0.01)
        assert server.stop() == 0
        assert answer.result().text == "answered"
    minute, count = counts.read_text().split()
    assert (abs(time.time() / 60 - int(minute)) < 3, count) == (True, "1")


def test_a_call_that_never_returns_times_out_and_does_not_keep_the_server(tmp_path: Path) -> None:
    source = (
        "import threading\ndef model_fn(model_dir): return 1\n"
        "def transform_fn(model, data, content_type, accept): threading.Event().wait()\n"
    )
    limits = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1"}
    model_dir = _program(tmp_path / "model", source)
    server = Server(tmp_path / "run", model_dir, **limits).wait_until_loaded()
    answer = server.post(b"x")
    assert answer.status_code == 504
    assert "within 1 seconds" in answer.json()["error"]
    assert server.stop() == 0


def test_loading_is_not_ready_yet(tmp_path: Path) -> None:
    source = "import time\ndef model_fn(model_dir): time.sleep(60)\n"
    server = Server(tmp_path / "run", _program(tmp_path / "model", source))
    assert httpx.get(f"{server.url}/ping").status_code == 503
    answer = server.post(b"x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert server.stop() == 0
    assert not server.failure_file.exists()


@pytest.mark.parametrize(
    ("source", "first_line", "frame"),
    [
        ("def model_fn(:\n", "SyntaxError: invalid syntax (inference.py, line 1)", "File "),
        ("import not_installed\n", "No module named 'not_installed'", "inference.py"),
        ("x = 1\n", "inference.py defines no model_fn", ""),
        (
            "def model_fn(d): return open('/nowhere/weights')\n",
            "FileNotFoundError",
            "return open('/nowhere/weights')",
        ),
        ("def model_fn(d): raise SystemExit(3)\n", "SystemExit: 3", "inference.py"),
    ],
    ids=["syntax", "import", "no model_fn", "error in model_fn", "exit"],
)
def test_what_fails_while_loading_is_reported(
    tmp_path: Path, source: str, first_line: str, frame: str
) -> None:
    server = Server(tmp_path / "run", _program(tmp_path / "model", source))
    assert server.process.wait(timeout=60) == 1
    report = server.failure_file.read_text()
    assert first_line in report.splitlines()[0]
    assert frame in report
    assert report in server.log
    # The reader sees the user's frames only, within FailureReason's 1,024 characters.
    assert "handlers.py" not in report
    assert "frozen importlib" not in report
    assert ("File " in report) == bool(frame)
    assert len(report) < 1024


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    model_dir = _program(tmp_path / "model", "def model_fn(d): return 1\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = Server(tmp_path / "run", model_dir, SAGEMAKER_BIND_TO_PORT=port)
        assert server.process.wait(timeout=60) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in server.failure_file.read_text()
    assert not server.port_file.exists()


def test_help_tells_the_variables() -> None:
    result = subprocess.run(
        [sys.executable, str(SERVE), "--help"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0
    assert "SAGEMAKER_PROGRAM" in result.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
    ],
)
def test_bad_settings_are_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name}='{value}'"):
        ServerSettings.from_variables({name: value})


def test_settings_have_sagemakers_defaults(tmp_path: Path) -> None:
    settings = ServerSettings.from_variables({})
    assert settings.model_dir == Path("/opt/ml/model")
    assert settings.code_dir == Path("/opt/ml/model/code")
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.limits.body_bytes == 6 * MIB
    patient = ServerSettings.from_variables({"SAGEMAKER_TS_RESPONSE_TIMEOUT": "300"})
    assert (settings.limits.timeout_seconds, patient.limits.timeout_seconds) == (60, 300)
    moved = ServerSettings.from_variables({"SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path)})
    assert moved.code_dir == tmp_path
    archived = ServerSettings.from_variables({"SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/code.tar.gz"})
    assert archived.code_dir == Path("/opt/ml/model/code")
