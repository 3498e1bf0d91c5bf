"""The same handlers under AWS's toolkits and under our server: the same bytes and status.

``sagemaker-inference`` is called as TorchServe calls it, with the default handlers of
``sagemaker-pytorch-inference`` 2.0.25: its own, where it is installed (it brings another
``sagemaker_inference`` along, so the job environment cannot hold both), else what it does, written
down here. Where they answer 200, so do we, with the same bytes. Where they answer 500 because a
type is not supported, we answer 415 or 406; where a body is not what it says, 400.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from sagemaker_inference import content_types, decoder, encoder, errors, utils
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.handlers import load_program
from sm_entrypoints.serving.intake import Limits
from sm_entrypoints.serving.invocations import ModelService

# 30 handlers, each loaded and asked as a container does it.
pytestmark = pytest.mark.slow

try:
    from sagemaker_pytorch_serving_container.default_pytorch_inference_handler import (
        DefaultPytorchInferenceHandler as PyTorchDefaults,
    )
except ImportError:

    class PyTorchDefaults(DefaultInferenceHandler):  # type: ignore[no-redef]
        """What AWS's class of the same purpose does, call by call."""

        def default_model_fn(self, model_dir: str) -> Any:
            names = ["model.pt"]
            if not Path(model_dir, "model.pt").exists():
                # Relative to the working directory, which is the model's folder.
                files = [
                    path.name for path in Path(model_dir).iterdir() if Path(path.name).is_file()
                ]
                names = [name for name in files if name.endswith((".pt", ".pth"))]
            if len(names) != 1:
                raise ValueError(
                    f"Exactly one .pth or .pt file is required for PyTorch models: {names}"
                )
            path = str(Path(model_dir) / names[0])
            try:
                return torch.jit.load(path, map_location="cpu").to("cpu")
            except RuntimeError as error:
                raise RuntimeError(
                    f"Failed to load {path}. Please ensure model is saved using torchscript."
                ) from error

        def default_input_fn(self, data: Any, content_type: str) -> Any:
            array = decoder.decode(data, content_type)
            if content_type in content_types.UTF8_TYPES:
                return torch.FloatTensor(array).to("cpu")
            return torch.from_numpy(array).to("cpu")

        def default_predict_fn(self, data: Any, model: Any) -> Any:
            with torch.no_grad():
                model = model.to("cpu")
                data = data.to("cpu")
                model.eval()
                return model(data)

        def default_output_fn(self, prediction: Any, accept: str) -> Any:
            if type(prediction) is torch.Tensor:
                prediction = prediction.detach().cpu().numpy().tolist()
            for content_type in utils.parse_accept(accept):
                if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                    encoded = encoder.encode(prediction, content_type)
                    return encoded.encode() if content_type == content_types.CSV else encoded
            raise errors.UnsupportedFormatError(accept)


