"""Package the entry points as the ``sourcedir.tar.gz`` that training and tuning jobs get.

The archive holds ``sm_entrypoints`` with its sub-packages, the ``requirements.txt`` of the models
that it delivers, and, at its root, its own, which SageMaker installs into the container. It never
holds a ``setup.py``, which would make the toolkit run the program as a module
(aws/sagemaker-training-toolkit#54).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from obstore.store import ObjectStore

from platforms.errors import SettingsError
from sm_entrypoints.contract import REQUIREMENTS_FILE, TRAIN_PROGRAM
from tasks.storage.objects import put_once

PACKAGE = Path(TRAIN_PROGRAM).parent.name
ARCHIVE_NAME = "sourcedir.tar.gz"
REQUIREMENTS = REQUIREMENTS_FILE
# Of models, which a job delivers.
SERVING_REQUIREMENTS = Path(PACKAGE, "serving", REQUIREMENTS_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArchive:
    """A source archive.

    Attributes:
        data: the tar.gz.
        digest: sha256 of the tar inside. It depends on names and contents of the sources alone,
            while compressed bytes may differ between versions of zlib.
    """

    data: bytes
    digest: str


def package_source(project_root: Path) -> SourceArchive:
    """Return the source archive of a project: the same for the same sources, anywhere.

    Names are sorted, times are zero, modes and owners are fixed.

    Raises:
        SettingsError: the entry points are not below ``project_root``.

    Example:
        >>> from tasks.job_environment.source import package_source
        >>> archive = package_source(project_root)
        >>> archive.digest == package_source(project_root).digest
        True
    """
    package = project_root / PACKAGE
    program, requirements = project_root / TRAIN_PROGRAM, package / REQUIREMENTS
    serving = project_root / SERVING_REQUIREMENTS
    for needed in (program, requirements, serving):
        if not needed.is_file():
            raise SettingsError(f"'{needed}' is missing: is '{project_root}' the whole project?")
    files = {path.relative_to(project_root).as_posix(): path for path in package.rglob("*.py")}
    files |= {REQUIREMENTS: requirements, SERVING_REQUIREMENTS.as_posix(): serving}
    tar = _tar({name: path.read_bytes() for name, path in files.items()})
    return SourceArchive(
        data=gzip.compress(tar, compresslevel=6, mtime=0),
        digest=hashlib.sha256(tar).hexdigest(),
    )


def upload_source(archive: SourceArchive, store: ObjectStore, bucket: str, prefix: str) -> str:
    """Put the archive under its digest, unless it is there, and return its URI.

    Raises:
        StoreFailed: the bucket cannot be written.
    """
    key = f"{prefix}/code/{archive.digest[:16]}/{ARCHIVE_NAME}"
    put_once(store, key, archive.data)
    return f"s3://{bucket}/{key}"


def _tar(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(contents.items()):
            member = tarfile.TarInfo(name)  # Its defaults: time 0, owner 0, mode 644.
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
