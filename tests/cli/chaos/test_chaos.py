"""What `whippet chaos` refuses; the whole of it is a part of `make test-faults`."""

from __future__ import annotations

import pytest

from cli.main import main


@pytest.mark.parametrize("wrong", [["--kills", "0"], ["--kills", "99"], ["--seconds", "0"]])
def test_what_cannot_be_done_is_refused_before_anything_starts(whippet_home, wrong, capsys):
    assert main(["chaos", *wrong]) == 1
    assert "must be" in capsys.readouterr().err
    assert not (whippet_home / "chaos").exists()
