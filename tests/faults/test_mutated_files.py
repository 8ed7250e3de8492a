"""Checkpoints changed by chance: one typed error, or tensors that are whole; soon, and within a bound of memory."""

from __future__ import annotations

import random
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkpoints import CHECKPOINTS
from mutations import mutate_bytes, mutate_meaning

from surgery.codes import all_codes
from surgery.diagnostics import SurgeryError
from surgery.engine.flow import contents
from surgery.engine.reading import SourceFiles
from surgery.formats import read
from surgery.formats.entries import choose
from surgery.tensors.expr import Unread

#: seconds that one file may take, and bytes of address space beyond what is there
PATIENCE, MEMORY = 5, 1 << 30
#: formats whose checksums cover all that a tensor is made of
CHECKED = {"torch zip", "module"}
KNOWN = set(all_codes())


class Hangs(BaseException):
    pass


@pytest.fixture
def bounded():
    """Time and memory of a case, bounded. No handler of exceptions can mistake `Hangs`."""

    @contextmanager
    def limit():
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def expire(*_):
        raise Hangs

    before = signal.signal(signal.SIGALRM, expire)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.signal(signal.SIGALRM, before)


def outcome(path):
    """The tensors of a checkpoint by key, as specs and bytes; None where it is refused as it should be."""
    try:
        found = choose(read(path)).tensors
        # a tensor of a class that is not known is not read, and is refused where its bytes are wanted
        tensors = {k: value for k, value in found.items() if not isinstance(value, Unread)}
        with SourceFiles() as files:
            gathered = [b"".join(chunks) for chunks in contents(tensors.values(), files)]
    except SurgeryError as refusal:
        error = refusal
    else:
        assert all(len(raw) == t.spec.nbytes for t, raw in zip(tensors.values(), gathered, strict=True))
        whole = {key: (t.spec, raw) for (key, t), raw in zip(tensors.items(), gathered, strict=True)}
        return whole if len(whole) == len(found) else None
    assert error.diagnostics
    assert {diagnostic.code for diagnostic in error.diagnostics} <= KNOWN
    assert all(letter.isprintable() or letter == "\n" for letter in str(error))
    return None


def write(path, files):
    if "" in files:
        path.write_bytes(files[""])
        return
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)


#: archives are made anew, with checksums, where their meaning changes
HOW = [(name, how) for name in CHECKPOINTS for how in (mutate_bytes, mutate_meaning)]
HOW.remove(("torch zip without checksums", mutate_meaning))


@pytest.mark.parametrize(("name", "how"), HOW, ids=[f"{name}, {how.__name__}" for name, how in HOW])
def test_mutations(place, bounded, cases, name, how):
    files, path = CHECKPOINTS[name](), place / "checkpoint"
    write(path, files)
    whole = outcome(path)
    assert whole
    chance = random.Random(f"{name} {how.__name__}")
    refused = number = 0
    for number in range(cases(10_000)):
        changed = chance.choice(list(files))
        content = how(files[changed], chance)
        write(path, {changed: content})
        try:
            with bounded():
                found = outcome(path)
            if how is mutate_bytes and name in CHECKED:
                assert found in (None, whole)
        except BaseException as error:
            keep = f"{name!r}, {how.__name__}, case {number}, file {changed!r}: {error!r}\n{content!r}"
            raise AssertionError(keep) from error
        refused += found is None
        write(path, {changed: files[changed]})
    assert 0 < refused <= number + 1
