import io
import sys
import threading

from surgery.cli import progress
from surgery.cli.progress import progress_on_terminal
from surgery.cli.session import Session


class Terminal(io.StringIO):
    def isatty(self):
        return True


def _nobody_asks() -> int:
    raise AssertionError("it takes time")


def test_nobody_watches_a_file(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_on_terminal(_nobody_asks, Session()) as found:
        assert found is None


def test_quiet(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_on_terminal(_nobody_asks, Session(quiet=True)) as found:
        assert found is None


def test_a_line_that_goes_when_the_work_is_done(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_on_terminal(lambda: 4_000_000, Session()) as advance:
        assert advance is not None
        advance(1_000_000)
    lines = terminal.getvalue().split("\r\x1b[K")
    assert lines[1].startswith("writing  1.0 MB of 4.0 MB  ")
    assert lines[-1] == ""
    assert "\n" not in terminal.getvalue()


def test_threads_count_together(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bar = progress._Bar(0)
    threads = [threading.Thread(target=lambda: [bar.advance(1) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bar._done == 4000
