"""An interrupted command stops what its own run started, all of it, and nothing else."""

from __future__ import annotations

import os
import signal
import time

import pytest
from botocore.exceptions import ClientError
from prefect.exceptions import TerminationSignal

from cli.flow_run import _interruptible, _stop
from platforms import Settings
from platforms.local.hosting.endpoints import Endpoints
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record import open_run, read_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint


@pytest.fixture
def context(tmp_path, monkeypatch):
    with serving_context(tmp_path) as context:
        monkeypatch.setenv("WHIPPET_HOME", str(context.settings.home))
        monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(context.settings.job_python))
        yield context


def started(context, flow_run_id: str, behaviour: str) -> tuple[RunIdentity, str]:
    """Start a run of the one name that has come as far as its endpoint."""
    run = open_run(Settings(), flow_run_id, "pets", {}, resume=False)
    endpoint = resource_name(run, "endpoint")
    make_config(context, endpoint, behaviour)
    record(Settings(), run, RunFacts(jobs={"endpoint": endpoint}))
    Endpoints(context).create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    return run, endpoint


def press(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.slow
def test_of_two_runs_of_one_name_only_the_interrupted_one_stops(context, capsys):
    first, its_endpoint = started(context, "id-1", "fine")
    second, another = started(context, "id-2", "fine")
    assert first.name != second.name
    wait_for_endpoint(context, its_endpoint)
    _stop(Settings(), ["id-2"])
    assert context.records.names("endpoints") == (its_endpoint,)
    assert read_run(Settings(), first.name).status == "running"
    assert read_run(Settings(), second.name).status == "cancelled"
    said = capsys.readouterr().err
    assert f"stopped {another}\n" in said
    assert f"whippet run --resume {second.name}\n" in said


@pytest.mark.slow
def test_an_endpoint_that_is_being_created_goes_at_once_however_often_one_presses(
    context, tmp_path, capfd
):
    _, endpoint = started(context, "id-1", f"wait for {tmp_path / 'gate'}")

    def flow() -> None:
        press(signal.SIGINT)

    def stop() -> None:
        press(signal.SIGINT)
        _stop(Settings(), ["id-1"])
        press(signal.SIGTERM)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _interruptible(flow, stop=stop, what="run 'pets'")
    assert time.monotonic() - began < 120
    with pytest.raises(ClientError, match="Could not find endpoint"):
        Endpoints(context).describe_endpoint(EndpointName=endpoint)
    said = capfd.readouterr().err
    assert said.startswith("interrupted: stopping what run 'pets' has started")
    assert said.count("still stopping what run 'pets' has started") == 2
    assert said.count(f"stopped {endpoint}") == 1
    assert read_run(Settings(), "pets").status == "cancelled"


def test_a_run_that_another_process_continues_is_left_to_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WHIPPET_HOME", str(tmp_path))
    open_run(Settings(), "id-1", "pets", {}, resume=False)
    open_run(Settings(), "id-2", "pets", {}, resume=True)
    _stop(Settings(), ["id-1"])
    assert read_run(Settings(), "pets").status == "running"
    assert "run 'pets' is continued elsewhere" in capsys.readouterr().err


def test_what_never_began_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WHIPPET_HOME", str(tmp_path))
    open_run(Settings(), "id-1", "pets", {}, resume=False)
    _stop(Settings(), [])
    assert read_run(Settings(), "pets").status == "running"


def test_prefects_way_to_say_sigterm_stops_once():
    stops = []

    def flow() -> None:
        raise TerminationSignal(signal=signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        _interruptible(flow, stop=lambda: stops.append(1), what="run 'pets'")
    assert stops == [1]


def test_an_error_of_a_flow_stops_nothing():
    stops = []

    def flow() -> None:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        _interruptible(flow, stop=lambda: stops.append(1), what="run 'pets'")
    assert not stops
