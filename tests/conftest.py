"""What every part of the test suite may use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with ``tests/golden/<name>.txt``; with ``--update-golden``, write it there.

    `name` may hold slashes. Texts must not depend on the machine: no absolute paths, no times.
    """

    def compare(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        text = text.rstrip("\n") + "\n"
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        if not file.is_file():
            pytest.fail(f"there is no golden file {name}.txt yet:\n{text}\nwrite it with --update-golden, then read it")
        assert text == file.read_text(encoding="utf-8"), f"differs from {name}.txt (--update-golden writes it anew)"

    return compare