NETWORK = """
import os, torch
from torch import nn
def network():
    return nn.Sequential(
        nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )
def model_fn(model_dir):
    model = network()
    model.load_state_dict(torch.load(os.path.join(model_dir, "weights.bin"), weights_only=True))
    return model
"""
RAW = "import numpy as np, torch\ndef model_fn(model_dir):\n    return 'the model'\n"
DATA = "def input_fn(data, content_type):\n    return data\n"
PROGRAMS = {
    "a network with dropout and batch norm, left in training mode": NETWORK,
    "a tuple of tensors": NETWORK
    + "def predict_fn(data, model):\n    model.eval()\n    return model(data), data.sum()\n",
    "a gradient that was kept": NETWORK
    + "def predict_fn(data, model):\n    return model.eval()(data)\n",
    "a dict": RAW + DATA + "def predict_fn(data, model):\n"
    "    return {'scores': np.array([[1.5, 2]], dtype=np.float32), 'n': np.int64(3),\n"
    "            'tensor': torch.tensor([1, 2]), 'name': 'é', 'none': None, 'nan': float('nan')}\n",
    "a list of arrays": RAW + DATA + "def predict_fn(data, model):\n"
    "    return [np.array([1.25, 2]), np.array([3, 4])]\n",
    "a list of tensors": RAW + DATA + "def predict_fn(data, model):\n"
    "    return [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])]\n",
    "a list of dicts": RAW + DATA + "def predict_fn(data, model):\n"
    "    return [{'label': 'cat', 'probability': np.float32(0.25)}]\n",
    "an array": RAW + DATA + "def predict_fn(data, model):\n"
    "    return np.arange(4, dtype=np.float32).reshape(2, 2) / 3\n",
    "one row": RAW + DATA + "def predict_fn(data, model):\n    return torch.tensor([0.1, 0.2])\n",
    "a cube": RAW + DATA + "def predict_fn(data, model):\n    return torch.zeros(1, 2, 2)\n",
    "a number": RAW + DATA + "def predict_fn(data, model):\n    return np.float64(0.5)\n",
    "words": RAW + DATA + "def predict_fn(data, model):\n    return ['cat', 'été']\n",
    "a sentence": RAW + DATA + "def predict_fn(data, model):\n    return 'a cat'\n",
    "nothing": RAW + DATA + "def predict_fn(data, model):\n    return None\n",
    "a set": RAW + DATA + "def predict_fn(data, model):\n    return {1}\n",
    "what the body is": RAW + "def input_fn(data, content_type):\n"
    "    return [type(data).__name__, str(content_type)]\n"
    "def predict_fn(data, model):\n    return data\n",
    "a tensor of the default input_fn": RAW + "def predict_fn(data, model):\n"
    "    return [str(data.dtype), str(data.device), list(data.shape), data]\n",
    "an array where a tensor is wanted": NETWORK
    + "import numpy as np\ndef input_fn(data, content_type):\n    return np.zeros((1, 2))\n",
    "a function as the model": "def model_fn(model_dir):\n    return lambda data: data\n",
    "output_fn that says its type": RAW + DATA + "def predict_fn(data, model):\n    return 1\n"
    "def output_fn(prediction, accept):\n    return b'\\xff', 'application/octet-stream'\n",
    "output_fn of three": RAW + DATA + "def predict_fn(data, model):\n    return 1\n"
    "def output_fn(prediction, accept):\n    return accept, 'text/x-accept', 'more'\n",
    "output_fn that writes a dict": RAW + DATA + "def predict_fn(data, model):\n    return 1\n"
    "def output_fn(prediction, accept):\n    return {'é': [1, 2.5], 'accept': accept}\n",
    "transform_fn": "def transform_fn(model, data, content_type, accept):\n"
    "    return f'{model} {type(data).__name__} {content_type} {accept}'\n"
    "def model_fn(model_dir):\n    return 3\n",
    "all take a context": "import json\n"
    "def pre_model_fn(model_dir, context):\n    context.system_properties['before'] = 1\n"
    "def model_fn(model_dir, context):\n    return dict(context.system_properties)\n"
    "def model_warmup_fn(model_dir, model, context):\n    model['warm'] = True\n"
    "def input_fn(data, content_type, context):\n"
    "    return context.get_request_header(0, 'Accept')\n"
    "def predict_fn(data, model, context):\n"
    "    return [data, model['before'], model['warm']]\n"
    "def output_fn(prediction, accept, context):\n"
    "    return json.dumps(prediction)\n",
    "a status of its own": RAW + DATA + "def predict_fn(data, model, context=None):\n"
    "    context.set_response_status(202, 'Taken')\n    return 1\n",
    "an error of the toolkit": RAW + "from sagemaker_inference import errors\n"
    "def input_fn(data, content_type):\n"
    "    raise errors.BaseInferenceToolkitError(422, 'no such number', 'Unprocessable')\n",
    "the toolkit's refusal of a type": RAW + "from sagemaker_inference import errors\n"
    "def input_fn(data, content_type):\n    raise errors.UnsupportedFormatError(content_type)\n",
    "functions that are None": NETWORK + "input_fn = None\noutput_fn = None\n",
    "arguments by star": NETWORK + "from sagemaker_inference import decoder\n"
    "def input_fn(data, *rest):\n    return torch.FloatTensor(decoder.decode(data, *rest))\n",
}


