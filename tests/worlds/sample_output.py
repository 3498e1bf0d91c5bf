"""A plausible output folder of a training job, written as the job writes it, and a whole report.

Deterministic; sizes are parameters, so that the same generator serves the speed test.
"""

import csv
import io
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from dashboards.files.frames import read_training_output
from dashboards.files.trials import read_trials
from dashboards.report import Report
from sm_entrypoints import contract
from tests.worlds.sample_instrumentation import write_instrumentation
from tests.worlds.sample_pictures import write_pictures

CLASSES = (
    "airplane",
    "bicycle",
    "golden_retriever",
    '<script>alert("x")</script>',
    "cat & dog's",
    "001",
    "été à Zürich",
    "house",
    "lighthouse",
    "umbrella",
)
STARTED = 1_785_000_000.0
EPOCHS = 12


def write_output(
    folder: Path, *, classes=CLASSES, samples=400, steps=600, mistakes=20, layers=18, seconds=180
) -> Path:
    """Write every file of the contract into ``folder`` and return it."""
    random = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / contract.INSTRUMENTATION_FOLDER).mkdir()
    _write_metrics(folder, random)
    labels, predicted, probability = _predictions(random, len(classes), samples)
    _write_evaluation(folder, classes, labels, predicted)
    _write_predictions(folder, classes, labels, predicted, probability)
    _write_mistakes(folder, classes, random, mistakes)
    write_pictures(folder, classes)
    _write_training(folder)
    _write_steps(folder, random, steps, seconds)
    _write_reductions(folder, random, steps, layers)
    _write_system(folder, random, seconds)
    inner = folder / contract.INSTRUMENTATION_FOLDER
    write_instrumentation(inner, random, STARTED, min(seconds, 600), steps)
    return folder


def trial_summaries(count=14, *, failed=(3,), seed=3):
    """Return TrainingJobSummaries of a search in which the learning rate decides."""
    random = np.random.default_rng(seed)
    start = datetime(2026, 8, 1, 9, 30, tzinfo=UTC)
    summaries = []
    for index in range(count):
        rate, batch = 10 ** random.uniform(-5, -1), int(random.choice([32, 64, 128]))
        summary = {
            "TrainingJobName": f"pets-3f2a-tune-{index + 1:03d}-a1b2c3d4",
            "TrainingJobStatus": "Failed" if index in failed else "Completed",
            "TunedHyperParameters": {
                "lr": repr(rate),
                "batch_size": f'"{batch}"',
                "weight_decay": repr(10 ** random.uniform(-6, -2)),
                "optimizer": json.dumps(str(random.choice(["adam", "sgd"]))),
            },
            "CreationTime": start + timedelta(minutes=2 * index),
            "TrainingStartTime": start + timedelta(minutes=2 * index, seconds=5),
            "TrainingEndTime": start + timedelta(minutes=2 * index, seconds=70 + index),
        }
        if index not in failed:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "MetricName": contract.OBJECTIVE_METRIC,
                "Value": 0.6 + 0.3 * (math.log10(rate) + 3) ** 2 + 0.03 * random.normal(),
            }
        summaries.append(summary)
    return summaries


def trial_histories(summaries):
    """Return a falling validation loss over five epochs for every trial that has an objective."""
    histories = {}
    for summary in summaries:
        final = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
        if final:
            losses = [final["Value"] + 1.5 * math.exp(-epoch) for epoch in range(1, 6)]
            histories[summary["TrainingJobName"]] = pd.DataFrame(
                {"epoch": range(1, 6), contract.OBJECTIVE_METRIC: losses}
            )
    return histories


