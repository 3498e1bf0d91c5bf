"""Import what jobs import; leave a copy behind that forks; become a job.

Started by the first supervisor of a kind, with one argument of JSON beside the script:

- ``socket``: descriptor on which the supervisor says what to run (:mod:`whippet_warm_job`);
- ``folder``: where the copy that stays listens, and holds a lock, so there is one;
- ``modules``: what to import. ``boundary``: the folder of ``inside.py``;
- ``given``: the names of the environment that this process was given;
- ``idle_seconds``: how long the copy waits for the next job; ``least_free_bytes``: it ends when the
  machine has less memory left.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import socket
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from platforms.local.warm_start.inner import (
        whippet_warm_copy,
        whippet_warm_job,
        whippet_warm_script,
    )
    from platforms.local.warm_start.inner.whippet_warm_job import Declined
else:
    import whippet_warm_copy
    import whippet_warm_job
    import whippet_warm_script
    from whippet_warm_job import Declined


def main() -> None:
    """Return in the process of a job, when it is as after a cold start."""
    try:
        start = json.loads(sys.argv[1])
        channel = socket.socket(fileno=start["socket"])
        channel.set_inheritable(False)
        try:
            boundary = _prepare(start)
        except Declined as reason:
            whippet_warm_job.decline(channel, str(reason), always=True)
        channel = whippet_warm_copy.leave_behind(start, channel)
        whippet_warm_job.become(channel, start, boundary)
    except BaseException:  # noqa: BLE001 - Python would go on with a script that is not this machine's.
        traceback.print_exc()
        os._exit(1)
    _run_hidden()


def _prepare(start: dict[str, Any]) -> Any:
    """Import everything, and check that this left nothing that forks would share.

    Raises:
        Declined: it did; says what.
    """
    ours = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != ours]
    hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    # That of Debian's Python, beside the standard library, is run later: it reports crashes.
    if hidden is not None and os.path.dirname(hidden.origin or "") != os.path.dirname(os.__file__):
        raise Declined("the job environment has a sitecustomize of its own")
    start["script"] = whippet_warm_script.places()
    if not start["script"]:
        raise Declined("this Python keeps the name of its script elsewhere")
    start["environment"] = dict(os.environ)
    start["path"] = list(sys.path)
    boundary = _boundary(start["boundary"])
    gc.disable()
    try:
        for name in start["modules"]:
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Declined(f"the job environment lacks {error.name}") from error
    finally:
        gc.enable()
    _check(start)
    start["stamps"] = stamps(start["boundary"])
    return boundary


def _boundary(folder: str) -> Any:
    """Import ``inside.py`` and what it needs; a script must not find modules of these names."""
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("inside")
    finally:
        sys.path.remove(folder)
        for name in ("inside", "kernel", "mounting"):
            sys.modules.pop(name, None)


def _check(start: dict[str, Any]) -> None:
    if os.fstat(1).st_size > 0:
        raise Declined("importing prints something")
    child = os.fork()  # Libraries end their threads before a fork; others would be lost in it.
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if len(os.listdir("/proc/self/task")) != 1:
        raise Declined("importing starts threads")
    opened = [int(each) for each in os.listdir("/proc/self/fd")]
    # The last one reads the folder itself.
    if len(set(opened) - {0, 1, 2, start["socket"]}) > 1:
        raise Declined("importing opens files")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        raise Declined("importing initializes a GPU")


def stamps(boundary: str) -> dict[str, tuple[int, int, int]]:
    """Return what tells whether anything that was imported, or could be, has changed since."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    files |= {*sys.path, boundary, sys.executable, os.path.join(sys.prefix, "pyvenv.cfg")}
    for folder in sys.path:
        if os.path.isdir(folder):
            files |= {
                os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".pth")
            }
    return {
        name: whippet_warm_copy.stamp(name)
        for name in files
        if isinstance(name, str) and name[:1] == "/"
    }


def _run_hidden() -> None:
    """Run the job's own ``sitecustomize``, which ours has hidden, and forget all of ours."""
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    for name in [name for name in list(sys.modules) if name.startswith("whippet_warm_")]:
        del sys.modules[name]
    if spec is None or spec.loader is None:
        # What Python takes for an environment that has none; it forgets ours.
        raise ImportError("there is no sitecustomize", name="sitecustomize")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)
