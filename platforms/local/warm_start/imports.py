"""What is imported before a job starts: what Whippet's programs import, and most others, too."""

from __future__ import annotations

MODULES = (
    *("torch", "torchvision", "torchvision.transforms.v2", "numpy", "numpy.typing"),
    *("safetensors.torch", "psutil", "resource"),
    *("PIL.Image", "PIL.ImageChops", "PIL.ImageFile", "PIL.ImageOps", "PIL.ImageSequence"),
    *("PIL.JpegImagePlugin", "PIL.PngImagePlugin"),
)
