"""What answers at an address: is it a Prefect server, which version, does it let us in?"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib.metadata import version

import httpx

from platforms.loopback import is_loopback

_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of checking an address.

    Attributes:
        healthy: a Prefect server answers. version: of the server, when it lets us in. refused: it
        asks for a login, and rejects the given one, if any.
    """

    healthy: bool = False
    version: str | None = None
    refused: bool = False

    @property
    def usable(self) -> bool:
        """Whether the server is of our version and lets us in."""
        return self.version == version("prefect")


NOBODY = Answer()


def look(api_url: str, login: str | None = None) -> Answer:
    """Ask what answers at the address of an API; ``login`` is ``user:password``."""
    base = api_url.rstrip("/")
    # As Prefect's own clients send it: as it is, with a colon or without one.
    credentials = base64.b64encode((login or "").encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"} if login else {}
    try:
        # No proxy can reach this machine's own addresses; others may need one. To load the
        # certificates takes longer than the answer, and plain HTTP has no use for them.
        with httpx.Client(
            headers=headers,
            timeout=_SECONDS,
            trust_env=not is_loopback(api_url),
            verify=not api_url.lower().startswith("http:"),
        ) as client:
            if client.get(f"{base}/health").json() is not True:
                return NOBODY
            answer = client.get(f"{base}/admin/version")
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                return Answer(healthy=True, refused=True)
            return Answer(healthy=True, version=str(answer.raise_for_status().json()))
    # Whatever else listens there may answer anything; the address itself may be nonsense.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return NOBODY
