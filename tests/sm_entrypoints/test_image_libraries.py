"""The job environment holds what scripts written for AWS's PyTorch image import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import io
import boto3, cloudpickle, cv2, h5py, imageio, joblib, matplotlib, numpy, pandas, requests
import scipy.stats, seaborn, sklearn.metrics, tqdm, yaml
matplotlib.use("Agg")
from matplotlib import pyplot

square = numpy.zeros((4, 4, 3), numpy.uint8)
assert cv2.imdecode(cv2.imencode(".png", square)[1], cv2.IMREAD_COLOR).shape == (4, 4, 3)
assert sklearn.metrics.confusion_matrix([0, 1], [0, 0]).tolist() == [[1, 0], [1, 0]]
seaborn.heatmap(pandas.DataFrame([[1, 0], [1, 0]])).figure.savefig(io.BytesIO(), format="png")
"""
TOOLKITS = """
from sagemaker_inference import content_types, decoder, encoder, errors, transformer
from sagemaker_training import encoders, entry_point, environment, intermediate_output, recordio
print(environment.model_dir)
"""


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"SAGEMAKER_BASE_DIR": str(folder), "MPLCONFIGDIR": str(folder), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_may_use_the_images_libraries(tmp_path: Path) -> None:
    run(SCRIPT, tmp_path)


def test_sagemakers_own_toolkits_import(tmp_path: Path) -> None:
    pytest.importorskip("sagemaker_training", reason="there was no C compiler to build it")
    assert run(TOOLKITS, tmp_path).splitlines()[-1] == str(tmp_path / "model")