def data_check(classes=CLASSES):
    """Return the dict of a data check with one warning that names a hostile file."""
    random = np.random.default_rng(11)
    splits = {}
    for split, scale in (("train", 60), ("valid", 12), ("test", 12)):
        per_class = {label: int(random.integers(scale // 2, scale)) for label in classes}
        splits[split] = {"images": sum(per_class.values()), "per_class": per_class}
    return {
        "name": "drawings",
        "root": "/data/drawings",
        "fingerprint": "3f2a9c" * 10,
        "classes": list(classes),
        "splits": splits,
        "bytes": 5_400_000,
        "sizes": {
            "width": {"min": 120, "median": 310, "max": 640},
            "height": {"min": 96, "median": 280, "max": 1024},
        },
        "warnings": [
            {
                "code": "near_duplicate",
                "message": "7 images of test are near-duplicates of images of train.",
                "paths": [f"test/cat & dog's/<b>{n}</b>.jpg" for n in range(7)],
            }
        ],
        "split_source": "folders",
    }


def sample_report(folder: Path) -> Report:
    """Return a whole report over :func:`write_output`'s folder."""
    summaries = trial_summaries()
    output = read_training_output(folder)
    return Report(
        title="Drawings: mobilenet_v2",
        run_name="quick-heron",
        generated_at=datetime(2026, 8, 1, 10, 15, tzinfo=UTC),
        overview=[
            ("test accuracy", f"{(output.evaluation or {}).get('accuracy', 0):.1%}"),
            ("classes", 10),
            ("model", "mobilenet_v2"),
            ("trials", 14),
            ("run time", "4 min 12 s"),
            ("platform", "this machine"),
        ],
        warnings=["lr 0.0981 is at the edge of its range (1e-05 to 0.1): widen the range."],
        data=data_check(),
        trials=read_trials(summaries, trial_histories(summaries)),
        best_hyperparameters={"lr": 0.00093, "batch_size": 32, "optimizer": "adam"},
        training=output,
        endpoint={
            "EndpointName": "drawings-quick-heron",
            "EndpointStatus": "InService",
            "curl": "curl -X POST -H 'Content-Type: image/jpeg' --data-binary @a.jpg "
            "http://127.0.0.1:8123/invocations",
        },
        commands=[
            ("First measure the change in a short A/B comparison", "whippet improve quick-heron"),
            ("Run everything again with the change", "whippet run --set num_workers=2"),
        ],
        configuration={"Flow parameters": {"max_jobs": 14, "data": "samples/drawings"}},
    )


def _write_metrics(folder, random):
    rows = []
    for epoch in range(1, EPOCHS + 1):
        for split, floor in (("train", 0.25), ("valid", 0.6)):
            loss = floor + 1.8 * math.exp(-epoch / 3) + abs(random.normal(0, 0.02))
            rows.append(
                {
                    "epoch": epoch,
                    "split": split,
                    "loss": loss,
                    "accuracy": 1 - loss / 2.6,
                    "top5_accuracy": min(1.0, 1.2 - loss / 3),
                    "samples": 600,
                    "seconds": 11.5,
                    "learning_rate": 1e-3 if split == "train" else None,
                }
            )
    rows.append(
        {
            "epoch": 10,
            "split": "test",
            "loss": 0.71,
            "accuracy": 0.74,
            "top5_accuracy": 0.96,
            "samples": 120,
            "seconds": 2.0,
            "learning_rate": None,
        }
    )
    _write_lines(folder / contract.METRICS_FILE, rows)


def _predictions(random, classes, samples):
    labels = random.integers(0, classes, samples)
    near = (labels + random.integers(1, 4, samples)) % classes
    predicted = np.where(random.random(samples) < 0.74, labels, near)
    return labels, predicted, np.clip(random.beta(5, 2, samples), 0.1, 0.999)


def _write_evaluation(folder, classes, labels, predicted):
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = []
    for index, label in enumerate(classes):
        right = int(confusion[index, index])
        precision = right / max(1, int(confusion[:, index].sum()))
        recall = right / max(1, int(confusion[index].sum()))
        per_class.append(
            {
                "label": label,
                "precision": precision,
                "recall": recall,
                "f1": 2 * precision * recall / max(1e-9, precision + recall),
                "support": int(confusion[index].sum()),
            }
        )
    evaluation = {
        "split": "test",
        "loss": 0.71,
        "accuracy": float((labels == predicted).mean()),
        "top5_accuracy": 0.96,
        "samples": len(labels),
        "classes": list(classes),
        "confusion": confusion.tolist(),
        "per_class": per_class,
    }
    (folder / contract.EVALUATION_FILE).write_text(json.dumps(evaluation))


def _write_predictions(folder, classes, labels, predicted, probability):
    with (folder / contract.PREDICTIONS_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["path", "label", "predicted", "probability", "label_probability", "loss", "correct"]
        )
        for number, (label, guess, p) in enumerate(
            zip(labels, predicted, probability, strict=True)
        ):
            right = label == guess
            given = p if right else (1 - p) / 2
            writer.writerow(
                (
                    f"{classes[label]}/{number:06d}.jpg",
                    classes[label],
                    classes[guess],
                    f"{p:.6f}",
                    f"{given:.6f}",
                    f"{-math.log(given):.6f}",
                    bool(right),
                )
            )


def _write_mistakes(folder, classes, random, count):
    pictures = folder / contract.MISTAKES_FOLDER
    pictures.mkdir()
    entries = []
    for number in range(count):
        width = int(random.integers(80, 160))
        image = Image.new("RGB", (width, 160 - width // 4), "#fbf7ee")
        pen = ImageDraw.Draw(image)
        for _ in range(6):
            corners = sorted(int(v) for v in random.integers(5, width - 5, 2))
            pen.ellipse((corners[0], 15, corners[1] + 1, 90), outline="#30435c", width=3)
        content = io.BytesIO()
        image.save(content, "JPEG", quality=80)
        (pictures / f"{number:02d}.jpg").write_bytes(content.getvalue())
        label = number % len(classes)
        entries.append(
            {
                "file": f"{contract.MISTAKES_FOLDER}/{number:02d}.jpg",
                "path": f"{classes[label]}/{number:04d}.jpg",
                "label": classes[label],
                "predicted": classes[(label + 3) % len(classes)],
                "probability": 0.99 - 0.02 * number,
            }
        )
    (folder / contract.MISTAKES_FILE).write_text(json.dumps(entries))


def _write_training(folder):
    training = {
        "arguments": {"lr": 0.00093, "batch_size": 32, "epochs": EPOCHS, "seed": 20260801},
        "model": {"architecture": "mobilenet_v2", "weights": "imagenet", "frozen": True},
        "epochs_run": EPOCHS,
        "best_epoch": 10,
        "stopped": "early_stopping",
        "parameters_total": 2_236_682,
        "parameters_trained": 12_810,
        "device": "cpu",
        "threads": 2,
        "versions": {"torch": "2.14.1", "torchvision": "0.29.1", "python": "3.11.9"},
        "seconds": {
            "start_up": 5.2,
            "initialization": 3.1,
            "training": 140.2,
            "evaluation": 4.4,
            "finalization": 0.8,
            "total": 153.7,
        },
        "images_per_second": 51.4,
        "cached_features": False,
    }
    (folder / contract.TRAINING_SUMMARY_FILE).write_text(json.dumps(training))


def _write_steps(folder, random, steps, seconds):
    phases = np.abs(
        random.normal([0.03, 0.001, 0.05, 0.09, 0.012], [0.01, 1e-4, 5e-3, 8e-3, 1e-3], (steps, 5))
    )
    phases[random.integers(0, steps, max(1, steps // 100)), 0] += 0.25
    mode = np.where(np.arange(steps) % 6 == 5, "EVAL", "TRAIN")
    phases[mode == "EVAL", 3:] = 0
    frame = pd.DataFrame(np.round(phases, 6), columns=list(contract.STEP_PHASES))
    frame.insert(0, "started", STARTED + np.linspace(0, seconds, steps))
    frame.insert(0, "mode", mode)
    frame.insert(0, "epoch", 1 + np.arange(steps) * EPOCHS // steps)
    frame.insert(0, "step", np.arange(steps))
    frame["samples"] = 32
    frame["network"] = contract.WHOLE_NETWORK
    path = folder / contract.INSTRUMENTATION_FOLDER / contract.STEPS_FILE
    frame[list(contract.STEP_COLUMNS)].to_csv(path, index=False)
    totals = frame.groupby("mode")[list(contract.STEP_PHASES)].sum()
    summary = {
        "steps": frame["mode"].value_counts().to_dict(),
        "phase_seconds": totals.to_dict("index"),
        "step_seconds": {"p50": 0.18, "p95": 0.21, "p99": 0.4, "max": 0.52},
        "reductions": {"records": 1000, "dropped": 12, "bytes": 100_000},
        "smdebug": None,
        "stride": 10,
        "operators": {"steps": 10, "window": [20, 29], "overhead_seconds": 1.2, "trace_bytes": 60},
        "process": {"rss_bytes": {"first": 4.0e8, "last": 4.4e8, "max": 4.4e8}},
        "workers": 2,
        "cores": 2,
        "threads": 2,
    }
    path = folder / contract.INSTRUMENTATION_FOLDER / contract.INSTRUMENTATION_SUMMARY_FILE
    path.write_text(json.dumps(summary))


def _write_reductions(folder, random, steps, layers):
    rows = []
    for step in range(steps):
        loss = 0.3 + 2 * math.exp(-3 * step / steps) + abs(random.normal(0, 0.1))
        rows.append(_reduction(step, "losses", "CrossEntropyLoss_output_0", mean=loss))
        if step % max(1, steps // 60):
            continue
        for layer in range(layers):
            name = f"features.{layer}.conv.weight"
            size = 1e-2 * 0.7**layer * math.exp(random.normal(0, 0.3))
            rows.append(_reduction(step, "gradients", name, abs_mean=size))
            rows.append(_reduction(step, "weights", name, abs_mean=0.05 + 0.001 * layer))
            dead = 0.02 * layer * step / steps
            rows.append(
                _reduction(
                    step,
                    "relu_output",
                    name,
                    zero_fraction=0.3 + 0.02 * layer,
                    inactive_fraction=dead,
                )
            )
            rows.append(_reduction(step, "update_ratios", name, abs_mean=size / 50))
    rows[-1]["nan"] = 3
    path = folder / contract.INSTRUMENTATION_FOLDER / contract.REDUCTIONS_FILE
    _write_lines(path, rows)


def _reduction(step, collection, name, **values):
    empty = dict.fromkeys(
        (
            "mean",
            "std",
            "min",
            "max",
            "abs_mean",
            "p5",
            "p95",
            "zero_fraction",
            "inactive_fraction",
        ),
        None,
    )
    identity = {"step": step, "epoch": 1, "mode": "TRAIN", "collection": collection, "name": name}
    return {**identity, **empty, **values, "nan": 0, "inf": 0}


def _write_system(folder, random, seconds):
    hour = datetime.fromtimestamp(STARTED, UTC).strftime("%Y%m%d%H")
    target = folder / contract.SYSTEM_FOLDER / hour
    target.mkdir(parents=True)
    rows = []
    for tick in range(seconds * 2):
        stamp = STARTED + tick / 2
        busy = 85 if tick > 20 else 30
        for core in range(2):
            use = float(np.clip(random.normal(busy, 10), 0, 100))
            rows.append(_system("cpu", f"cpu{core}", "CPUUtilization", use, stamp))
            wait = float(abs(random.normal(0, 2)))
            rows.append(_system("cpu", f"cpu{core}", "I/OWaitPercentage", wait, stamp))
        rows.append(_system("memory", "MemoryUsedPercent", "", 41.0, stamp))
        grown = 4e8 + 1e5 * tick
        rows.append(_system("memory", "ProcessMemoryBytes", "", grown, stamp))
        rows.append(_system("network", "ReceiveBytesPerSecond", "Platform", 1e4, stamp))
    _write_lines(target / f"{int(STARTED)}.algo-1.json", rows)


def _system(kind, name, dimension, value, stamp):
    return {
        "Type": kind,
        "Name": name,
        "Dimension": dimension,
        "Value": value,
        "NodeId": "algo-1",
        "Timestamp": stamp,
    }


def _write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
