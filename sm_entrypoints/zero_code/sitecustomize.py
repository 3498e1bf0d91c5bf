"""Run by Python before a job's script: watch for imports of torch and smdebug, do nothing else.

Standard library only, and cheap: a script without torch must not notice. If this module hides
another of the same name, that one is run as well.
"""

import importlib.machinery
import os
import sys


def _watch() -> None:
    try:
        import whippet_zero_code

        whippet_zero_code.begin(os.environ)
    except Exception as error:  # noqa: BLE001 - whatever it is: the script runs without us
        print(f"Debugger's hook is not available ({error}); the script runs.", flush=True)


def _run_hidden() -> None:
    """Run the ``sitecustomize`` that comes after ours on the path, if there is one."""
    ours = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs 10 ms
    path = [entry for entry in sys.path if os.path.abspath(entry or ".") != ours]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        spec.loader.exec_module(module_from_spec(spec))


_watch()
_run_hidden()
