import os
import resource
import stat
import subprocess
import sys

import pytest

from surgery.diagnostics import SurgeryError
from surgery.files import atomic
from surgery.files.atomic import DirectoryDraft, FileDraft
from surgery.files.litter import name_aside, sweep, temporary_name


def write(path, content=b"new", **options):
    with FileDraft(path, **options) as draft:
        os.pwrite(draft.descriptor, content, 0)
        draft.publish()


def write_directory(path, files, **options):
    with DirectoryDraft(path, replaceable=lambda name: name.startswith("w"), **options) as draft:
        for name, content in files.items():
            os.pwrite(draft.create(name), content, 0)
        draft.publish()


def contents(path):
    return {p.name: p.read_bytes() for p in path.iterdir()}


def names(path):
    return sorted(os.listdir(path))


def test_a_new_file(tmp_path):
    write(tmp_path / "a")
    assert contents(tmp_path) == {"a": b"new"}


def test_nothing_is_there_before_it_is_published(tmp_path):
    with FileDraft(tmp_path / "a") as draft:
        os.pwrite(draft.descriptor, b"x", 0)
        assert not (tmp_path / "a").exists()
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(tmp_path, error):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(error), FileDraft(tmp_path / "a", overwrite=True):
        raise error
    assert contents(tmp_path) == {"a": b"old"}


def test_not_overwritten_unless_asked(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(SurgeryError, match="output-exists"):
        write(tmp_path / "a")
    assert contents(tmp_path) == {"a": b"old"}
    write(tmp_path / "a", overwrite=True)
    assert contents(tmp_path) == {"a": b"new"}


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    with FileDraft(tmp_path / "a") as draft:
        (tmp_path / "a").write_bytes(b"other")
        with pytest.raises(SurgeryError, match="output-exists"):
            draft.publish()
    assert contents(tmp_path) == {"a": b"other"}


def test_a_directory_that_appears_at_the_last_moment_is_not_replaced(tmp_path, monkeypatch):
    with DirectoryDraft(tmp_path / "d", replaceable=lambda name: True) as draft:
        draft.create("w1")
        write_directory(tmp_path / "d", {"w1": b"other"})
        # as if it had not been there yet when the draft looked
        monkeypatch.setattr(draft, "_examine", lambda: None)
        with pytest.raises(SurgeryError, match="output-exists"):
            draft.publish()
    assert contents(tmp_path / "d") == {"w1": b"other"}
    assert names(tmp_path) == ["d"]


@pytest.mark.parametrize("appears", [False, True])
def test_without_hard_links(tmp_path, monkeypatch, appears):
    def no_link(*args):
        raise PermissionError

    monkeypatch.setattr(atomic.os, "link", no_link)
    with FileDraft(tmp_path / "a") as draft:
        os.pwrite(draft.descriptor, b"new", 0)
        if appears:
            (tmp_path / "a").write_bytes(b"other")
            with pytest.raises(SurgeryError, match="output-exists"):
                draft.publish()
        else:
            draft.publish()
    assert contents(tmp_path) == {"a": b"other" if appears else b"new"}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path / "a")
        write_directory(tmp_path / "d", {"w": b""})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o777 & ~mask
    assert stat.S_IMODE((tmp_path / "d" / "w").stat().st_mode) == 0o666 & ~mask


def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    write(tmp_path / "a", overwrite=True)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real/a")
    write(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"new"
    assert names(tmp_path / "real") == ["a"]


def test_other_hard_links_keep_the_old_content(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "a", overwrite=True)
    assert contents(tmp_path) == {"a": b"new", "b": b"old"}


def test_missing_directories_are_made_and_removed_again(tmp_path):
    write(tmp_path / "x" / "y" / "a")
    assert contents(tmp_path / "x" / "y") == {"a": b"new"}
    with FileDraft(tmp_path / "p" / "q" / "a"):
        pass
    assert not (tmp_path / "p").exists()


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for path in ("file/a", "pipe", "", "/dev/null"):
        with pytest.raises(SurgeryError, match=r"error\[output"):
            write(tmp_path / path, overwrite=True)
    assert names(tmp_path) == ["file", "pipe"]


@pytest.mark.parametrize("kind", [write, lambda path: write_directory(path, {"w": b"new"})])
def test_a_link_that_leads_to_itself(tmp_path, kind):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(SurgeryError, match="cannot be written: Too many levels"):
        kind(tmp_path / "a")
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SurgeryError, match="not writable"):
        write(tmp_path / "a")


