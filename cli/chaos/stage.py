"""The harmed run: kill at the chosen moments, bring back what a machine brings back, and watch.

What brings things back is what people have: a service manager restarts worker and Prefect server,
the deployment `recover-runs` resumes crashed runs. A run that failed because its job was killed is
retried by hand, as with the button *Retry*.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from cli.chaos.kills import ROLES, RUNNER, ChaosError, Kill, Moment, moments
from cli.chaos.world import (
    DEPLOYMENT,
    World,
    job_supervisor_of,
    model_server_of,
    server_of,
)
from dashboards.chaos_page import Event, Span
from platforms.processes.process import ProcessId, alive, identify
from sm_entrypoints.contract.kill_points import killed, order_kill

LANES = ("Prefect server", "worker", "engine", "job supervisor", "model server")
_POLL_SECONDS = 0.15
_ASK_SECONDS = 1.5
_RESTART_SECONDS = 1.0
_RECOVER_SECONDS = 5.0
_HELPER_SECONDS = 180.0
# A hook of a failed run is at moments at which there is no model server yet.
_WAIT_SECONDS = 3600.0
_MOST_RETRIES = 4
_MOST_CHARACTERS = 160


@dataclass(slots=True)
class Stage:
    """One harmed run from its creation to its end.

    Attributes:
        kills: what is still to be killed by us; what kills itself has its order already.
        say: tells a person what happens.
    """

    world: World
    kills: list[Kill]
    say: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)
    events: list[Event] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    state: str = ""
    flow_run: UUID | None = None
    now_at_end: float = 0.0
    _living: dict[str, tuple[ProcessId, float]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _dead: set[ProcessId] = field(default_factory=set)
    _due: list[tuple[Kill, float]] = field(default_factory=list)
    _read: int = 0
    _engine: ProcessId | None = None
    _asked: float = 0.0
    _recovered: float = 0.0
    _recovery: subprocess.Popen[bytes] | None = None
    _server: subprocess.Popen[bytes] | None = None
    _retries: int = 0

    def arm(self) -> None:
        """Give every process that kills itself its order."""
        for number, kill in enumerate(self.kills):
            if kill.target in ROLES:
                order_kill(
                    self.world.moments,
                    role=kill.role,
                    point=kill.point,
                    count=kill.count,
                    note=f"{number} {kill.target}",
                )
        self.kills = [kill for kill in self.kills if kill.target not in ROLES]

    def run(self, parameters: dict[str, object], *, seconds: float) -> None:
        """Create the run and return when it has ended well, or after so many seconds."""
        self.flow_run = self._create(parameters)
        while self.now < seconds:
            self._look_at_moments()
            self._carry_out()
            self._look_at_processes()
            self._bring_back()
            self._ask_for_state()
            if self.state in ("COMPLETED", "CANCELLED") and not self._due:
                break
            time.sleep(_POLL_SECONDS)
        self._look_at_moments()
        self._look_at_processes()
        self.now_at_end = self.now
        self._let_helpers_end()
        for lane in LANES:
            self._ended(lane)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def note(self, lane: str, kind: str, what: str, at: float | None = None) -> None:
        """Write down what happened, and tell it."""
        event = Event(at=self.now if at is None else at, lane=lane, kind=kind, what=what)  # type: ignore[arg-type]
        self.events.append(event)
        self.say(f"{event.at:6.1f} s  {lane}: {what}")

    def _create(self, parameters: dict[str, object]) -> UUID:
        # Prefect reads its settings when it is imported.
        from prefect import get_client

        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
            made = client.create_flow_run_from_deployment(
                deployment.id, parameters=parameters, name="harmed"
            )
        return made.id

    def _look_at_moments(self) -> None:
        found, self._read = moments(self.world.moments, self._read)
        for moment in found:
            if moment.role == RUNNER and (self._engine is None or self._engine.pid != moment.pid):
                self._engine = identify(moment.pid)
            self._due += [
                (kill, self.now + _WAIT_SECONDS) for kill in self.kills if _is_at(kill, moment)
            ]
            self.kills = [kill for kill in self.kills if not _is_at(kill, moment)]
        for order in killed(self.world.moments):
            key = str(order["note"])
            if key not in self._told:
                self._told.add(key)
                lane = key.split(" ", 1)[1]
                what = f"killed at “{order['at_point']}” (process {order['pid']})"
                self.note(lane, "kill", what, at=float(order["time"]) - self.wall)

    def _carry_out(self) -> None:
        """Kill what is due and lives; what does not live yet is waited for, a while."""
        for kill, until in list(self._due):
            process = self._process(kill.target)
            if process is None and self.now < until:
                continue
            self._due.remove((kill, until))
            if process is None:
                self.note(kill.target, "note", f"nothing to kill at “{kill.point}”")
                continue
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            self._dead.add(process)
            self.note(
                kill.target,
                "kill",
                f"killed while the engine was at “{kill.point}” (process {process.pid})",
            )

    def _process(self, lane: str) -> ProcessId | None:
        """Return the process of a lane that lives; one that was killed a moment ago does not."""
        found = self._seen(lane)
        return None if found in self._dead else found

    def _seen(self, lane: str) -> ProcessId | None:
        if lane == "worker":
            worker = self.world.worker
            return identify(worker.pid) if worker is not None and worker.poll() is None else None
        if lane == "engine":
            return self._engine if self._engine is not None and alive(self._engine) else None
        look = {
            "Prefect server": server_of,
            "model server": model_server_of,
            "job supervisor": job_supervisor_of,
        }
        return look[lane](self.world)

    def _look_at_processes(self) -> None:
        """Follow who lives, for the bars of the picture, and tell who came back."""
        for lane in LANES:
            process = self._process(lane)
            before = self._living.get(lane)
            if before is not None and (process is None or process.pid != before[0].pid):
                self._ended(lane)
            if process is not None and lane not in self._living:
                self._living[lane] = (process, self.now)
                if self._was_killed(lane):
                    self.note(lane, "recovery", f"lives again (process {process.pid})")
                elif lane == "engine" and any(span.lane == lane for span in self.spans):
                    what = f"started again (process {process.pid}): the one before ended by itself"
                    self.note(lane, "recovery", what)

    def _was_killed(self, lane: str) -> bool:
        last = [event for event in self.events if event.lane == lane and event.kind != "note"]
        return bool(last) and last[-1].kind == "kill"

    def _ended(self, lane: str) -> None:
        if lane in self._living:
            self.spans.append(Span(lane=lane, begin=self._living.pop(lane)[1], end=self.now))

    def _bring_back(self) -> None:
        """Do what a service manager does, and what `recover-runs` does every two minutes."""
        if self.world.worker is not None and self.world.worker.poll() is not None:
            time.sleep(_RESTART_SECONDS)
            self.world.start_worker()
        starting = self._server is not None and self._server.poll() is None
        if server_of(self.world) is None and not starting:
            time.sleep(_RESTART_SECONDS)
            self._server = self.world.start("up")
        busy = self._recovery is not None and self._recovery.poll() is None
        gone = self._engine is not None and self._process("engine") is None
        if gone and not busy and not starting and self.now - self._recovered > _RECOVER_SECONDS:
            self._recovered = self.now
            self._recovery = self.world.start_recovery()

    def _let_helpers_end(self) -> None:
        """Wait for what was begun to bring things back; nobody stops a server in mid-`up`."""
        for helper in (self._server, self._recovery):
            if helper is not None:
                with suppress(subprocess.TimeoutExpired):
                    helper.wait(_HELPER_SECONDS)

    def _ask_for_state(self) -> None:
        if self.now - self._asked < _ASK_SECONDS or self.flow_run is None:
            return
        self._asked = self.now
        import httpx
        from prefect import get_client
        from prefect.exceptions import PrefectException
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
        from prefect.states import AwaitingRetry

        try:
            with (
                temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
                get_client(sync_client=True) as client,
            ):
                state = client.read_flow_run(self.flow_run).state
                self.state = "" if state is None else state.type.value
                if self.state == "FAILED":
                    self._require_retries(state.message if state else None)
                    client.set_flow_run_state(self.flow_run, AwaitingRetry(), force=True)
        except (httpx.HTTPError, PrefectException):  # It is down: somebody killed it.
            return

    def _require_retries(self, message: str | None) -> None:
        self._retries += 1
        if self._retries > _MOST_RETRIES:
            raise ChaosError(f"the run failed {self._retries} times, last with: {message}")
        self.note(
            "engine", "recovery", f"retried by hand, for the run failed: {_shortened(message)}"
        )


def _shortened(message: str | None) -> str:
    words = (message or "no reason given").removeprefix("Flow run encountered an exception: ")
    return words if len(words) <= _MOST_CHARACTERS else f"{words[:_MOST_CHARACTERS]} …"


def _is_at(kill: Kill, moment: Moment) -> bool:
    return (kill.role, kill.point, kill.count) == moment[:3]
