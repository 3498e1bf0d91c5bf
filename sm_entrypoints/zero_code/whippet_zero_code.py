"""Act when a script imports torch or smdebug; until then, only wait. Standard library only.

What is imported already when Python starts is acted on at once.

Nothing here may break a script: a problem is reported in one line, and the script continues.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys

TYPE_CHECKING = False  # typing itself would double what we add to Python's start
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from types import ModuleType
    from typing import Any

    Action = Callable[[ModuleType], None]

_HOOK_CONFIG = "SMDEBUG_CONFIG_FILE_PATH"
_DEFAULT_CONFIG = "/opt/ml/input/config/debughookconfig.json"
# AWS's own variable to go without the hook.
_SWITCH = "USE_SMDEBUG"
_ML = "/opt/ml"


def begin(variables: MutableMapping[str, str]) -> None:
    """Wait for the imports that matter to a job with these environment variables."""
    if variables.get(_SWITCH, "true").lower() in ("0", "f", "false", "n", "no", "off"):
        return
    # At its default level it prints a line for each parameter, between the metrics.
    variables.setdefault("SMDEBUG_LOG_LEVEL", "warning")
    actions: dict[str, Action] = {
        "smdebug.profiler.profiler_config_parser": lambda module: _keep_paths(module, variables)
    }
    if os.path.isfile(variables.get(_HOOK_CONFIG, _DEFAULT_CONFIG)):  # noqa: PTH113
        actions |= {"torch": _watch_modules, "smdebug.pytorch.hook": _adapt_hook}
    for name in [name for name in actions if name in sys.modules]:
        # The process was forked from one that had imported it: a warm start.
        contained(actions.pop(name), sys.modules[name])
    sys.meta_path.insert(0, _AfterImport(actions))


class _AfterImport:
    """Run an action once, right after a module was imported for the first time."""

    def __init__(self, actions: dict[str, Action]) -> None:
        self._actions = actions

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec that Python would find, with our action behind its loader."""
        action = self._actions.pop(name, None)
        if action is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            _follow(spec.loader, action)
        return spec


def _follow(loader: Any, action: Action) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module  # the loader is as it was
        execute(module)
        contained(action, module)

    loader.exec_module = exec_module


def contained(work: Callable[..., object], *arguments: object) -> bool:
    """Do something; tell whether it went well, and say in one line if it did not."""
    try:
        work(*arguments)
    except Exception as error:  # noqa: BLE001 - see the module's docstring
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"Debugger's hook switched off ({words}); training continues.", flush=True)
        return False
    return True


def _watch_modules(torch: Any) -> None:
    from whippet_registration import REGISTRATION

    REGISTRATION.watch(torch)


def _adapt_hook(hook_module: Any) -> None:
    from whippet_registration import REGISTRATION

    REGISTRATION.adapt(hook_module.Hook)


def _keep_paths(parser: Any, variables: MutableMapping[str, str]) -> None:
    """Keep the profiler's files in the job's own tree, where that is not at ``/opt/ml``."""
    root = os.path.dirname(variables.get("SM_MODEL_DIR", f"{_ML}/model"))  # noqa: PTH120
    make = parser.ProfilerConfig

    def inside(local_path: str, *others: Any) -> Any:
        path = local_path
        if path == _ML or path.startswith(f"{_ML}/"):
            path = root + path[len(_ML) :]
        return make(path, *others)

    parser.ProfilerConfig = inside