def test_directories(tmp_path):
    write_directory(tmp_path / "d", {"w1": b"1", "w2": b"2"})
    assert contents(tmp_path / "d") == {"w1": b"1", "w2": b"2"}
    with pytest.raises(SurgeryError, match="output-exists"):
        write_directory(tmp_path / "d", {"w3": b"3"})
    write_directory(tmp_path / "d", {"w3": b"3"}, overwrite=True)
    assert contents(tmp_path / "d") == {"w3": b"3"}
    assert names(tmp_path) == ["d"]


def test_an_empty_directory_is_no_obstacle(tmp_path):
    (tmp_path / "d").mkdir()
    write_directory(tmp_path / "d", {"w": b""})
    assert names(tmp_path / "d") == ["w"]


def test_a_directory_without_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "exchange", lambda first, second: False)
    write_directory(tmp_path / "d", {"w1": b"1"})
    write_directory(tmp_path / "d", {"w2": b"2"}, overwrite=True)
    assert contents(tmp_path / "d") == {"w2": b"2"}
    assert names(tmp_path) == ["d"]


def test_a_directory_with_other_files_is_not_replaced(tmp_path):
    write_directory(tmp_path / "d", {"w1": b"1"})
    (tmp_path / "d" / "config.json").write_bytes(b"{}")
    with pytest.raises(SurgeryError, match=r"holds what would be lost: `config.json`"):
        write_directory(tmp_path / "d", {"w2": b"2"}, overwrite=True)
    assert names(tmp_path / "d") == ["config.json", "w1"]


def test_too_many_open_files_leave_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        with pytest.raises(SurgeryError, match="Too many open files"):
            write_directory(tmp_path / "d", {f"w{i}": b"1" for i in range(100)})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert names(tmp_path) == []


def test_litter_of_dead_runs_is_swept_and_that_of_live_ones_is_not(tmp_path):
    dead = tmp_path / temporary_name()
    dead.write_bytes(b"half")
    dead_directory = tmp_path / temporary_name()
    dead_directory.mkdir()
    (dead_directory / "w1").write_bytes(b"half")
    (tmp_path / ".surgery-notes.tmp").write_bytes(b"mine")
    with FileDraft(tmp_path / "a") as first, DirectoryDraft(tmp_path / "d") as second:
        assert sweep(tmp_path) == []
        assert not dead.exists()
        assert not dead_directory.exists()
        first.publish()
        second.publish()
    assert names(tmp_path) == [".surgery-notes.tmp", "a", "d"]


@pytest.mark.parametrize("taken", [False, True])
def test_what_a_killed_run_had_set_aside_goes_back_where_nothing_took_its_place(tmp_path, taken):
    for name, content in [(name_aside("d"), b"old"), ("d", b"new")][: 1 + taken]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "w1").write_bytes(content)
    assert len(sweep(tmp_path)) == 1
    assert names(tmp_path) == ["d"]
    assert contents(tmp_path / "d") == {"w1": b"new" if taken else b"old"}


WRITE = """
import os, sys
from pathlib import Path
from surgery.files.atomic import DirectoryDraft, FileDraft
from surgery.diagnostics import SurgeryError
kind, target = sys.argv[1], Path(sys.argv[2])
try:
    if kind.startswith("file"):
        with FileDraft(target, overwrite="over" in kind) as draft:
            os.pwrite(draft.descriptor, b"new", 0)
            draft.publish()
    else:
        with DirectoryDraft(target, overwrite="over" in kind, replaceable=lambda name: True) as draft:
            for name in ("w1", "w2"):
                os.pwrite(draft.create(name), b"new", 0)
            draft.publish()
except SurgeryError as error:
    sys.exit(str(error))
"""


def run(kind, target, *injections):
    command = [sys.executable, "-c", WRITE, kind, target]
    if injections:
        command = ["strace", "-f", "-qq", "-o", "/dev/null", *injections, *command]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _strace_works():
    try:
        return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0
    except FileNotFoundError:
        return False