def _npy(values: Any, kind: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, dtype=kind))
    return buffer.getvalue()


BODIES = {
    "rows": (b"[[1, 2], [3, 4.5]]", "application/json"),
    "not json": (b"[[1, 2], [3", "application/json"),
    "ragged": (b"[[1, 2], [3]]", "application/json"),
    "an object": (b'{"instances": [[1, 2]]}', "application/json"),
    "csv": (b"1.0,2.5\n3.0,4.0\n", "text/csv"),
    "whole csv": (b"1,2\n3,4", "text/csv"),
    "mixed csv": (b"1,2.5\n3,4.5", "text/csv"),
    "words": (b"a,b\n", "text/csv"),
    "empty csv": (b"", "text/csv"),
    "npy": (_npy([[1, 2]], np.float32), "application/x-npy"),
    "wide npy": (_npy([[1, 2]], np.float64), "application/x-npy"),
    "not npy": (b"1,2", "application/x-npy"),
    "npz": (b"PK", "application/x-npz"),
    "a picture": (b"\xff\xd8\xff", "image/jpeg"),
    "no type": (b"[[1, 2]]", None),
    "not utf-8": (b"\xff\xfe", "application/json"),
}
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
ACCEPTS = (None, "*/*", JSON, CSV, NPY, "image/png", f"image/png, {CSV}", f"{CSV},{JSON}")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a model's folder, as the working directory that TorchServe starts its workers in."""
    folder, before, path = tmp_path_factory.mktemp("model"), Path.cwd(), list(sys.path)
    (folder / "code").mkdir()
    torch.manual_seed(1)
    scope: dict[str, Any] = {}
    exec(NETWORK, scope)
    network = scope["network"]()
    network(torch.randn(32, 2))  # statistics of the batch norm
    torch.save(network.state_dict(), folder / "weights.bin")
    os.chdir(folder)
    yield folder
    os.chdir(before)
    sys.path[:] = path


class _Processor:
    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def get_request_properties(self) -> dict[str, str]:
        return dict(self.headers)


class _TorchServe:
    """What TorchServe gives the toolkit, and what it makes of its answer."""

    def __init__(self, folder: Path) -> None:
        self.system_properties: dict[str, Any] = {"model_dir": str(folder)}
        self.request_processor: list[_Processor] = []
        self.model_name = "model"
        self.transformer = Transformer(PyTorchDefaults())
        self.transformer.validate_and_initialize(model_dir=str(folder), context=self)

    def get_request_header(self, _: int, key: str) -> str | None:
        return self.request_processor[0].headers.get(key)

    def set_response_status(self, code: int, phrase: str, idx: int = 0) -> None:
        self.status = code

    def set_response_content_type(self, _: int, value: str) -> None:
        self.content_type = value

    def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.status = 200
        self.request_processor = [_Processor(headers)]
        (answer,) = self.transformer.transform([{"body": body}], self)
        if isinstance(answer, bytes | bytearray):
            return self.status, bytes(answer)
        if isinstance(answer, str):
            return self.status, answer.encode()
        return self.status, json.dumps(answer, indent=2).encode()


class _Ours:
    """Our server's application, asked without a socket."""

    def __init__(self, folder: Path, program: str) -> None:
        service = ModelService(Limits())
        context = Context(system_properties={"model_dir": str(folder)})
        loaded = load_program(folder / "code", program, context)
        service.begin(loaded, loaded.load(folder))
        self.application = service

    def ask(self, requests: list[tuple[bytes, dict[str, str]]]) -> list[httpx.Response]:
        return asyncio.run(self._ask(requests))

    async def _ask(self, requests: list[tuple[bytes, dict[str, str]]]) -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=self.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            # httpx would send */* where nothing is said.
            client.headers.pop("Accept")
            return [
                await client.post("/invocations", content=body, headers=headers)
                for body, headers in requests
            ]


