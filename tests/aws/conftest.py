"""What tests of whole runs on the AWS side share with those of this machine's side."""

from __future__ import annotations

from tests.flows.conftest import server_url as server_url