injected = pytest.mark.skipif(not _strace_works(), reason="strace is not there, or may not trace")
KILLS = {
    "file-new": ["pwrite64:1", "fsync:1", "link:1", "unlink:1", "fsync:2"],
    "file-over": ["pwrite64:1", "fchmod:1", "fsync:1", "rename:1", "fsync:2"],
    "directory-new": ["pwrite64:1", "fsync:1", "fsync:3", "rename:1", "fsync:4"],
    "directory-over": ["pwrite64:2", "fsync:3", "renameat2:1", "unlink:1", "unlink:2", "rmdir:1", "fsync:4"],
}


def prepare(kind, tmp_path):
    target = tmp_path / "target"
    if kind == "file-over":
        target.write_bytes(b"old")
    elif kind == "directory-over":
        target.mkdir()
        for name in ("w1", "w2"):
            (target / name).write_bytes(b"old")
    return target


def state(target):
    if target.is_dir():
        found = contents(target)
        assert set(found) == {"w1", "w2"}
        (value,) = set(found.values())
        return value
    return target.read_bytes() if target.exists() else None


@injected
@pytest.mark.parametrize(("kind", "point"), [(kind, point) for kind, points in KILLS.items() for point in points])
def test_killed_at_any_call(tmp_path, kind, point):
    call, when = point.split(":")
    target = prepare(kind, tmp_path)
    old = state(target)
    run(kind, target, "-e", f"inject={call}:signal=KILL:when={when}")
    found = state(target)
    assert found in (old, b"new")
    if found == old:
        assert run(kind, target).returncode == 0
        assert state(target) == b"new"
    else:
        with FileDraft(tmp_path / "other"):
            pass
    assert names(tmp_path) == ["target"]


@injected
@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("file-over", "pwrite64:error=ENOSPC"),
        ("file-over", "fsync:error=EIO"),
        ("file-over", "fsync:error=EDQUOT"),
        ("file-over", "rename:error=EXDEV"),
        ("file-new", "link:error=EIO"),
        ("directory-new", "mkdir:error=ENOSPC"),
        ("directory-new", "rename:error=EIO"),
        ("directory-over", "renameat2:error=EIO"),
        ("directory-over", "fsync:error=EIO:when=3"),
    ],
)
def test_faults_are_errors_and_leave_the_old(tmp_path, kind, fault):
    target = prepare(kind, tmp_path)
    old = state(target)
    calls = fault.split(":", 1)[0]
    faults = [fault] if calls != "link" else [fault, "rename:error=EIO"]
    done = run(kind, target, *(part for f in faults for part in ("-e", f"inject={f}")))
    if "pwrite64" in fault:
        assert "OSError" in done.stderr  # the writer's own, which the engine turns into an error
    else:
        assert "error[output]" in done.stderr or "error[no-space]" in done.stderr, done.stderr
    assert done.returncode == 1
    assert state(target) == old
    assert names(tmp_path) == (["target"] if old else [])


@injected
def test_a_directory_where_exchange_is_unknown(tmp_path):
    target = prepare("directory-over", tmp_path)
    assert run("directory-over", target, "-e", "inject=renameat2:error=ENOSYS").returncode == 0
    assert state(target) == b"new"
    assert names(tmp_path) == ["target"]


def test_concurrent_writers_leave_one_whole_file(tmp_path):
    script = """
import os, sys
from pathlib import Path
from surgery.diagnostics import SurgeryError
from surgery.files.atomic import FileDraft
done = 0
for _ in range(40):
    try:
        with FileDraft(Path(sys.argv[1]), overwrite=sys.argv[3] == "over") as draft:
            for at in range(0, 1 << 16, 1 << 12):
                os.pwrite(draft.descriptor, sys.argv[2].encode() * (1 << 12), at)
            draft.publish()
            done += 1
    except SurgeryError as error:
        assert error.diagnostics[0].code == "output-exists"
print(done)
"""
    for mode in ("over", "new"):
        target = tmp_path / mode
        writers = [
            subprocess.Popen([sys.executable, "-c", script, target, letter, mode], stdout=subprocess.PIPE)
            for letter in "ab"
        ]
        done = sum(int(writer.communicate()[0]) for writer in writers)
        assert [writer.returncode for writer in writers] == [0, 0]
        assert done == (80 if mode == "over" else 1)
        content = target.read_bytes()
        assert len(content) == 1 << 16
        assert len(set(content)) == 1
    assert names(tmp_path) == ["new", "over"]
