"""Features as a job leaves them in the bucket."""

from __future__ import annotations

import json

import obstore
from obstore.store import ObjectStore


def keep_features(
    store: ObjectStore, place: str, *, size: int = 1000, pictures: int = 7, views: int = 0
) -> None:
    """Put features of mobilenet_v2 at ``<root>/<data set>/<folder>``: ``size`` bytes, one shard."""
    key = {"architecture": "mobilenet_v2", "dtype": "bfloat16", "image_size": 224}
    about = json.dumps({"key": key, "pictures": pictures, "views": views}).encode()
    obstore.put(store, f"{place}/about.json", about)
    obstore.put(store, f"{place}/features-0123.safetensors", bytes(size - len(about)))
