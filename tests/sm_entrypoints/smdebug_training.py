"""A program: real, tiny trainings with smdebug's own hook, each into a folder of its own.

Run it in a process of its own: smdebug keeps its hook for the life of a process.

    python -m tests.sm_entrypoints.smdebug_training FOLDER LEARNING_RATE [reduced]
"""

from __future__ import annotations

import os
import sys
import warnings

os.environ["SMDEBUG_LOG_LEVEL"] = "error"
warnings.simplefilter("ignore")

import smdebug.pytorch as smd  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402


class Net(nn.Module):
    """A convolution, a ReLU and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(4 * 6 * 6, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the class scores of a batch of images."""
        return self.fc(self.relu(self.conv(images)).flatten(1))


def main(folder: str, rate: float, reduced: bool) -> None:
    """Train three epochs of eight steps, with four steps of validation each."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    hook = smd.Hook(
        out_dir=folder,
        save_config=smd.SaveConfig(save_interval=2),
        include_collections=["losses", "gradients", "weights", "biases", "relu_output"],
        reduction_config=smd.ReductionConfig(
            reductions=["mean", "variance", "min", "max"], abs_reductions=["mean"]
        )
        if reduced
        else None,
    )
    hook.get_collection("relu_output").include(".*relu_output")
    network, loss_function = Net(), nn.CrossEntropyLoss()
    hook.register_module(network)
    hook.register_loss(loss_function)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    labels = torch.arange(96) % 4
    images = 0.3 * torch.randn(96, 3, 8, 8) + labels[:, None, None, None] - 1.5
    for _ in range(3):
        hook.set_mode(smd.modes.TRAIN)
        for first in range(0, 64, 8):
            optimizer.zero_grad()
            loss = loss_function(network(images[first : first + 8]), labels[first : first + 8])
            loss.backward()
            optimizer.step()
        hook.set_mode(smd.modes.EVAL)
        with torch.no_grad():
            for first in range(64, 96, 8):
                loss_function(network(images[first : first + 8]), labels[first : first + 8])
    hook.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), "reduced" in sys.argv[3:])
