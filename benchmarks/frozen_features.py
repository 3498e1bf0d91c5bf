"""Does a frozen Whippet training reach logistic regression on the same frozen features?

    .venv/bin/python -m benchmarks.frozen_features DIR [--model mobilenet_v2]

Runs ``benchmarks/extract_features.py`` in the job environment on DIR (train/ valid/ test/), fits
scikit-learn's LogisticRegression on the features (C chosen on the validation split), and prints its
test accuracy beside that of a finished Whippet run (``--run``, default: the latest).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from platforms import Settings
from tasks.runs.record import read_run

_EXTRACT = Path(__file__).with_name("extract_features.py")
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def baseline(features: dict[str, np.ndarray]) -> tuple[float, float]:
    """Return the best regression strength on the validation split and its test accuracy."""
    scores: list[tuple[float, float, float]] = []
    for strength in _STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features["train_x"], features["train_y"])
        valid = model.score(features["valid_x"], features["valid_y"])
        scores.append((valid, strength, model.score(features["test_x"], features["test_y"])))
    _, strength, test = max(scores)
    return strength, test


def main() -> int:
    """Print both accuracies and their difference in points."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--run", default="latest")
    options = parser.parse_args()
    settings = Settings()
    weights = sorted((settings.home / "weights").glob(f"{options.model}-*.safetensors"))[-1]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "features.npz"
        inputs = [options.data, options.model, weights, str(options.image_size)]
        subprocess.run([settings.job_python, _EXTRACT, *inputs, out], check=True)
        with np.load(out) as file:
            strength, theirs = baseline(dict(file))
    tested = read_run(settings, options.run).evaluation
    if tested is None or tested.accuracy is None:
        parser.error(f"run {options.run} has no test: it did not come so far")
    ours = tested.accuracy
    print(f"logistic regression (C={strength}): {theirs:.4f}")
    print(f"whippet run {options.run}: {ours:.4f}")
    print(f"difference: {100 * (ours - theirs):+.2f} points")
    return 0


if __name__ == "__main__":
    sys.exit(main())
