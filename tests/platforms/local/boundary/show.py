"""Run one job that does what people's scripts do to a machine; print what became of it as JSON.

``python -m tests.platforms.local.boundary.show HOME JOB_PYTHON MECHANISM WHEELS``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import obstore

from platforms.local.connection import connect_local
from platforms.settings import Settings
from tests.worlds.local.jobs import Jobs

CHECKPOINTS = "s3://whippet-local/checkpoints/show"
# Runs with paths as on AWS; where there is no boundary, with those that SM_* names.
SCRIPT = """
import importlib.metadata, json, os, shutil, subprocess, sys, tempfile
from pathlib import Path

ml = Path("/opt/ml" if "--contained" in sys.argv else os.environ["SM_MODEL_DIR"] + "/..")
data = ml / "input/data/train"
found = {"checkpoints": sorted(os.listdir(ml / "checkpoints")), "contained": str(ml) == "/opt/ml"}
(ml / "checkpoints/epoch-1.txt").write_text("mine")
(ml / "model/model.bin").write_text("weights")
(ml / "output/profiler").mkdir(parents=True)
(ml / "output/profiler/events.json").write_text("{}")

shutil.move(data / "a cat/1.jpg", ml / "model/1.jpg")
(data / "a dog").mkdir()
shutil.copy(ml / "model/1.jpg", data / "a dog/2.jpg")
with open(data / "a cat/3.jpg", "ab") as file:
    file.write(b"changed")
os.remove(data / "a cat/4.jpg")
found["data"] = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.jpg"))

if found["contained"]:
    Path(tempfile.gettempdir(), "left-by-a-show-job").write_text("x")
    Path.home().joinpath(".left-by-a-show-job").write_text("x")
    Path("/data").mkdir()
    Path("/dev/shm/left-by-a-show-job").write_text("x")
    for name in ("/usr/left-by-a-show-job", "/opt/left/by-a-show-job", "/etc/left"):
        try:
            Path(name).write_text("x")
        except OSError as error:
            found[name] = type(error).__name__


def pip(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=120)


offline = ("--no-index", "--no-deps", "--quiet")
wheels = data / "wheels"
pip("pip", "install", *offline, wheels / "newcomer-1.0-py3-none-any.whl")
pip(sys.executable, "-m", "pip", "install", *offline, wheels / "resident-2.0-py3-none-any.whl")
version = "import importlib.metadata as m; print(m.version('resident'), __import__('resident').V)"
found["resident"] = subprocess.check_output(["python", "-c", version], text=True).split()
found["tool"] = subprocess.check_output(["newcomer-tool"], text=True).split()
import newcomer
found["newcomer"] = newcomer.V
pip("pip", "uninstall", "--yes", "--quiet", "newcomer")
found["uninstalled"] = subprocess.run(
    ["python", "-c", "import newcomer"], stderr=subprocess.DEVNULL
).returncode
found["which"] = [shutil.which(name) for name in ("python", "pip", "python3")]
found["credentials"] = [
    name for name in (".ssh", ".aws/credentials") if Path.home().joinpath(name).exists()
]
(ml / "output/data/found.json").write_text(json.dumps(found))
print(json.dumps(found))
"""


def main(home: str, job_python: str, mechanism: str, wheels: str) -> None:
    """Run the job to its end."""
    settings = Settings(home=Path(home), job_python=Path(job_python), boundary=mechanism)  # type: ignore[arg-type]
    jobs = Jobs(platform=connect_local(settings))
    store = jobs.platform.store("whippet-local")
    for wheel in Path(wheels).iterdir():
        obstore.put(store, f"data/train/wheels/{wheel.name}", wheel.read_bytes())
    for number in (3, 4):
        obstore.put(store, f"data/train/a cat/{number}.jpg", b"picture")
    contained = {"HyperParameters": {"contained": "true"}} if mechanism != "none" else {}
    request = jobs.request("show", SCRIPT, CheckpointConfig={"S3Uri": CHECKPOINTS}, **contained)
    before = listing(Path(home) / "s3" / "whippet-local" / "data")
    jobs.platform.sagemaker.create_training_job(**request)
    job = jobs.wait("show", seconds=300)
    after = listing(Path(home) / "s3" / "whippet-local" / "data")
    log = jobs.log("show")
    print(
        json.dumps(
            {
                "status": job["TrainingJobStatus"],
                "reason": job.get("FailureReason"),
                "model": "ModelArtifacts" in job
                and jobs.context.buckets.is_object(job["ModelArtifacts"]["S3ModelArtifacts"]),
                "checkpoint": jobs.context.buckets.is_object(f"{CHECKPOINTS}/epoch-1.txt"),
                "bucket": before == after,
                "left": sorted(path.name for path in jobs.folder("show").iterdir()),
                "found": json.loads(log.splitlines()[-1]) if log.endswith("}\n") else log,
            }
        )
    )


def listing(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return all that tells whether a folder is as before: sizes, times, and small contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in (path.name, path.parent.name):
            continue
        status = path.lstat()
        small = path.is_file() and not path.is_symlink() and status.st_size < 4096
        content = path.read_bytes().hex() if small else ""
        times = 0 if path.is_dir() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (status.st_size, times, content)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
