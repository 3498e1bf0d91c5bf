"""Find and call the handlers of a model's program, as SageMaker's inference toolkit does.

The program defines ``model_fn`` and either ``transform_fn`` or any of ``input_fn``, ``predict_fn``
and ``output_fn``; those left out read and write JSON, CSV or NPY and call the model. Each may take
a trailing ``context``. Facts: ``sagemaker_inference.transformer`` 1.10.1. Unlike there, model_fn is
required, and mistakes in a signature are found when the server starts, not at the first request.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from sm_entrypoints.payloads import read_array, write_array

# The arguments that SageMaker passes to each function, without the optional context.
ARGUMENTS = {
    "model_fn": ("model_dir",),
    "input_fn": ("data", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "data", "content_type", "accept"),
}
_OWN_PACKAGE = "sm_entrypoints"

Handler = Callable[..., Any]


class ProgramError(Exception):
    """Raised when a model's program cannot serve; the message says what to change in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a handler that takes ``context`` may read, by the names of SageMaker's toolkit."""

    system_properties: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The functions of a user's module, checked, with defaults for those left out."""

    functions: Mapping[str, Handler]
    context: Context

    def load(self, model_dir: Path) -> Any:
        """Return the model: what ``model_fn`` returns."""
        return self._call("model_fn", str(model_dir))

    def transform(
        self, model: Any, data: bytes | str, content_type: str | None, accept: str
    ) -> tuple[Any, str | None]:
        """Answer one request: return the response and its content type, if the handler said it."""
        if "transform_fn" in self.functions:
            response = self._call("transform_fn", model, data, content_type, accept)
        else:
            value = self._call("input_fn", data, content_type)
            prediction = self._call("predict_fn", value, model)
            response = self._call("output_fn", prediction, accept)
        if isinstance(response, tuple) and len(response) == 2:
            return response[0], str(response[1])
        return response, None

    def _call(self, name: str, *arguments: Any) -> Any:
        function = self.functions[name]
        if _takes_context(name, function):
            return function(*arguments, self.context)
        return function(*arguments)


def load_program(code_dir: Path, program: str, context: Context | None = None) -> Program:
    """Import a model's program and check its handlers.

    The folder goes first on ``sys.path`` and stays there: the program may import its neighbours,
    among them its own copy of this package, which then wins over the server's.

    Args:
        code_dir: the archive's ``code`` folder.
        program: a file or module in it: ``inference.py``, ``package/inference.py``,
            ``package.inference``.
        context: passed to handlers that take one.

    Raises:
        ProgramError: no such module, or its handlers do not follow the contract.
        Exception: whatever importing the module raises.
    """
    module = _import_program(code_dir, program)
    found = {name: getattr(module, name) for name in ARGUMENTS if hasattr(module, name)}
    _check(program, found)
    defaults = {"input_fn": read_array, "predict_fn": _predict, "output_fn": _write}
    functions = found if "transform_fn" in found else defaults | found
    return Program(functions=functions, context=context or Context())


def _import_program(code_dir: Path, program: str) -> ModuleType:
    name = program.removesuffix(".py").replace("/", ".").strip(".")
    if (code_dir / _OWN_PACKAGE).is_dir():
        # The archive's copy prepared the data that the model was trained on.
        for loaded in [key for key in sys.modules if key.split(".")[0] == _OWN_PACKAGE]:
            del sys.modules[loaded]
    sys.path.insert(0, str(code_dir))
    importlib.invalidate_caches()
    try:
        found = bool(name) and importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        files = sorted(path.name for path in code_dir.glob("*")) if code_dir.is_dir() else []
        raise ProgramError(
            f"program {program!r} is not in {code_dir}, which holds {files}: put it there in "
            "model.tar.gz (as code/inference.py), or name it in SAGEMAKER_PROGRAM"
        )
    return importlib.import_module(name)


def _check(program: str, found: Mapping[str, Any]) -> None:
    for name, function in found.items():
        if not callable(function):
            raise ProgramError(f"{name} in {program} is not a function: {function!r}")
        if inspect.iscoroutinefunction(function):
            raise ProgramError(
                f"{name} in {program} is asynchronous, which nobody awaits: write `def {name}` "
                "without `async`"
            )
        _takes_context(name, function)
    if "model_fn" not in found:
        raise ProgramError(
            f"{program} defines no model_fn: add `def model_fn(model_dir)` that loads the model"
        )
    others = sorted({"input_fn", "predict_fn", "output_fn"} & set(found))
    if "transform_fn" in found and others:
        raise ProgramError(
            f"{program} defines transform_fn and {', '.join(others)}: keep transform_fn, which "
            "does all of it, or the others"
        )


def _takes_context(name: str, function: Handler) -> bool:
    """Tell by the number of parameters, as SageMaker's toolkit does."""
    parameters = list(inspect.signature(function).parameters.values())
    wanted = len(ARGUMENTS[name])
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return False
    if len(parameters) not in (wanted, wanted + 1):
        raise ProgramError(
            f"{name} takes {len(parameters)} parameters, but SageMaker calls "
            f"{name}({', '.join(ARGUMENTS[name])}) with an optional context at the end"
        )
    return len(parameters) == wanted + 1


def _predict(data: Any, model: Any) -> Any:
    """Call a PyTorch model with an array: what SageMaker's PyTorch image does by default."""
    # Deferred: programs for other frameworks bring their own predict_fn and may have no torch.
    import torch

    with torch.inference_mode():
        return model(torch.as_tensor(data))


def _write(prediction: Any, accept: str) -> tuple[bytes | str, str]:
    """Write an array, or a tensor on any device."""
    cpu = prediction.detach().cpu() if hasattr(prediction, "detach") else prediction
    return write_array(cpu, accept)
