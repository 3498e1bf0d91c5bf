"""The few commands of documents that no test runs, each with the reason."""

from __future__ import annotations

from typing import NamedTuple

SUITE = "runs the tests themselves: CI and people do"
DEBIAN = "fetches Debian's packages from the network, as root"
LOGS = "deletes logs that only CloudWatch keeps: none is here"
GATE = "rewrites the checkout, which CI checks instead"


class NotRun(NamedTuple):
    """A command, by its document and its words, and why no test runs it."""

    document: str
    line: str
    reason: str


NOT_RUN = (
    NotRun("README.md", "make test", SUITE),
    NotRun("CONTRIBUTING.md", "make test", SUITE),
    NotRun("CONTRIBUTING.md", "make check", SUITE),
    NotRun("CONTRIBUTING.md", "make check PKG=dashboards", SUITE),
    NotRun(
        "docs/pictures.md",
        ".venv-job/bin/python -m pytest -q tests/sm_entrypoints/examination",
        SUITE,
    ),
    NotRun("CONTRIBUTING.md", "make format", GATE),
    NotRun(
        "docs/aws.md",
        "aws logs delete-log-group --log-group-name /aws/sagemaker/TrainingJobs",
        LOGS,
    ),
    NotRun("samples/README.md", "sudo apt-get update", DEBIAN),
    NotRun("samples/README.md", "rm -r samples/clipart", DEBIAN),
    NotRun("samples/README.md", ".venv/bin/python -m samples.build samples/clipart", DEBIAN),
)
