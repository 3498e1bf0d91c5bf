"""What a process inside a boundary sees of the machine: everything it needs, nothing it can change.

The machine is read-only. ``/tmp``, ``/var/tmp``, ``/dev/shm``, the home and ``/opt/ml`` are private
to the job. The user's home, ``WHIPPET_HOME`` and credential files are hidden, except for what the
job environment needs of them.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from platforms.local.boundary.steps import (
    Bind,
    Devices,
    Folder,
    Link,
    Overlay,
    Processes,
    Scratch,
    Step,
)

ML = Path("/opt/ml")
HOST_NAME = "algo-1"
# Made anew, or put together of parts.
_OWN = frozenset({"dev", "proc", "tmp", "run", "opt", "lost+found", "old_root"})
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_ACCELERATORS = ("nvidia*", "dri", "kfd", "infiniband", "dxg", "accel")
# Names of hosts and users, certificates, and NixOS's own; never a socket of a daemon that obeys.
_RUN = (
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/run/nscd",
    "/run/opengl-driver",
    "/run/current-system",
    "/run/nvidia-persistenced",
)
_CREDENTIALS = (
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "NETRC",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
)
# Where pip finds its index and its proxy.
_HOME_FILES = (".config/pip", ".pip/pip.conf", ".condarc")
# Downloads that a job may read; what it adds stays its own.
_CACHES = (
    ".cache/pip",
    ".cache/torch",
    ".cache/huggingface/hub",
    ".cache/huggingface/datasets",
    ".keras",
    "nltk_data",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What to show, beside the machine itself.

    Attributes:
        scratch: a folder of the job's for everything that it writes elsewhere than in ``ml``.
        whippet_home: hidden; the job's own files in it are bound elsewhere.
        ml: steps at and below ``/opt/ml``.
        python: steps that show the job environment and the place of its ``pip``.
        keep: paths that must be seen where they are, as the interpreter.
        overlays: copy-on-write works here.
    """

    scratch: Path
    whippet_home: Path
    ml: tuple[Step, ...] = ()
    python: tuple[Step, ...] = ()
    keep: tuple[Path, ...] = ()
    overlays: bool = False

    def steps(self) -> list[Step]:
        """Return all steps, and make the folders in ``scratch`` that they bind."""
        homes = private_homes()
        hidden = hidden_folders()
        return [
            *_machine(),
            *self._temporary(),
            *self._homes(homes),
            *self._hidden(hidden),
            *_kept(self.keep, [*hidden, self.whippet_home.resolve()]),
            *_opt(),
            *self.ml,
            *self.python,
        ]

    def _folder(self, name: str, mode: int = 0o755) -> str:
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        return str(path)

    def _temporary(self) -> Iterator[Step]:
        yield Bind(source=self._folder("tmp", 0o1777), target="/tmp", writable=True)
        if Path("/var/tmp").is_dir():
            yield Bind(source=self._folder("var-tmp", 0o1777), target="/var/tmp", writable=True)
        hosts = self.scratch / "hosts"
        hosts.write_text(_hosts(), encoding="utf-8")
        if Path("/etc/hosts").exists():
            yield Bind(source=str(hosts), target=str(Path("/etc/hosts").resolve()))

    def _homes(self, homes: Sequence[Path]) -> Iterator[Step]:
        for number, home in enumerate(homes):
            folder = self._folder(f"home-{number}", 0o700)
            yield Bind(source=folder, target=str(home), writable=True)
            for name in _HOME_FILES:
                path = home / name
                if path.exists():
                    yield Bind(source=str(path.resolve()), target=str(path), optional=True)
            if self.overlays:
                yield from self._caches(home, number)

    def _caches(self, home: Path, number: int) -> Iterator[Step]:
        for name in _CACHES:
            cache = (home / name).resolve()
            if cache.is_dir() and os.access(cache, os.R_OK | os.X_OK):
                at = self.scratch / f"caches-{number}" / name.replace("/", "-")
                yield _copy_on_write(cache, at, home / name)

    def _hidden(self, hidden: Sequence[Path]) -> Iterator[Step]:
        home = self.whippet_home.resolve()
        if home.is_dir() and not _below(home, hidden):
            yield Scratch(target=str(home))
        for name in _CREDENTIALS:
            path = Path(os.environ.get(name, ""))
            if path.is_file() and not _below(path.resolve(), hidden):
                yield Bind(source="/dev/null", target=str(path.resolve()))


def _copy_on_write(lower: Path, at: Path, target: Path) -> Overlay:
    upper, work = at / "upper", at / "work"
    for folder in (upper, work):
        folder.mkdir(parents=True, exist_ok=True)
    return Overlay(lowers=(str(lower),), upper=str(upper), work=str(work), target=str(target))


def hidden_folders() -> list[Path]:
    """Return the machine's folders that a job has private copies of, or sees only in part."""
    return [*private_homes(), Path("/tmp"), Path("/var/tmp"), Path("/run"), Path("/opt")]


def private_homes() -> list[Path]:
    """Return the homes to hide: ``HOME``, and the user's own where that is another one."""
    try:
        listed = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # A user of a container, whom no file lists.
        listed = ""
    homes: list[Path] = []
    for name in (os.environ.get("HOME", ""), listed):
        path = Path(name).resolve() if name else Path("/")
        # Not the whole machine, or a folder that others' homes are in.
        if path.is_dir() and len(path.parts) > 1 and path != Path("/home") and path not in homes:
            homes.append(path)
    return homes


def _machine() -> Iterator[Step]:
    """Yield the steps that show the machine's own folders, read-only."""
    with os.scandir("/") as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.is_symlink():
                yield Link(text=str(Path(entry.path).readlink()), target=entry.path)
            elif entry.name not in _OWN and entry.is_dir():
                yield Bind(source=entry.path, target=entry.path)
    yield Processes()
    yield Devices(nodes=tuple(_nodes()))
    yield Folder(target="/run")
    for name in _RUN:
        yield Bind(source=name, target=name, optional=True)


def _nodes() -> Iterator[str]:
    for name in (*_NODES, *_ACCELERATORS):
        yield from (str(path) for path in sorted(Path("/dev").glob(name)))


def _opt() -> Iterator[Step]:
    """Yield the steps that show ``/opt`` without an ``/opt/ml`` of the machine."""
    yield Folder(target="/opt")
    if not Path("/opt").is_dir():
        return
    for path in sorted(Path("/opt").iterdir()):
        if path == ML:
            continue
        if path.is_symlink():
            yield Link(text=str(path.readlink()), target=str(path))
        elif path.exists():
            yield Bind(source=str(path), target=str(path), optional=True)


def _kept(paths: Iterable[Path], hidden: Sequence[Path]) -> Iterator[Step]:
    """Yield the steps that show what lies in a hidden folder, and the links that lead to it."""
    seen: list[Path] = []
    for path in paths:
        real = path.resolve()
        if os.access(real, os.F_OK) and _below(real, hidden) and not _below(real, seen):
            seen.append(real)
            yield Bind(source=str(real), target=str(real), optional=True)
        # Below a folder that is shown, or below a link to one, it is there.
        if path != real and _below(path, hidden) and not _below(path, seen):
            seen.append(path)
            yield Link(text=str(real), target=str(path))


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _hosts() -> str:
    """Return ``/etc/hosts`` in which a job finds itself, as in the container."""
    try:
        hosts = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        hosts = "127.0.0.1 localhost\n"
    return f"{hosts.rstrip()}\n127.0.0.1 {HOST_NAME}\n"
