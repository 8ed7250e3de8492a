"""What every part of the test suite may use."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from surgery.diagnostics import SurgeryError
from surgery.document.parse import parse_document
from surgery.fields import Declared, Reader
from surgery.lang import Selection, parse_selector
from surgery.planning.context import Context
from surgery.steps.sequence import apply_steps, steps
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import ByteRange, Stored
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Origin, Subject
from surgery.text import Text

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")
    parser.addoption("--fuzz", type=int, metavar="N", help="cases of each random test, not what CI has time for")
    parser.addoption("--every-model", action="store_true", help="import every model type of transformers, not a sample")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell starts what runs in the background like this, and children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked := config.getoption("--fuzz"):
        settings.register_profile("asked", max_examples=asked)
        settings.load_profile("asked")


@pytest.fixture(scope="session")
def cases(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How many cases a random test goes through: its own number, unless ``--fuzz`` says another."""
    asked: int | None = request.config.getoption("--fuzz")
    return lambda number: number if asked is None else asked


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


@pytest.fixture
def context() -> Context:
    return Context(directory=Path("recipes"), here=Text.plain("- load:", "recipe.yaml").span(2, 6))


@pytest.fixture
def stored(context: Context) -> Callable[..., Subject]:
    """A bare state dict of key -> shape, or (shape, dtype); keys in `ties` hold the expression of their value."""

    def make(tensors: Mapping[str, tuple], *, source: str = "file", ties: Mapping[str, str] | None = None) -> Subject:
        entries: dict[str, Entry] = {}
        offset = 0
        for key, what in tensors.items():
            shape, dtype = what if what and isinstance(what[-1], str) else (what, "float32")
            spec = Spec(tuple(shape), DTYPES[dtype])
            origin = Origin(source, key)
            context.inventory[origin] = spec
            entries[key] = Entry(Stored(spec, (ByteRange(source, offset, spec.nbytes),)), (origin,))
            offset += spec.nbytes
        for key, other in (ties or {}).items():
            origin = Origin(source, key)
            context.inventory[origin] = entries[other].spec
            entries[key] = Entry(entries[other].expr, (origin,))
        return Subject(entries)

    return make


@pytest.fixture
def fresh(stored: Callable[..., Subject]) -> Callable[..., Subject]:
    """As `stored`, but nothing comes from a source: what a model without weights looks like."""

    def make(tensors: Mapping[str, tuple], **options: object) -> Subject:
        made = stored(tensors, source="fresh", **options)
        entries = {
            key: dataclasses.replace(entry, origins=(), kind="parameter", requires_grad=True)
            for key, entry in made.entries.items()
        }
        return Subject(entries)

    return make


@pytest.fixture
def select() -> Callable[[str], Selection]:
    """A selection of its text."""
    return lambda text: parse_selector(Text.plain(text, "recipe.yaml"))


@pytest.fixture
def errors(context: Context) -> Callable[[], str]:
    """Everything that was reported, as it is printed."""
    return lambda: "\n\n".join(map(str, context.diagnostics))


@pytest.fixture
def operate(context: Context) -> Callable[..., Subject]:
    """Apply steps, written as YAML, to a subject; errors go to the context, and the subject is then as it was."""

    def run(yaml: str, subject: Subject, **parameters: object) -> Subject:
        reader = Reader({name: Declared(name, value) for name, value in parameters.items()}, context.diagnostics)
        placed = steps.read(parse_document(yaml, "recipe.yaml"), reader)
        try:
            context.raise_errors()
            return apply_steps(placed, subject, context)
        except SurgeryError as error:
            context.diagnostics[:] = error.diagnostics
            return subject

    return run


@pytest.fixture
def git_server() -> Iterator[Callable[[Path], str]]:
    """Serves a directory of git repositories as plain files, the simplest way in which git does; gives its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(directory: Path) -> str:
        handler = functools.partial(_Quiet, directory=str(directory))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"git+http://127.0.0.1:{servers[-1].server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
