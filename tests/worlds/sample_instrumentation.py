"""What an instrumented job writes besides its steps: rules, verdict, workers, operators, …"""

import csv
import gzip
import json
import math

from sm_entrypoints import contract

_OPERATORS = (
    ("aten::mkldnn_convolution", 1060, 1.31, 1.44),
    ("aten::native_batch_norm", 1040, 0.52, 0.60),
    ("aten::hardtanh_", 700, 0.21, 0.21),
    ("aten::addmm<float>", 20, 0.11, 0.13),
)


def write_instrumentation(folder, random, started, seconds, steps):
    """Write workers, operators, trace, histograms, saved tensors, rules and verdict."""
    _write_workers(folder / contract.WORKERS_FILE, random, started, seconds)
    _write_operators(folder / contract.OPERATORS_FILE)
    trace = gzip.compress(json.dumps({"traceEvents": []}).encode())
    (folder / contract.TRACE_FILE).write_bytes(trace)
    _write_histograms(folder / contract.HISTOGRAMS_FILE, random, steps)
    _write_saved_tensors(folder / contract.SAVED_TENSORS_FILE)
    rules = {"rules": rule_summaries(), "stopped_by": None}
    (folder / contract.RULES_FILE).write_text(json.dumps(rules))
    (folder / contract.VERDICT_FILE).write_text(json.dumps(verdict()))


def verdict():
    """Return the verdict of a job whose loader is too slow."""
    return {
        "sentence": "The network waits for its data 38% of the time: one process makes batches.",
        "severity": "warning",
        "rule": "DataWaitShare",
        "evidence": [
            "Data wait takes 68 of 180 ms of a median step.",
            "One worker is busy 97% of the time; <b>2 cores</b> are there.",
        ],
        "change": {"num_workers": 2},
        "advice": "Let two processes make batches while the network computes.",
        "expected_gain": {
            "kind": "speed",
            "factor": 1.42,
            "seconds": 41.0,
            "reasoning": "A step cannot be shorter than its compute, 112 ms; 68 ms may overlap.",
        },
        "others": [
            {
                "sentence": "Validation loss rose after epoch 9.",
                "rule": "Overfit",
                "change": {"weight_decay": 0.01},
            },
            {"sentence": "Two steps took three times as long.", "rule": "StepOutlier"},
        ],
    }


def rule_summaries():
    """Return rules of every status, as ``rules.json`` holds them."""
    return [
        _rule(
            "DataWaitShare",
            "profiler",
            "IssuesFound",
            triggered=3,
            violations=212,
            datapoints=500,
            marks=[_mark(120, 3, "data_wait", "waited 251 ms of 402 ms")],
        ),
        _rule(
            "Overfit",
            "tensor",
            "IssuesFound",
            triggered=9,
            violations=9,
            datapoints=12,
            action="stop",
            marks=[_mark(400, 9, "valid:loss", "0.71 above 0.63 <i>of train</i>")]
            + [_mark(410 + n, 9, "valid:loss", f"mark {n}") for n in range(20)],
        ),
        _rule("VanishingGradient", "tensor", "NoIssuesFound", datapoints=1080),
        _rule("DeadRelu", "tensor", "NoIssuesFound", datapoints=540),
        _rule(
            "LowGPUUtilization",
            "profiler",
            "NotApplicable",
            details={"reason": "the job had no GPU"},
        ),
    ]


def _rule(name, kind, status, **values):
    return {
        "rule": name,
        "kind": kind,
        "status": status,
        "triggered": 0,
        "violations": 0,
        "datapoints": 0,
        "description": f"Looks for {name} & the like.",
        "threshold": "more than 20% of the time",
        "recommendation": "Raise num_workers until steps no longer wait.",
        "parameters": {"threshold": 0.2, "patience": 5},
        "details": {"share": 0.38},
        "marks": [],
        "action": "warn",
        **values,
    }


def _mark(step, epoch, subject, message):
    return {"step": step, "epoch": epoch, "mode": "TRAIN", "subject": subject, "message": message}


def _write_workers(path, random, started, seconds):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(contract.WORKER_COLUMNS)
        for pid, offset in ((4101, 0.0), (4102, 0.4)):
            moment = started + offset
            while moment < started + seconds:
                took = 0.3 + 0.1 * float(random.random())
                writer.writerow((pid, f"{moment:.6f}", f"{took:.6f}", 32))
                moment += took + 0.2


def _write_operators(path):
    total = sum(row[2] for row in _OPERATORS)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(contract.OPERATOR_COLUMNS)
        for name, calls, own, whole in _OPERATORS:
            writer.writerow((name, calls, own, whole, 0.0, 0.0, round(own / total, 6)))
        for number in range(20):
            writer.writerow((f"aten::op_{number}", 7, 1e-4, 2e-4, 0.0, 0.0, 1e-5))


def _write_histograms(path, random, steps):
    rows = []
    for step in range(0, steps, max(1, steps // 30)):
        for layer in range(5):
            for collection, width in (("gradients", 1e-2), ("weights", 0.3)):
                width *= math.exp(-step / steps)
                values = random.normal(0, width, 300)
                counts = random.multinomial(300, [1 / 32] * 32)
                rows.append(
                    {
                        "step": step,
                        "epoch": 1,
                        "mode": "TRAIN",
                        "collection": collection,
                        "name": f"features.{layer}.conv.weight",
                        "edges": [float(values.min()), float(values.max())],
                        "counts": counts.tolist(),
                    }
                )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _write_saved_tensors(path):
    tensors = [
        {
            "name": f"gradient/features.{layer}.conv.weight",
            "collection": "gradients",
            "steps": 25,
            "modes": ["TRAIN"],
            "shape": [32, 3, 3, 3],
            "dtype": "float32",
            "first_step": 0,
            "last_step": 480,
        }
        for layer in range(20)
    ]
    tensors.append(
        {
            "name": "CrossEntropyLoss_output_0",
            "collection": "losses",
            "steps": 600,
            "modes": ["TRAIN", "EVAL"],
            "shape": [],
            "dtype": "float32",
            "first_step": 0,
            "last_step": 599,
        }
    )
    saved = {
        "source": "smdebug 1.0.34",
        "tensors": tensors,
        "bytes": 4_200_000,
        "steps": {"TRAIN": 500, "EVAL": 100},
    }
    path.write_text(json.dumps(saved))
