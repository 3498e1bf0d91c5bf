"""What an instance type's name says about the instance."""

from __future__ import annotations

import re

# Families with NVIDIA GPUs: P and G, such as ml.p4d.24xlarge, ml.g4dn.xlarge, ml.gr6.4xlarge.
_GPU = re.compile(r"ml\.(p\d|g\d|gr\d)")
# AWS's own accelerators need a compiler and images of their own.
_OTHER_ACCELERATOR = re.compile(r"ml\.(trn|inf)\d")


def has_gpu(instance_type: str) -> bool:
    """Say whether an instance type has NVIDIA GPUs, so that jobs need an image with CUDA."""
    return _GPU.match(instance_type) is not None


def needs_neuron(instance_type: str) -> bool:
    """Say whether an instance type computes on Trainium or Inferentia only."""
    return _OTHER_ACCELERATOR.match(instance_type) is not None
