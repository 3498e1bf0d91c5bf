"""The recipe of docker/Dockerfile, followed without Docker: its files, environment, entry point."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.worlds.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker/Dockerfile"
PYTHON = "/opt/whippet/python/bin/python"

Step = tuple[str, str]


def stages() -> list[list[Step]]:
    """Return the instructions of each stage in order; before the first FROM: ARGs."""
    text = "\n".join(
        line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")
    )
    found: list[list[Step]] = [[]]
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            found.append([])
        if name:
            found[-1].append((name, " ".join(rest.split())))
    return found


def of(stage: list[Step], name: str) -> list[str]:
    """Return what an instruction is given, each time that it stands in a stage."""
    return [rest for each, rest in stage if each == name]


@dataclass(frozen=True, kw_only=True)
class Container:
    """The last stage, laid out in a folder: what ``docker run IMAGE serve`` would find."""

    root: Path
    python: Path

    def build(self) -> None:
        """Copy what the stage copies from the project."""
        for copied in of(stages()[-1], "COPY"):
            *sources, target = copied.split()
            if sources[0].startswith("--from="):
                continue
            folder = self.inside(target)
            folder.mkdir(parents=True)
            for source in sources:
                shutil.copy2(ROOT / source, folder)

    def inside(self, path: str) -> Path:
        """Return where an absolute path of the image lies."""
        return self.root / path.lstrip("/")

    def environment(self) -> dict[str, str]:
        """Return the image's variables; the machine's own folder, address and port for its own."""
        pairs = (word.partition("=") for line in of(stages()[-1], "ENV") for word in line.split())
        of_image = {name: value for name, _, value in pairs}
        assert of_image["SAGEMAKER_BIND_TO_HOST"] == "0.0.0.0"
        assert of_image["SAGEMAKER_BIND_TO_PORT"] == "8080"
        return {
            **of_image,
            "SM_MODEL_DIR": str(self.inside(of_image["SM_MODEL_DIR"])),
            "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": "0",
            "SAGEMAKER_PORT_FILE": str(self.root / "port"),
        }

    def command(self, exec_form: str) -> list[str]:
        """Return an instruction's JSON list as a command here."""
        words: list[str] = json.loads(exec_form)
        assert words[0] == PYTHON
        return [str(self.python), *(self._here(word) for word in words[1:])]

    def _here(self, word: str) -> str:
        return str(self.inside(word)) if word.startswith("/opt/whippet/server") else word

    @contextmanager
    def run(self, variables: Mapping[str, str]) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """Run ``docker run IMAGE serve`` as SageMaker does; give URL and process once healthy."""
        entry_point = self.command(of(stages()[-1], "ENTRYPOINT")[0])
        environment = {**self.environment(), **variables}
        process = subprocess.Popen([*entry_point, "serve"], env=environment, cwd=self.root)
        try:
            yield self._wait(process), process
        finally:
            process.kill()
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> str:
        def healthy() -> str | None:
            assert process.poll() is None, f"exit status {process.poll()}"
            port = self.root / "port"
            if not port.is_file():
                return None
            url = f"http://127.0.0.1:{port.read_text().strip()}"
            return url if httpx.get(f"{url}/ping", trust_env=False).status_code == 200 else None

        url = wait_for(healthy, "healthy server", pause=0.1)
        assert url is not None
        return url

    def healthy(self, url: str) -> bool:
        """Run the image's health check against the server."""
        text = of(stages()[-1], "HEALTHCHECK")[0].partition("CMD ")[2]
        *command, program = self.command(text)
        port = url.rpartition(":")[2]
        checked = [*command, program.replace(":8080/", f":{port}/")]
        return subprocess.run(checked, check=False, env={}, capture_output=True).returncode == 0


def stops_at_sigterm(process: subprocess.Popen[bytes]) -> bool:
    """Send what SageMaker sends first, and tell whether the server ended well."""
    process.send_signal(signal.SIGTERM)
    return process.wait(30) == 0
