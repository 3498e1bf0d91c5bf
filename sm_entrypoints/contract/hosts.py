"""How requests name this machine: what every server that is only for it asks first."""

from __future__ import annotations

import re

_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE | re.ASCII)


def names_this_machine(host: str) -> bool:
    """Say whether a ``Host`` header names this machine, whatever the port.

    A web page whose name was pointed here (DNS rebinding) sends that name.
    """
    return _HOST.fullmatch(host) is not None
