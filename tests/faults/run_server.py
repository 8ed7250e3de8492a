"""Runs of the command line in forked children: Surgery is imported once, so that a run takes milliseconds.

Requests come as lines of JSON, a list of runs that go at the same time; answers go back the same way. A child counts
its calls (see `injection`). One that hangs says where, and dies of SIGALRM.

Usage: ``run_server.py CONSTANTS [WORD …]``; with words, they are the command line of one run, with nothing injected.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from injection import Fault, Injector

#: seconds until a run counts as one that hangs
_PATIENCE = 60
#: bytes of address space that a run may have beyond what the server has
_MEMORY = 2 << 30


def main() -> None:
    """Answer requests until there are no more, or make the run of the command line."""
    _set_constants(json.loads(sys.argv[1]))
    if sys.argv[2:]:
        sys.exit(_main(sys.argv[2:]))
    injector = Injector()
    place = Path(tempfile.mkdtemp())
    try:
        _warm(place)
        for request in sys.stdin:
            answers = _together(json.loads(request), injector, place)
            print(json.dumps(answers), flush=True)
    finally:
        shutil.rmtree(place)


def _set_constants(constants: dict[str, int]) -> None:
    """Change constants of Surgery (``module:NAME``), so that small files take the ways of large ones."""
    for name, value in constants.items():
        module, _, constant = name.partition(":")
        found = importlib.import_module(module)
        assert hasattr(found, constant), name
        setattr(found, constant, value)


def _warm(place: Path) -> None:
    """Import all that a run needs: by running; from here on no memory is copied that no child changes."""
    header = b'{"a.x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    source = place / "warm.safetensors"
    source.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    for origin, target in ((source, "warm/"), (source, "warm.pt"), (place / "warm.pt", "again.pt")):
        argv = ["apply", str(origin), str(place / target), "-e", 'rename: "optional a.** -> **"', "-q"]
        assert _main(argv) == 0
    # tensors that are no plain ranges of bytes are gathered by numpy
    importlib.import_module("numpy")
    with contextlib.redirect_stderr(io.StringIO()):
        assert _main(["apply", str(place / "nothing"), "x.pt", "-q"]) == 3
    gc.freeze()


def _main(argv: list[str]) -> int:
    from surgery.cli.main import command

    try:
        command.main(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _together(runs: list[dict[str, Any]], injector: Injector, place: Path) -> list[dict[str, Any]]:
    """All runs, begun at the same moment."""
    waiting, go = os.pipe()
    all_begun, begun = os.pipe()
    children = []
    for number, run in enumerate(runs):
        child = os.fork()
        if child == 0:
            os.close(go)
            _run(run, injector, place / f"run-{number}", waiting, begun)
        children.append(child)
    for descriptor in (waiting, go, begun):
        os.close(descriptor)
    os.read(all_begun, 1)
    os.close(all_begun)
    for child, run in zip(children, runs, strict=True):
        if run.get("signal"):
            time.sleep(run["delay"])
            os.kill(child, run["signal"])
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return [{"status": s, **_texts(place / f"run-{n}")} for n, s in enumerate(statuses)]


def _texts(output: Path) -> dict[str, Any]:
    found = {name: Path(f"{output}.{name}").read_text(errors="replace") for name in ("out", "err", "calls")}
    return {**found, "calls": found["calls"].split()}


def _run(run: dict[str, Any], injector: Injector, output: Path, waiting: int, begun: int) -> None:
    """A run, in the child, which waits for one pipe and closes another when it begins; never returns."""
    status = 99
    try:
        files = [os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("out", "err", "calls")]
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        os.chdir(run["directory"])
        if run.get("uid"):
            os.setuid(run["uid"])
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
        signal.alarm(_PATIENCE)
        faulthandler.dump_traceback_later(_PATIENCE - 5, file=files[1])
        os.read(waiting, 1)
        injector.arm(Fault(**run.get("fault", {})), files[2], run.get("absent", {}))
        os.close(begun)
        status = _main(run["argv"])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
