"""Histograms of the most telling tensors: first and last convolution, head, logits.

Only some of the sampled steps have them: the first ones, and then steps at growing distances, so
that a run of any length has a few dozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from sm_entrypoints.instrumentation.line_writer import LineWriter, Place
from sm_entrypoints.instrumentation.quota import Quota
from sm_entrypoints.instrumentation.tensors.summary import sampled

BINS = 32
DEFAULT_QUOTA_BYTES = 400_000
FIRST_HISTOGRAMS = 6
# From then on, the step has to be this many times that of the last histograms.
GROWTH = 1.2


class HistogramRecorder:
    """Write ``histograms.jsonl``: steps, names and collections are those of the reductions.

    A histogram has ``BINS`` bins of equal width between the smallest and the largest finite value
    of a regular sample of the tensor (``tensor_statistics.SAMPLE_LIMIT`` elements at most).
    """

    def __init__(
        self, path: Path, model: nn.Module, *, quota_bytes: int = DEFAULT_QUOTA_BYTES
    ) -> None:
        self._writer = LineWriter(path)
        self._quota = Quota(quota_bytes)
        self._layers = telling_layers(model)
        self._prefix = type(model).__name__
        self._steps = 0
        self._last = 0
        self.records = 0

    def due(self, step: int) -> bool:
        """Return whether a sampled step is to have histograms; True counts as one that has."""
        if self._steps >= FIRST_HISTOGRAMS and step < self._last * GROWTH:
            return False
        self._steps += 1
        self._last = step
        return True

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield names and weights of the layers; frozen ones, which stay alike, the first time."""
        for name, module in self._layers.items():
            weight = module.weight
            if isinstance(weight, nn.Parameter) and (weight.requires_grad or self._steps <= 1):
                yield f"{self._prefix}_{name}.weight", weight

    def record(self, place: Place, collection: str, name: str, tensor: Tensor) -> None:
        """Write the histogram of one tensor.

        Raises:
            OSError: the file cannot be written.
        """
        values = sampled(tensor)
        values = values[np.isfinite(values)]
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        # In doubles: NumPy refuses bins between two floats that are next to each other.
        wide = values.astype(np.float64)
        counts, edges = np.histogram(wide, BINS, range=_range(low, high))
        record = {
            **place._asdict(),
            "collection": collection,
            "name": name,
            "edges": [float(f"{edge:.6g}") for edge in (edges[0], edges[-1])],
            "counts": counts.tolist(),
        }
        self.records += self._quota.write(self._writer, record)

    def close(self) -> None:
        """Flush the file."""
        self._writer.close()

    def summary(self) -> dict[str, int]:
        """Return the ``histograms`` member of ``summary.json``."""
        return {
            "records": self.records,
            "dropped": self._quota.dropped,
            "bytes": self._writer.bytes_written,
        }


def telling_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the first and the last convolution and the head, by name, in network order.

    The head is the last layer with a weight matrix or kernels; normalisation has neither.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(getattr(module, "weight", None), Tensor) and module.weight.dim() > 1
    }
    convolutions = [name for name, module in layers.items() if module.weight.dim() > 2]
    chosen = {*convolutions[:1], *convolutions[-1:], *list(layers)[-1:]}
    return {name: module for name, module in layers.items() if name in chosen}


def _range(low: float, high: float) -> tuple[float, float]:
    """Return bounds that are apart enough for ``BINS`` bins of equal width."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    margin = max(abs(low), abs(high)) * 1e-3 or 0.5
    return low - margin, high + margin
