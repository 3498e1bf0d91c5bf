"""Entry point of a job: print everything that a script can see of how it was started."""

import atexit
import builtins
import gc
import importlib
import inspect
import io
import json
import locale
import logging
import multiprocessing
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings

FIRST = time.process_time()


def lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def status(*also):
    wanted = (
        *("Name", "Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn"),
        *("SigPnd", "ShdPnd", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
        *("Cpus_allowed", "Threads", "NSpid", "NSpgid", "NSsid", "PPid", "TracerPid"),
    )
    pairs = (line.partition(":")[::2] for line in lines("/proc/self/status"))
    return {name: text.strip() for name, text in pairs if name in (*wanted, *also)}


def stream(file):
    return {
        "name": file.name,
        "encoding": file.encoding,
        "errors": file.errors,
        "write_through": file.write_through,
        "line_buffering": file.line_buffering,
        "buffer": type(file.buffer).__name__,
        "mode": file.mode,
    }


def tree(folder):
    return sorted(
        os.path.relpath(os.path.join(at, name), folder)
        for at, folders, files in os.walk(folder)
        for name in (*folders, *files)
        if "__pycache__" not in at and name != "__pycache__"
    )


def descriptors():
    found = {}
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            found[name] = re.sub("[0-9]+", "N", os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return found


def caller():
    return [frame.filename for frame in inspect.stack()]


def raised():
    try:
        raise ValueError("shown")
    except ValueError:
        return traceback.format_exc()


def warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("deep", stacklevel=9)
    return str(caught[0].filename)


main = sys.modules["__main__"]
address = re.compile(" at 0x[0-9a-f]+")
own = {
    name: address.sub("", repr(value))
    for name, value in vars(main).items()
    if name.startswith("__")
}
found = {
    "environ": dict(os.environ),
    "environb": len(os.environb),
    "first_environ": sorted(lines("/proc/self/environ")[0].split("\0")),
    "shell": sorted(subprocess.check_output(["env"], text=True).splitlines()),
    "cwd": os.getcwd(),
    "argv": sys.argv,
    "orig_argv": sys.orig_argv,
    "command": lines("/proc/self/cmdline"),
    "comm": lines("/proc/self/comm"),
    "exe": os.readlink("/proc/self/exe"),
    "parents": [lines(f"/proc/{pid}/cmdline") for pid in (1,)],
    "ids": [os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0), os.getuid(), os.geteuid()],
    "status": status(),
    "owner": [os.stat("/proc/self/environ").st_uid, os.stat("/proc/self/maps").st_uid],
    "limits": {
        name: resource.getrlimit(getattr(resource, name))
        for name in dir(resource)
        if name.startswith("RLIMIT_")
    },
    "signals": {str(each): repr(signal.getsignal(each)) for each in signal.valid_signals()},
    "mask": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
    "descriptors": descriptors(),
    "path": sys.path,
    "flags": str(sys.flags),
    "executable": [sys.executable, sys._base_executable, sys.prefix, sys.exec_prefix],
    "options": [sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, sys.pycache_prefix],
    "meta_path": [address.sub("", repr(each)) for each in sys.meta_path],
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__],
    "main": own,
    "spec": repr(main.__spec__),
    "stack": caller(),
    "raised": raised(),
    "warned": warned(),
    "frame": sys._getframe().f_back is None,
    "streams": [stream(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "input": sys.stdin.read(),
    "nice": [os.nice(0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))],
    "gc": [gc.get_threshold(), gc.isenabled(), gc.get_debug(), gc.get_freeze_count()],
    "recursion": sys.getrecursionlimit(),
    "switch": sys.getswitchinterval(),
    "locale": [locale.setlocale(locale.LC_ALL), locale.getpreferredencoding()],
    "time": [time.tzname, time.timezone],
    "host": [socket.gethostname(), os.uname().nodename],
    "temporary": [tempfile.gettempdir(), os.path.expanduser("~")],
    "threads": [each.name for each in threading.enumerate()],
    "main_thread": threading.current_thread() is threading.main_thread(),
    "native": threading.get_native_id() == os.getpid(),
    "process": [multiprocessing.current_process().name, multiprocessing.parent_process()],
    "method": multiprocessing.get_start_method(allow_none=True),
    "logging": [repr(logging.getLogger().handlers), logging.getLogger().level],
    "builtins": sorted(vars(builtins)),
    "blocking": io.DEFAULT_BUFFER_SIZE,
    "ml": tree("/opt/ml"),
    "tmp": tree("/tmp"),
    "mounts": [line.split(" - ")[0].split(" ", 4)[4] for line in lines("/proc/self/mountinfo")],
    "shm": tree("/dev/shm"),
    "quick": FIRST < 60,
}
for name in json.loads(os.environ["SM_HP_MODULES"]):
    importlib.import_module(name)
import numpy  # noqa: E402
import torch  # noqa: E402

gc.collect()
found["shown after"] = [lines("/proc/self/cmdline"), lines("/proc/self/environ")[0].count("=")]
found["filters"] = [str(each) for each in warnings.filters]
found["torch"] = [
    torch.get_num_threads(),
    torch.get_num_interop_threads(),
    torch.is_grad_enabled(),
    str(torch.get_default_dtype()),
    torch.get_deterministic_debug_mode(),
    (torch.ones(200, 200) @ torch.ones(200, 200)).sum().item(),
]
found["numpy"] = [str(numpy.geterr()), numpy.get_printoptions()["precision"]]
found["status after"] = {**status("SigCgt"), "Threads": "those of libraries, when used"}
found["callbacks"] = atexit._ncallbacks()
found["modules"] = sorted(sys.modules)
different = {
    "random": [random.random(), float(numpy.random.rand()), os.urandom(4).hex()],
    "torch": [torch.initial_seed(), *torch.rand(3).tolist()],
    "key": bytes(multiprocessing.current_process().authkey).hex(),
    "names": tempfile.mktemp(),
}
print("SEEN " + json.dumps({"same": found, "different": different}), flush=True)
