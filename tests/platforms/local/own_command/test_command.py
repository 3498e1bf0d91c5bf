from __future__ import annotations

from pathlib import Path

import pytest

from platforms.local.job_tree import JobTreeError
from platforms.local.own_command.command import placed


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("/opt/ml", "/jobs/one"),
        ("cd /opt/ml/code; ls /opt/ml", "cd /jobs/one/code; ls /jobs/one"),
        ('DIR="/opt/ml/input"', 'DIR="/jobs/one/input"'),
        ("/opt/mlx /opt/ml-a /opt/ml.b", "/opt/mlx /opt/ml-a /opt/ml.b"),
        ("train.py", "train.py"),
    ],
)
def test_places_are_named_as_they_are_here(text: str, here: str) -> None:
    assert placed(text, Path("/jobs/one")) == here
    assert placed(text, Path("/opt/ml")) == text


def test_a_path_that_a_shell_would_misread_is_refused() -> None:
    assert placed("train.py", Path("/it's here")) == "train.py"
    with pytest.raises(JobTreeError, match="set WHIPPET_HOME"):
        placed("/opt/ml/code", Path("/it's here"))
