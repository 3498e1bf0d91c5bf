"""People's scripts, run as root and as another user, leave bucket, machine and Pythons alone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platforms.errors import SettingsError
from platforms.local.boundary.mechanism import choose
from platforms.settings import PROJECT_ROOT
from tests.platforms.local.boundary.show import listing

OTHER_USER = 12_345
MECHANISMS = ("namespaces", "bubblewrap", "none")


def make_wheel(folder: Path, name: str, version: str, *, tool: str | None = None) -> Path:
    """Write a wheel of one module that knows its version, perhaps with a program."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"V = '{version}'\n\ndef main():\n    print(V)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if tool is not None:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{tool} = {name}:main\n"
    rows = [f"{path},{_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_python(folder: Path, base: str, packages: str, wheel: Path) -> Path:
    """Make an environment like the job environment, with pip and one package of its own."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    site, scripts = folder / "lib" / f"python{version}" / "site-packages", folder / "bin"
    for each in (site, scripts):
        each.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(base).resolve().parent}\n")
    (scripts / "python").symlink_to(Path(base).resolve())
    (site / "pip.pth").write_text(f"{packages}\n")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_bytes(archive.read(name))
    return scripts / "python"


@pytest.fixture(scope="module")
def world() -> Iterator[Path]:
    """Give a folder that every user can look into."""
    folder = Path(tempfile.mkdtemp(prefix="whippet-show-", dir="/var/tmp"))
    folder.chmod(0o755)
    wheels = folder / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "newcomer", "1.0", tool="newcomer-tool")
    make_wheel(wheels, "resident", "2.0")
    first = folder / "first"
    first.mkdir()
    make_wheel(first, "resident", "1.0")
    yield folder
    shutil.rmtree(folder)


def run_show(world: Path, name: str, mechanism: str, base: str, **who: Any) -> dict[str, Any]:
    """Run the show as somebody, and check the machine around it."""
    folder = world / f"{name}-{mechanism}"
    folder.mkdir()
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    wheel = next((world / "first").iterdir())
    python = make_python(folder / "job", base, packages, wheel)
    ours = make_python(folder / "ours", base, packages, wheel)
    user_home = folder / "home"
    for secret in (".aws/credentials", ".ssh/id"):
        (user_home / secret).parent.mkdir(parents=True)
        (user_home / secret).write_text("secret")
    if who:
        for path in (folder, *folder.rglob("*")):
            os.lchown(path, OTHER_USER, OTHER_USER)
    watched = [Path("/opt"), folder / "job", user_home, Path(packages, "pip")]
    before = [listing(each) for each in watched]
    argv = [str(folder / "whippet"), str(python), mechanism, str(world / "wheels")]
    done = subprocess.run(
        [ours, "-m", "tests.platforms.local.boundary.show", *argv],
        cwd=PROJECT_ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(user_home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **who,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [listing(each) for each in watched] == before
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def check_show(result: dict[str, Any], mechanism: str) -> None:
    assert result["status"] == "Completed", result
    assert result["bucket"], "the job changed the bucket"
    assert result["model"]
    assert result["checkpoint"]
    assert "boundary" not in result["left"]
    found = result["found"]
    assert found["checkpoints"] == []
    assert found["data"] == ["a cat/3.jpg", "a dog/2.jpg"]
    assert found["resident"] == ["2.0", "2.0"]
    assert found["tool"] == ["1.0"]
    assert found["newcomer"] == "1.0"
    assert found["uninstalled"] == 1
    if mechanism != "none":
        assert found["contained"]
        assert found["/usr/left-by-a-show-job"] == "OSError"
        assert found["credentials"] == []


def require(mechanism: str) -> None:
    try:
        choose(mechanism, Path("/var/tmp"))
    except SettingsError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_as_we_are(world: Path, mechanism: str) -> None:
    require(mechanism)
    check_show(run_show(world, "ours", mechanism, sys.executable), mechanism)


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_as_another_user(world: Path, mechanism: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    require(mechanism)
    who = {"user": OTHER_USER, "group": OTHER_USER, "extra_groups": []}
    base = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    probe = [base, "-c", "import sys, venv; open(sys.argv[1])", str(PROJECT_ROOT / "README.md")]
    try:
        subprocess.run(probe, check=True, capture_output=True, **who)  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"another user has no {base}, or cannot read this checkout")
    check_show(run_show(world, "theirs", mechanism, base, **who), mechanism)
