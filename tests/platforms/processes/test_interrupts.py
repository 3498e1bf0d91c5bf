"""An interrupt stays one, whatever a library makes of it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

from platforms.processes.interrupts import (
    NotedInterrupts,
    end_if_interrupted,
    interrupted,
    uninterrupted,
)

BOTH = (signal.SIGINT, signal.SIGTERM)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_is_an_interrupt(number):
    with pytest.raises(KeyboardInterrupt) as caught, NotedInterrupts(*BOTH):
        send(number)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("number", BOTH)
def test_what_a_library_raises_instead_is_the_interrupt(number):
    # As Prefect's task engine does while it starts a task.
    def library() -> None:
        try:
            send(number)
        except KeyboardInterrupt:
            raise ValueError("Task run is not set") from None

    with pytest.raises(KeyboardInterrupt) as caught, NotedInterrupts(*BOTH):
        library()
    assert repr(caught.value.__cause__) == "ValueError('Task run is not set')"


def test_who_waits_sees_an_interrupt_that_was_lost():
    with NotedInterrupts(*BOTH):
        end_if_interrupted()
        with suppress(KeyboardInterrupt):
            send(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            end_if_interrupted()


def test_what_ended_well_is_no_interrupt():
    with NotedInterrupts(*BOTH), suppress(KeyboardInterrupt):
        send(signal.SIGINT)
    assert not interrupted()


def test_an_error_without_a_signal_stays_as_it_is():
    with pytest.raises(ValueError, match="of its own"), NotedInterrupts(*BOTH):
        raise ValueError("of its own")


def test_the_outer_one_still_knows_what_the_inner_one_noted():
    with NotedInterrupts(signal.SIGINT):
        with NotedInterrupts(*BOTH), suppress(KeyboardInterrupt):
            send(signal.SIGTERM)
        assert interrupted()
    assert not interrupted()


def test_the_handlers_of_before_come_back():
    before = [signal.getsignal(number) for number in BOTH]
    with NotedInterrupts(*BOTH), NotedInterrupts(*BOTH):
        pass
    assert [signal.getsignal(number) for number in BOTH] == before
    assert not interrupted()


def test_another_thread_has_no_signals_to_note():
    seen = []

    def work() -> None:
        with NotedInterrupts(*BOTH):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("number", BOTH)
def test_a_block_ends_before_interrupts_take_effect(capfd, number):
    done = []
    before = [signal.getsignal(each) for each in BOTH]

    def block() -> None:
        with uninterrupted("still at it"):
            for step in range(3):
                send(number)
                done.append(step)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == [0, 1, 2]
    assert capfd.readouterr().err == "still at it\n" * 3
    assert [signal.getsignal(each) for each in BOTH] == before
    assert not interrupted()


def test_a_block_inside_of_another_does_not_end_it(capfd):
    done = []

    def block() -> None:
        with uninterrupted("outer"):
            with uninterrupted("inner"):
                send(signal.SIGINT)
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["outer"]
    assert capfd.readouterr().err == "outer\n"


def test_an_error_of_the_block_stays_as_it_is():
    def block() -> None:
        with uninterrupted("still at it"):
            send(signal.SIGINT)
            raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        block()


def test_what_a_block_answered_is_noted_for_whoever_waits():
    with suppress(KeyboardInterrupt), NotedInterrupts(*BOTH):
        with suppress(KeyboardInterrupt), uninterrupted("still at it"):
            send(signal.SIGTERM)
        assert interrupted()


def test_only_the_first_interrupt_is_told(capfd):
    with suppress(KeyboardInterrupt), NotedInterrupts(*BOTH, said="stopping"):
        for number in BOTH:
            with suppress(KeyboardInterrupt):
                send(number)
    assert capfd.readouterr().err == "stopping\n"
