from __future__ import annotations

import pytest

from cli.commands.image import commands
from cli.main import main
from tests.worlds.image_recipe import ROOT


def test_the_commands_build_and_push_what_is_then_used(capsys, monkeypatch):
    monkeypatch.setenv("WHIPPET_ROLE_ARN", "arn:aws:iam::123456789012:role/service-role/jobs")
    monkeypatch.setenv("WHIPPET_REGION", "eu-west-1")
    assert main(["image", "--variant", "cuda"]) == 0
    printed = capsys.readouterr().out
    uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/whippet-serving:2.14.1-cuda"
    assert printed.count(uri) == 3
    assert "-f docker/Dockerfile --build-arg VARIANT=cuda -t" in printed
    assert printed.splitlines()[-1] == f"export WHIPPET_INFERENCE_IMAGE={uri}"
    assert "torch==2.14.1\n" in (ROOT / "docker/requirements-cpu.txt").read_text("utf-8")


def test_the_small_image_needs_to_know_where_its_wheels_are():
    # Without it pip would take the wheels for CUDA, and the shell says so before that.
    wanted = '--build-arg TORCH_WHEELS="${TORCH_WHEELS:?is not set}"'
    assert wanted in commands("1" * 12, "x", "cpu", "r")
    assert "amazonaws.com.cn/r:" in commands("1" * 12, "cn-north-1", "cuda", "r")


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "--account and --region"), (["--account", "12", "--region", "r"], "12 digits")],
)
def test_without_an_account_there_is_no_registry(capsys, monkeypatch, options, said):
    monkeypatch.delenv("WHIPPET_ROLE_ARN", raising=False)
    assert main(["image", *options]) == 1
    assert said in capsys.readouterr().err
