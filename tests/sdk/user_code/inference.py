"""Handlers as SageMaker's users write them: it knows nothing of Whippet."""

import json
from pathlib import Path

from colours import mean_colour


def model_fn(model_dir):
    return json.loads(Path(model_dir, "means.json").read_text())


def input_fn(data, content_type):
    if content_type != "image/jpeg":
        raise ValueError(f"send a JPEG, not {content_type}")
    return mean_colour(bytes(data))


def predict_fn(colour, means):
    return min(means, key=lambda label: distance(colour, means[label]))


def distance(one, other):
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def output_fn(label, accept):
    return json.dumps({"label": label, "by": "the user's own handlers"}), accept
