"""File names that are no text: bytes that are not UTF-8, and characters that no recipe can hold."""

import os

import pytest

# `surgery` gets these as Python decodes the arguments of a process
NAMES = {"not UTF-8": os.fsdecode(b"m\xff.safetensors"), "control": "$m\x7f\n.safetensors", "dollar": "$m.safetensors"}


@pytest.fixture(params=NAMES.values(), ids=list(NAMES))
def odd(request, place) -> str:
    try:
        (place / "model.safetensors").rename(place / request.param)
    except OSError:
        pytest.skip("this file system takes text only")
    return request.param


def test_apply_takes_them_as_input_and_output(odd, place, surgery) -> None:
    (place / "r.yaml").write_text("params: {at: {type: path}}\nsource: {checkpoint: {path: $at}}\n")
    said = surgery(f"apply '{odd}' 'new{odd}' -e 'rename: \"module.** -> **\"'")
    assert said.endswith("--- exit 0\n")
    assert (place / f"new{odd}").stat().st_size > 0
    again = surgery(f"run r.yaml -p 'at=new{odd}' -o b.safetensors")
    assert again.endswith("--- exit 0\n")
    for name in (f"new{odd}", "b.safetensors"):
        assert "ok           contents" in surgery(f"verify '{name}'")
        assert surgery(f"show '{name}'").endswith("--- exit 0\n")


def test_errors_show_them_escaped(odd, surgery) -> None:
    said = surgery(f"apply '{odd}' b.safetensors --entry ema")
    assert "error[entry]: there is no entry `ema`" in said
    # the command line itself is the first line of what was said
    assert "\x7f" not in said.split("\n--- stderr\n", 1)[1]


def test_one_that_is_not_utf8_has_no_place_in_a_step(surgery) -> None:
    said = surgery(f"apply model.safetensors b.safetensors -e 'load: {NAMES['not UTF-8']}'")
    assert "U+DCFF (half a surrogate pair) cannot stand here" in said
    assert "= a file whose name is not UTF-8 can be the value of a parameter" in said


def test_standard_output_is_no_output(place, surgery) -> None:
    for line in ("apply model.safetensors -", "run recipe.yaml -p weights=model.safetensors -o -"):
        said = surgery(line)
        assert "error[output]: standard output is no output" in said
        assert said.endswith("--- exit 3\n")
    assert surgery("apply model.safetensors ./-").endswith("--- exit 0\n")
    assert (place / "-").is_dir()


def test_a_device_is_no_output(place, surgery) -> None:
    assert "error[output]: `/dev/null` is no regular file, and no directory" in surgery(
        "apply model.safetensors /dev/null -f"
    )
    assert "error[output]: `/dev/null` is no regular file" in surgery(
        "apply model.safetensors /dev/null --format torch"
    )
    (place / "file").touch()
    assert "file` is a file, and shards go to a directory" in surgery("apply model.safetensors file")
