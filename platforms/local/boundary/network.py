"""Give a job the user's own way to package indexes and the rest of the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from platforms.loopback import spared_names

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
# Each names a file or a folder.
_PATHS = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE"),
)
# Each holds several, or addresses, between spaces.
_PATH_LISTS = ("PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
# Where pip installs to and what it asks for are the job's affair, and the files that it writes.
_NOT_FOR_JOBS = frozenset(
    {
        *("PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_SRC"),
        *("PIP_REQUIREMENT", "PIP_EDITABLE", "PIP_REQUIRE_VIRTUALENV", "PIP_LOG", "PIP_REPORT"),
        *("PIP_CACHE_DIR", "PIP_DRY_RUN", "PIP_DOWNLOAD"),
    }
)
_HOST = "algo-1"


def network_variables(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of proxies, certificates and pip; loopback is used without a proxy."""
    variables = {key: value for key, value in ours.items() if _is_of_network(key)}
    for key in _PATHS:
        if key in variables and Path(variables[key]).exists():
            # A job, and its supervisor, have a working folder of their own.
            variables[key] = str(Path(variables[key]).absolute())
    if any(variables.get(key) for key in _PROXIES):
        spared = spared_names(ours)
        if spared != "*" and _HOST not in spared.split(","):
            spared = f"{spared},{_HOST}"
        variables["NO_PROXY"] = variables["no_proxy"] = spared
    return variables


def _is_of_network(key: str) -> bool:
    if key in _PROXIES or key in _PATHS:
        return True
    return key.startswith("PIP_") and key not in _NOT_FOR_JOBS


def network_paths(ours: Mapping[str, str], *, hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield the files and folders that these variables name, which a job must see.

    Never one of the ``hidden`` folders as a whole, or what one of them is in.
    """
    lists = (part for key in _PATH_LISTS for part in ours.get(key, "").split())
    texts = (*(ours.get(key, "") for key in _PATHS), *lists)
    for text in dict.fromkeys(each.removeprefix("file://") for each in texts):
        path = Path(text)
        if not path.is_absolute() or not path.exists():
            continue
        real = path.resolve()
        if not any(folder.is_relative_to(real) for folder in hidden):
            yield path
