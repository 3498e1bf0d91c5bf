"""The files that a training job leaves for tasks and dashboards, named in ``contract``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sm_entrypoints.contract import (
    EVALUATION_FILE,
    INFERENCE_PROGRAM,
    METRICS_FILE,
    MISTAKES_FILE,
    MISTAKES_FOLDER,
    MODEL_CODE_FOLDER,
    PREDICTION_COLUMNS,
    PREDICTIONS_FILE,
    REQUIREMENTS_FILE,
    TRAINING_SUMMARY_FILE,
    VALID_PREDICTIONS_FILE,
)
from sm_entrypoints.contract.files import write_json, write_text
from sm_entrypoints.contract.strangers.tables import table
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.preparation import TRAINING_FORMATS, open_image
from sm_entrypoints.training.evaluation import Scores, report

MAX_MISTAKES = 24
THUMBNAIL_PIXELS = 160


def write_metrics(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write ``metrics.jsonl``: one object a line for each epoch and split."""
    lines = [json.dumps(row) + "\n" for row in history]
    write_text(folder / METRICS_FILE, "".join(lines))


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write ``training.json``."""
    write_json(folder / TRAINING_SUMMARY_FILE, summary)


def write_evaluation(folder: Path, split: Split, scores: Scores, classes: tuple[str, ...]) -> None:
    """Write ``evaluation.json``, ``predictions.csv`` and the worst mistakes with thumbnails."""
    document = report(split.name, scores, classes)
    write_json(folder / EVALUATION_FILE, document, indent=None, escape=False)
    write_text(folder / PREDICTIONS_FILE, _predictions(split, scores, classes))
    _write_mistakes(folder, split, scores, classes)


def write_validation(
    folder: Path, split: Split, scores: Scores | None, classes: tuple[str, ...]
) -> None:
    """Write ``valid_predictions.csv``: what two models differ in is seen picture by picture."""
    folder.mkdir(parents=True, exist_ok=True)
    if scores is not None:
        write_text(folder / VALID_PREDICTIONS_FILE, _predictions(split, scores, classes))


def _predictions(split: Split, scores: Scores, classes: tuple[str, ...]) -> str:
    columns = zip(
        split.paths,
        scores.label.tolist(),
        scores.predicted.tolist(),
        scores.probability.tolist(),
        scores.label_probability.tolist(),
        scores.loss.tolist(),
        strict=True,
    )
    return table(
        PREDICTION_COLUMNS,
        (
            (
                *(path, classes[label], classes[predicted], *numbers),
                "true" if label == predicted else "false",
            )
            for path, label, predicted, *numbers in columns
        ),
    )


def _write_mistakes(folder: Path, split: Split, scores: Scores, classes: tuple[str, ...]) -> None:
    thumbnails = folder / MISTAKES_FOLDER
    thumbnails.mkdir(parents=True, exist_ok=True)
    by_loss = scores.loss.argsort(descending=True, stable=True).tolist()
    worst = [index for index in by_loss if not scores.correct[index]][:MAX_MISTAKES]
    mistakes = []
    for rank, index in enumerate(worst):
        file = f"{MISTAKES_FOLDER}/{rank:02d}.jpg"
        image = open_image(split.file(index), formats=TRAINING_FORMATS)
        image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        image.save(folder / file, "JPEG", quality=85)
        mistakes.append(
            {
                "file": file,
                "path": split.paths[index],
                "label": classes[int(scores.label[index])],
                "predicted": classes[int(scores.predicted[index])],
                "probability": float(scores.probability[index]),
            }
        )
    write_json(folder / MISTAKES_FILE, mistakes, escape=False)


def copy_serving_code(model_dir: Path) -> None:
    """Put what serves the model into ``code/`` of its archive: it needs no other source."""
    source = Path(__file__).resolve().parents[1]
    code = model_dir / MODEL_CODE_FOLDER
    package = code / source.name
    package.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.rglob("*.py")):
        target = package / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    shutil.copyfile(source / INFERENCE_PROGRAM, code / INFERENCE_PROGRAM)
    # SageMaker's containers install code/requirements.txt before they serve.
    shutil.copyfile(source / "serving" / REQUIREMENTS_FILE, code / REQUIREMENTS_FILE)