def _headers(content_type: str | None, accept: str | None) -> dict[str, str]:
    named = {"Content-Type": content_type, "Accept": accept}
    return {name: value for name, value in named.items() if value is not None}


def _compare(toolkit: _TorchServe, ours: _Ours) -> int:
    """Ask both the same, and return how often they answered with the same bytes."""
    cases = list(itertools.product(BODIES.values(), ACCEPTS))
    requests = [(body, _headers(kind, accept)) for (body, kind), accept in cases]
    same = 0
    for (body, headers), answer in zip(requests, ours.ask(requests), strict=True):
        status, expected = toolkit.post(body, headers)
        case = (body, headers, status, expected[-300:], answer.status_code, answer.text[:300])
        pickled = b"\x93NUMPY" in expected and b"|O'" in expected
        if status < 400 and not pickled:
            assert (answer.status_code, answer.content) == (status, expected), case
            if headers.get("Accept") in (JSON, CSV, NPY):
                assert answer.headers["content-type"] == toolkit.content_type, case
            same += 1
        elif answer.is_success:
            # What CSV cannot hold is written as the next type, where the toolkit gives up.
            assert (headers.get("Accept"), answer.headers["content-type"]) == (
                f"{CSV},{JSON}",
                JSON,
            ), case
        else:
            _require_refusal(answer, 406 if pickled else status, expected.decode("latin-1"), case)
    return same


def _require_refusal(answer: httpx.Response, status: int, expected: str, case: object) -> None:
    said = answer.json()["error"]
    if "is not supported by this framework" in expected:
        assert answer.status_code in (406, 415), case
        assert said.startswith(expected.partition(".")[0]), case
    elif status != 500:
        assert answer.status_code == status, case
        assert status == 406 or said == expected.partition("\n")[0], case
    else:
        assert answer.status_code in (400, 406, 415, 500), case


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_bytes_as_the_toolkit(
    model_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"conformance_{list(PROGRAMS).index(name)}"
    (model_dir / "code" / f"{program}.py").write_text(PROGRAMS[name])
    monkeypatch.setenv("SAGEMAKER_PROGRAM", f"{program}.py")
    monkeypatch.syspath_prepend(str(model_dir / "code"))
    same = _compare(_TorchServe(model_dir), _Ours(model_dir, f"{program}.py"))
    fails = ("an array where", "a function as", "a set", "an error of", "the toolkit's refusal")
    assert (same > 0) == (not name.startswith(fails)), same


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize("file", ["model.pt", "net.pth"])
def test_torchscript_without_a_program(
    model_dir: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "no_such_program.py")
    monkeypatch.chdir(tmp_path)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    torch.jit.save(torch.jit.script(network), tmp_path / file)  # in training mode
    assert _compare(_TorchServe(tmp_path), _Ours(tmp_path, "no_such_program.py")) > 20


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize("files", [(), ("a.pt", "b.pth"), ("weights.pth",)])
def test_what_is_no_torchscript_is_refused_in_the_toolkits_words(
    tmp_path: Path, files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "no_such_program.py")
    monkeypatch.chdir(tmp_path)
    for name in files:
        torch.save({}, tmp_path / name)
    with pytest.raises(Exception, match=r"xactly one|torchscript") as expected:
        _TorchServe(tmp_path)
    with pytest.raises(Exception, match=r"xactly one|torchscript") as raised:
        _Ours(tmp_path, "no_such_program.py")
    words = str(expected.value).partition(":")[0]
    assert words in str(raised.value)
    assert "SAGEMAKER_PROGRAM" in str(raised.value)
