"""Real training jobs for tests: a one-second entry point under a real supervisor."""

from __future__ import annotations

import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore

from platforms import Platform
from platforms.archives import write_archive
from platforms.local.connection import connect_local
from platforms.local.context import LocalContext, local_context
from platforms.settings import Settings
from tests.worlds.waiting import wait_for

PROGRAM = "sm_entrypoints/train.py"
METRIC = {"Name": "valid:loss", "Regex": '"valid:loss": ([0-9.e+-]+)'}


def local_settings(home: Path, **changes: Any) -> Settings:
    """Return settings of a local platform whose jobs run under this interpreter (no torch)."""
    return Settings(**{"home": home, "job_python": Path(sys.executable), **changes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """Training jobs of one platform; ``uploads`` where its store can be reached."""

    platform: Platform
    uploads: bool = True

    @property
    def context(self) -> LocalContext:
        return local_context(self.platform.settings)

    def folder(self, name: str) -> Path:
        return self.context.records.folder("training-jobs", name)

    def upload(self, script: str, **files: str) -> str:
        """Upload an entry point, and more files of its archive; return the archive's URI."""
        bucket = self.platform.defaults.bucket
        if not self.uploads:
            return f"s3://{bucket}/code/sourcedir.tar.gz"
        source = self.platform.settings.home / "source" / f"{time.monotonic_ns()}"
        for name, text in {PROGRAM: script, **files}.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        archive = source.with_suffix(".tar.gz")
        write_archive(source, archive)
        store = self.platform.store(bucket)
        obstore.put(store, f"code/{archive.name}", archive.read_bytes())
        obstore.put(store, "data/train/a cat/1.jpg", b"picture")
        return f"s3://{bucket}/code/{archive.name}"

    def request(self, name: str, script: str, **changes: Any) -> dict[str, Any]:
        """Return a request that runs ``script`` as the entry point."""
        base = f"s3://{self.platform.defaults.bucket}"
        hyperparameters = {
            "sagemaker_program": PROGRAM,
            "sagemaker_submit_directory": self.upload(script),
            **changes.pop("HyperParameters", {}),
        }
        source = {"S3DataType": "S3Prefix", "S3Uri": f"{base}/data/train"}
        return {
            "TrainingJobName": name,
            "RoleArn": self.platform.defaults.role_arn,
            "AlgorithmSpecification": {
                "TrainingImage": self.platform.defaults.training_image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [METRIC],
            },
            "HyperParameters": hyperparameters,
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"{base}/jobs"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **changes,
        }

    def start(self, name: str, script: str, **changes: Any) -> None:
        self.platform.sagemaker.create_training_job(**self.request(name, script, **changes))

    def run(self, name: str, script: str, **changes: Any) -> dict[str, Any]:
        self.start(name, script, **changes)
        return self.wait(name)

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.platform.sagemaker.describe_training_job(
            TrainingJobName=name
        )
        return described

    def wait(self, name: str, *statuses: str, seconds: float = 240) -> dict[str, Any]:
        """Wait for one of the (secondary) statuses; default: a final one."""
        wanted = set(statuses) or {"Completed", "Failed", "Stopped"}

        def there() -> dict[str, Any] | None:
            job = self.describe(name)
            return job if wanted & {job["TrainingJobStatus"], job["SecondaryStatus"]} else None

        found = wait_for(there, lambda: (wanted, self.describe(name), self.log(name)), seconds)
        assert found is not None
        return found

    def wait_for_line(self, name: str, text: str) -> None:
        """Wait until the job has printed ``text``."""
        wait_for(lambda: text in self.log(name), lambda: f"{text!r} in {self.log(name)!r}")

    def log(self, name: str) -> str:
        try:
            return (self.folder(name) / "log.txt").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""


def local_jobs(home: Path) -> Jobs:
    return Jobs(platform=connect_local(local_settings(home)))
