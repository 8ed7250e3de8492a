"""What only a process of its own shows: imports, pipes, signals, terminals."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "numpy", "yaml", "lark", "rich", "jsonschema")

REPORT_IMPORTS = """\
import atexit, sys
atexit.register(lambda: print("IMPORTED", *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr))
from surgery.cli.main import main
main()
"""

PLAIN_MAIN = "from surgery.cli.main import main\nmain()\n"


def python(code: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )


def imported(*args: str) -> set[str]:
    done = python(REPORT_IMPORTS, *args)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split("IMPORTED")[1].split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("run", "--help"), ("plan", "-h")])
def test_help_imports_nothing_heavy(args):
    assert not imported(*args) & set(HEAVY)


@pytest.mark.parametrize(
    "args",
    [
        ("check", "recipe.yaml"),
        ("inspect", "model.safetensors"),
        ("match", "**.qkv", "model.safetensors"),
        ("match", "module.** -> **", "model.safetensors"),
        ("plan", "recipe.yaml", "-p", "weights=model.safetensors"),
        ("show", "recipe.yaml"),
        ("explain", "rename"),
    ],
)
def test_no_torch_where_no_tensor_is_needed(place, args):
    assert not imported(*args) & {"torch", "torchvision", "numpy", "rich"}


def test_as_many_files_are_open_as_the_system_gives(place):
    code = "import resource, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, (40, %d))\n" + PLAIN_MAIN
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = python(code % hard, "apply", "model.safetensors", "many/", "--shard-size", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(os.listdir("many")) > 40


def test_renaming_a_file_needs_no_torch(place):
    rename = ("apply", "model.safetensors", "plain.safetensors", "-e", 'rename: "module.** -> **"')
    assert not imported(*rename) & {"torch", "numpy", "rich"}


MANY = """\
import sys
from surgery.cli.main import main
from surgery.cli import session
from surgery.report.lines import line
session.Session.show = lambda self, lines: [print("x" * 70) for _ in range(100_000)]
sys.argv = ["surgery", "explain", "rename"]
main()
"""


def test_a_reader_that_has_enough_is_no_error():
    process = subprocess.Popen([sys.executable, "-c", MANY], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None  # noqa: PT018
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


SLOW = """\
import sys, time
import surgery.api
surgery.api.load = lambda name: (print("ready", flush=True), time.sleep(60))
from surgery.cli.main import main
sys.argv = ["surgery", "check", "recipe.yaml"]
main()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_its_status(number, status):
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors.strip() == ""


# the signal arrives while the given module is looked for
EARLY = """\
import os, signal, sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
from surgery.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["surgery.cli", "click", "surgery.cli.streams"])
def test_ctrl_c_while_python_imports(module):
    done = python(EARLY, module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_process_that_heeds_no_ctrl_c_goes_on():
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + EARLY.replace("sys.argv[1]", "'click'")
    done = python(code, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("surgery ")


def test_it_is_a_module_that_runs():
    done = subprocess.run([sys.executable, "-m", "surgery", "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("surgery ")


BUG = """\
import sys
import surgery.api
def load(name):
    raise RuntimeError("boom \\x1b[31m")
surgery.api.load = load
from surgery.cli.main import main
sys.argv = ["surgery", "check", "recipe.yaml"]
main()
"""


def test_a_bug_is_one_line(golden):
    done = python(BUG, SURGERY_DEBUG="")
    assert done.returncode == 70
    assert done.stdout == ""
    golden("cli/errors/bug", done.stderr)


def test_the_traceback_of_a_bug_is_there_for_the_asking():
    done = python(BUG, SURGERY_DEBUG="1")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("error: this is a bug in Surgery (RuntimeError: boom \\x1b[31m)\n")


def on_terminal(*args: str, **env: str) -> str:
    """The output of a command whose stdout is a terminal."""
    leader, follower = pty.openpty()
    program = [sys.executable, "-c", "from surgery.cli.main import main; main()", *args]
    environment = {**os.environ, "TERM": "xterm-256color", **env}
    environment = {name: value for name, value in environment.items() if value}
    process = subprocess.Popen(program, stdout=follower, stderr=subprocess.PIPE, env=environment)
    os.close(follower)
    found = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        found += piece
    os.close(leader)
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    return found.decode().replace("\r\n", "\n")


def test_colours_on_a_terminal_only(place):
    args = ("inspect", "model.safetensors")
    coloured, plain = on_terminal(*args, NO_COLOR=""), on_terminal(*args, NO_COLOR="1")
    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    piped = python("from surgery.cli.main import main; main()", *args).stdout
    assert piped == plain


def test_completion(place):
    env = {"_SURGERY_COMPLETE": "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": "surgery ins"}
    assert python("from surgery.cli.main import main; main()", **env).stdout == "plain,inspect\n"
    env |= {"COMP_CWORD": "4", "COMP_WORDS": "surgery run recipe.yaml -p we"}
    assert python("from surgery.cli.main import main; main()", **env).stdout == "plain,weights=\n"
    env |= {"COMP_CWORD": "2", "COMP_WORDS": "surgery explain chu"}
    assert python("from surgery.cli.main import main; main()", **env).stdout == "plain,chunk\n"


def test_an_encoding_that_lacks_characters(place):
    args = ("match", "module.blocks.* -> *", "model.safetensors")
    done = python("from surgery.cli.main import main; main()", *args, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "12 \\xd7 module.blocks.{0-11}.norm.weight" in done.stdout


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("inspect model.safetensors >&-", 0, ""),
        ("inspect model.safetensors --json >&-", 0, ""),
        pytest.param("inspect model.safetensors > /dev/full", 3, "cannot be printed: No space left", marks=FULL),
        pytest.param("inspect model.safetensors --json > /dev/full", 3, "cannot be printed: No space", marks=FULL),
        pytest.param("--help > /dev/full", 3, "cannot be printed: No space left on device", marks=FULL),
        pytest.param("inspect nothing.safetensors 2> /dev/full", 3, "", marks=FULL),
        ("inspect nothing.safetensors 2>&-", 3, ""),
    ],
)
def test_streams_that_are_closed_or_full(place, line, status, said):
    command = f"exec \"$0\" -c 'from surgery.cli.main import main; main()' {line}"
    done = subprocess.run(["bash", "-c", command, sys.executable], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "bug in" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_library_that_cannot_be_loaded(place):
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom surgery.cli.main import main\n"
        "sys.argv = ['surgery', 'run', 'cast.yaml', '-o', 'x.pt']\nmain()"
    )
    (place / "cast.yaml").write_text(
        'source: {checkpoint: model.safetensors}\nsteps: [{convert: "**.weight -> **.w via scale(2)"}]\n'
    )
    done = python(code)
    assert done.returncode == 3, done.stderr
    assert "error[import-failed]: a library that is needed cannot be imported: import of torch halted" in done.stderr
