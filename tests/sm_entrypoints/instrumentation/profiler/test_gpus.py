"""GPUs are read through NVIDIA's own bindings; the driver's library here is one of ours, in C."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sm_entrypoints.instrumentation.profiler.gpus import Gpus

# Two GPUs: the first 40% busy with a quarter of its memory taken, the second 90% and half of it.
# The third call for a use fails where BROKEN_NVML is set (15: the GPU is lost).
DRIVER = r"""
#include <stdlib.h>
#include <string.h>
typedef struct { unsigned gpu, memory; } use_t;
typedef struct { unsigned long long total, free, used; } memory_t;
static int calls = 0;
int nvmlInit(void) { return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { return getenv("NO_DRIVER") ? 9 : 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(size_t)(index + 1);
    return index < 2 ? 0 : 2;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    strncpy(uuid, (size_t)device == 1 ? "GPU-aaaa-1" : "GPU-bbbb-2", length);
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, use_t *use) {
    if (getenv("BROKEN_NVML") && ++calls > 2) return 15;
    use->gpu = (size_t)device == 1 ? 40 : 90;
    use->memory = 1;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    memory->total = 16000000000ULL;
    memory->used = (size_t)device == 1 ? 4000000000ULL : 8000000000ULL;
    memory->free = memory->total - memory->used;
    return 0;
}
const char *nvmlErrorString(int error) { return error == 9 ? "no driver" : "the GPU is lost"; }
"""
# One process for all of it: most of a process's time goes into importing torch.
CASES = """
import json, os, sys, time
from pathlib import Path
from sm_entrypoints.instrumentation.profiler.gpus import Gpus
from sm_entrypoints.instrumentation.profiler.sampler import SystemSampler

def read(**variables):
    gpus = Gpus(variables)
    return [gpus.read(), gpus.read(), gpus.failure]

found = {"all": read()}
for chosen in ("1", "GPU-bbbb", "GPU-bbbb-2,7,0", ""):
    found[chosen] = read(CUDA_VISIBLE_DEVICES=chosen)
os.environ["NO_DRIVER"] = "1"
found["no driver"] = read()
del os.environ["NO_DRIVER"]
os.environ["BROKEN_NVML"] = "1"
sampler = SystemSampler(Path(sys.argv[1]), interval_ms=100)
sampler.start()
while sampler.summary()["samples"] < 3:
    time.sleep(0.01)
sampler.stop()
found["lost"] = [sampler.summary()["samples"], sampler.failure, sampler.gpu_failure]
print(json.dumps(found))
"""
FIRST = [["gpu", "gpu0", "GPUUtilization", 40], ["gpu", "gpu0", "GPUMemoryUtilization", 25]]
SECOND = [["gpu", "gpu1", "GPUUtilization", 90], ["gpu", "gpu1", "GPUMemoryUtilization", 50]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nvml")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """Return what was read in each case, where torch asks NVML whether there are GPUs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build a driver's library with")
    (folder / "nvml.c").write_text(DRIVER, encoding="utf-8")
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "nvml.c")]
    subprocess.run(command, check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-c", CASES, str(folder / "system")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[4],
        env={
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": str(folder),
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        },
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.slow
def test_each_gpu_has_its_use_and_its_taken_memory(found: dict[str, Any]) -> None:
    assert found["all"] == [FIRST + SECOND, FIRST + SECOND, None]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["1", "GPU-bbbb", "GPU-bbbb-2,7,0"])
def test_gpus_of_others_are_left_out(found: dict[str, Any], chosen: str) -> None:
    mine = [[kind, "gpu0", dimension, value] for kind, _, dimension, value in SECOND]
    assert found[chosen] == [mine, mine, None]
    assert found[""] == [[], [], None]


@pytest.mark.slow
def test_a_gpu_that_is_lost_ends_the_reading_of_gpus_only(
    found: dict[str, Any], folder: Path
) -> None:
    samples, failure, gpu_failure = found["lost"]
    assert samples >= 3
    assert failure is None
    assert "GPU is lost" in gpu_failure
    lines = [
        json.loads(line)
        for file in sorted((folder / "system").rglob("*.json"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    assert [line["Value"] for line in lines if line["Type"] == "gpu"] == [40, 25, 90, 50]
    assert len([line for line in lines if line["Name"] == "MemoryUsedPercent"]) == samples


@pytest.mark.slow
def test_a_driver_that_does_not_start_is_said(found: dict[str, Any]) -> None:
    first, second, failure = found["no driver"]
    assert (first, second) == ([], [])
    assert failure.startswith("NVML: ")


def test_without_a_gpu_nothing_is_read_and_nothing_is_wrong() -> None:
    gpus = Gpus()
    if not torch.cuda.is_available():
        assert (gpus.failure, gpus.read()) == (None, [])
