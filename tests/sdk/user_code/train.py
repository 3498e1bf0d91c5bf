"""A script as SageMaker's users write them: it knows nothing of Whippet.

The model is the mean colour of each class; the loss is how far pictures are from their class.
"""

import argparse
import json
import os
from pathlib import Path

from colours import mean_colour

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--bias", type=float, default=0.0)
parser.add_argument("--optimizer", default="none")
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
# Strict: what SageMaker keeps for itself must not arrive here.
arguments = parser.parse_args()

pictures = {
    folder.name: [mean_colour(path.read_bytes()) for path in sorted(folder.iterdir())]
    for folder in sorted(Path(arguments.train).iterdir())
}
means = {
    label: [sum(each) / len(each) + arguments.bias for each in zip(*colours, strict=True)]
    for label, colours in pictures.items()
}
distances = [
    sum(abs(a - b) for a, b in zip(colour, means[label], strict=True))
    for label, colours in pictures.items()
    for colour in colours
]
for epoch in range(arguments.epochs):
    print(f"epoch {epoch + 1} valid_loss={sum(distances) / len(distances):.4f};", flush=True)
print("arguments", json.dumps(vars(arguments), sort_keys=True))
print("host", os.environ["SM_CURRENT_HOST"], "of", os.environ["SM_HOSTS"])
Path(arguments.model_dir, "means.json").write_text(json.dumps(means))
Path(os.environ["SM_OUTPUT_DATA_DIR"], "note.txt").write_text("done")
