"""Find and call the handlers of a model's program, as SageMaker's inference toolkit does.

The program may define ``model_fn``, and either ``transform_fn`` or any of ``input_fn``,
``predict_fn`` and ``output_fn``. Missing ones, and all of them if there is no program, come from
:mod:`sm_entrypoints.serving.defaults`. ``pre_model_fn`` is called before ``model_fn``,
``model_warmup_fn`` after it. Each may take a trailing ``context``. Facts:
``sagemaker_inference.transformer`` 1.10.1. Unlike there, mistakes in a signature are found when the
server starts, not at the first request.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.defaults import (
    ModelFileError,
    default_input_fn,
    default_model_fn,
    default_output_fn,
    default_predict_fn,
)

# The arguments that SageMaker passes to each function, without the optional context.
ARGUMENTS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("data", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "data", "content_type", "accept"),
}
# Set on a predict_fn that can predict several requests at once: an object with ``prepare(value,
# model)``, which makes something small of what input_fn returned, and ``predict(values, model)``.
# It may have ``is_heavy(body)``, which tells quickly whether input_fn will take long.
BATCH_ATTRIBUTE = "whippet_batch"
_OWN_PACKAGE = "sm_entrypoints"

Handler = Callable[..., Any]


class ProgramError(Exception):
    """Raised when a model's program cannot serve; the message says what to change in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The functions of a user's module, checked, with defaults for those left out.

    Attributes:
        context: what a handler sees while the model is loaded.
    """

    functions: Mapping[str, Handler]
    context: Context

    def load(self, model_dir: Path) -> Any:
        """Return the model: what ``model_fn`` returns, warmed up if the program says how."""
        folder = str(model_dir)
        if "pre_model_fn" in self.functions:
            self._call("pre_model_fn", self.context, folder)
        model = self._call("model_fn", self.context, folder)
        if "model_warmup_fn" in self.functions:
            self._call("model_warmup_fn", self.context, folder, model)
        return model

    def transform(
        self,
        model: Any,
        data: bytes | str,
        content_type: str | None,
        accept: str,
        *,
        context: Context | None = None,
    ) -> tuple[Any, str | None]:
        """Answer one request: return the response and its content type, if the handler gave one."""
        context = context or self.context
        if "transform_fn" in self.functions:
            return _response(self._call("transform_fn", context, model, data, content_type, accept))
        value = self._call("input_fn", context, data, content_type)
        return self.write(self._call("predict_fn", context, value, model), accept, context)

    @property
    def batches(self) -> bool:
        """Whether several requests may be predicted together."""
        return self._batch is not None

    def prepare(
        self, model: Any, data: bytes | str, content_type: str | None, context: Context
    ) -> Any:
        """Return what a batch is made of: what ``input_fn`` made of a request, made small."""
        assert self._batch is not None
        return self._batch.prepare(self._call("input_fn", context, data, content_type), model)

    def is_heavy(self, body: bytes) -> bool:
        """Tell whether ``input_fn`` will take long with a body, where its program can say."""
        judge = getattr(self._batch, "is_heavy", None)
        return judge is not None and bool(judge(body))

    def predict_batch(self, values: Sequence[Any], model: Any) -> Sequence[Any]:
        """Return what ``predict_fn`` would of each prepared value."""
        assert self._batch is not None
        return self._batch.predict(values, model) if values else []

    def write(self, prediction: Any, accept: str, context: Context) -> tuple[Any, str | None]:
        """Return the response to a prediction, and its content type, if the handler gave one."""
        return _response(self._call("output_fn", context, prediction, accept))

    @property
    def _batch(self) -> Any:
        # It belongs to the function: a user's predict_fn, also beside our other handlers, has none.
        predict_fn = self.functions.get("predict_fn")
        names = ("input_fn", "predict_fn", "output_fn")
        modules = {getattr(self.functions.get(name), "__module__", None) for name in names}
        # A user's other handlers may count on being called one after the other.
        return getattr(predict_fn, BATCH_ATTRIBUTE, None) if len(modules) == 1 else None

    def _call(self, name: str, context: Context, *arguments: Any) -> Any:
        function = self.functions[name]
        if _takes_context(name, function):
            return function(*arguments, context)
        return function(*arguments)


def load_program(code_dir: Path, program: str, context: Context | None = None) -> Program:
    """Import a model's program and check its handlers.

    The folder goes first on ``sys.path`` and stays there: the program may import its neighbours,
    among them its own copy of this package, which then wins over the server's.

    Args:
        code_dir: the archive's ``code`` folder.
        program: a file or module in it: ``inference.py``, ``package/inference.py``,
            ``package.inference``. Where there is none, the default handlers serve.
        context: passed to handlers that take one while the model is loaded.

    Raises:
        ProgramError: its handlers do not follow the contract.
        Exception: whatever importing the module raises.
    """
    module = _import_program(code_dir, program)
    handlers = {
        name: getattr(module, name)
        for name in ARGUMENTS
        # The toolkit takes None for a function that is left out.
        if getattr(module, name, None) is not None
    }
    _check(program, handlers)
    missing = _not_there(code_dir, program) if module is None else _undefined(program)
    functions = {"model_fn": _model_fn_without(missing), **handlers}
    if "transform_fn" not in handlers:
        functions = {
            "input_fn": default_input_fn,
            "predict_fn": default_predict_fn,
            "output_fn": default_output_fn,
            **functions,
        }
    return Program(functions=functions, context=context or Context())


def _response(returned: Any) -> tuple[Any, str | None]:
    return (returned[0], str(returned[1])) if isinstance(returned, tuple) else (returned, None)


def _model_fn_without(missing: str) -> Handler:
    def model_fn(model_dir: str) -> Any:
        try:
            return default_model_fn(model_dir)
        except ModelFileError as error:
            raise ProgramError(f"{missing}, and the default model_fn says: {error}") from error

    return model_fn


def _undefined(program: str) -> str:
    return (
        f"{program} defines no model_fn: add `def model_fn(model_dir)` that loads the model, or "
        "save it as TorchScript in model.pt"
    )


def _not_there(code_dir: Path, program: str) -> str:
    files = sorted(path.name for path in code_dir.glob("*")) if code_dir.is_dir() else []
    return (
        f"program {program!r} is not in {code_dir}, which holds {files}: put it there in "
        "model.tar.gz (as code/inference.py), or name it in SAGEMAKER_PROGRAM"
    )


def _import_program(code_dir: Path, program: str) -> ModuleType | None:
    name = program.removesuffix(".py").replace("/", ".").strip(".")
    if (code_dir / _OWN_PACKAGE).is_dir():
        # The archive's copy prepared the data that the model was trained on. The server's own
        # thread imports meanwhile, so they are listed first.
        for loaded in [key for key in list(sys.modules) if key.split(".")[0] == _OWN_PACKAGE]:
            del sys.modules[loaded]
    sys.path.insert(0, str(code_dir))
    importlib.invalidate_caches()
    try:
        exists = bool(name) and importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        exists = False
    return importlib.import_module(name) if exists else None


def _check(program: str, found: Mapping[str, Any]) -> None:
    for name, function in found.items():
        if not callable(function):
            raise ProgramError(f"{name} in {program} is not a function: {function!r}")
        if inspect.iscoroutinefunction(function):
            raise ProgramError(
                f"{name} in {program} is asynchronous, but is never awaited: write `def {name}` "
                "without `async`"
            )
        _takes_context(name, function)
    others = sorted({"input_fn", "predict_fn", "output_fn"} & set(found))
    if "transform_fn" in found and others:
        raise ProgramError(
            f"{program} defines transform_fn and {', '.join(others)}: keep either transform_fn, "
            "which does everything, or the others"
        )


def _takes_context(name: str, function: Handler) -> bool:
    """Tell by the number of parameters, as SageMaker's toolkit does."""
    parameters = list(inspect.signature(function).parameters.values())
    wanted = len(ARGUMENTS[name])
    context = parameters[wanted:]
    if len(context) == 1 and context[0].kind in _BY_NAME:
        raise ProgramError(
            f"{name} takes {context[0]} by name, but SageMaker passes the context by position: "
            f"write {name}({', '.join(ARGUMENTS[name])}, context)"
        )
    if len(parameters) in (wanted, wanted + 1):
        return len(parameters) == wanted + 1
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return False
    raise ProgramError(
        f"{name} takes {len(parameters)} parameters, but SageMaker calls "
        f"{name}({', '.join(ARGUMENTS[name])}) with an optional context at the end"
    )


_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
