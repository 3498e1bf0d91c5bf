"""Where the features of a data set lie: below one prefix that always holds an object."""

from __future__ import annotations

import json

from obstore.store import ObjectStore

from platforms import Platform
from tasks.storage.objects import put_object

# Of a data set's prefix, and of the folder of each network below it.
ABOUT = "about.json"
_WHAT = (
    "Features that jobs computed from the pictures of this data set. Nothing here is needed: what "
    "is missing is computed again. See `whippet features` and docs/features.md."
)


def features_root(platform: Platform) -> str:
    """Return the key prefix of all features, without a slash at its end."""
    return f"{platform.settings.prefix}/features"


def features_uri(platform: Platform, dataset: str) -> str:
    """Return the S3 URI of a data set's features; the same in every run of that data set."""
    return f"s3://{platform.defaults.bucket}/{features_root(platform)}/{dataset}/"


def mark(store: ObjectStore, root: str, dataset: str) -> None:
    """Write the object that says what lies here, and that the data set is in use now.

    A job whose channel has no object at all does not start on AWS.

    Raises:
        StoreFailed: it cannot be written.
    """
    text = json.dumps({"about": _WHAT, "dataset": dataset}, indent=2)
    put_object(store, f"{root}/{dataset}/{ABOUT}", f"{text}\n".encode())
