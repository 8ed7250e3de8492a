from __future__ import annotations

import gc
import os
import signal

import pytest

from surgery.files.signals import TERMINATED, Terminated, raise_again, signals_raised


class Asks:
    """Sends a signal to this process while it is finalized, where Python ignores exceptions."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)


CASES = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


@pytest.mark.parametrize(("number", "error"), CASES)
def test_a_signal_is_an_exception(number, error):
    with pytest.raises(error), signals_raised():
        os.kill(os.getpid(), number)
    raise_again()


def test_the_status_of_a_terminated_process():
    assert Terminated().code == TERMINATED == 143


@pytest.mark.parametrize(("number", "error"), CASES)
def test_what_python_ignores_is_not_lost(number, error, capfd):
    with signals_raised():
        asks = Asks(number)
        del asks
        gc.collect()
        with pytest.raises(error):
            raise_again()
    assert capfd.readouterr().err == ""
    raise_again()


@pytest.mark.parametrize(("number", "error"), CASES)
def test_what_an_interrupted_library_raises_instead_is_no_error_of_its_own(number, error):
    def fail():
        try:
            os.kill(os.getpid(), number)
        finally:
            raise RuntimeError("release unlocked lock")

    with pytest.raises(error), signals_raised():
        fail()
    with pytest.raises(RuntimeError), signals_raised():
        raise RuntimeError


def test_handlers_of_others_stay():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with signals_raised(), signals_raised():
            os.kill(os.getpid(), signal.SIGTERM)
        raise_again()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with signals_raised():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
