"""Parameters: how they are declared, what may be given for them, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgery.diagnostics import SurgeryError
from surgery.document.parse import parse_document
from surgery.params import arguments, bind_params, read_params

DECLARATIONS = """
classes: 10
rate: 0.5
name: resnet
flag: true
sizes: [1, 2]
weights: {type: path, help: a checkpoint}
dtype: {type: dtype, default: bfloat16}
device: {type: device, default: cpu}
mode: {type: string, default: a, choices: [a, bb, ccc]}
layers: {type: integer, default: 3, minimum: 1, maximum: 8}
names: {type: [string], default: []}
maybe: {type: string, default: null}
"""


def declared(text: str):
    errors: list = []
    params = read_params(parse_document(text, "recipe.yaml"), errors)
    if errors:
        raise SurgeryError(errors)
    return params


def bound(text: str, given=(), *, directory: Path = Path("caller"), recipe_directory: Path = Path("recipes"), **values):
    values |= arguments(given)
    return bind_params(declared(text), values, directory=directory, recipe_directory=recipe_directory)


def values(text: str, *given: str, **named):
    return {name: param.value for name, param in bound(text, given, **named).items()}


def message(call) -> str:
    with pytest.raises(SurgeryError) as caught:
        call()
    return str(caught.value)


def test_types_and_defaults():
    params = declared(DECLARATIONS)
    assert [p.type_name for p in params.values()] == [
        *("integer", "number", "string", "boolean", "[integer]", "path", "dtype", "device"),
        *("string", "integer", "[string]", "string"),
    ]
    assert [name for name, p in params.items() if p.required] == ["weights"]
    assert params["weights"].help == "a checkpoint"
    assert values(DECLARATIONS, weights="x") == {
        **{"classes": 10, "rate": 0.5, "name": "resnet", "flag": True, "sizes": [1, 2], "weights": "x"},
        **{"dtype": "bfloat16", "device": "cpu", "mode": "a", "layers": 3, "names": [], "maybe": None},
    }


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("classes=0x10", 16),
        ("rate=1e-3", 0.001),
        ("rate=2", 2),
        ("name=12:30", "12:30"),
        ("name=3", "3"),
        ("name=", ""),
        ("name=a=b", "a=b"),
        ("flag=false", False),
        ("sizes=[3, 4]", [3, 4]),
        ("sizes=3,4", [3, 4]),
        ("sizes=5", [5]),
        ("sizes=[]", []),
        ("weights=$HOME/a b.pth", "$HOME/a b.pth"),
        ("dtype=float16", "float16"),
        ("device=cuda:1", "cuda:1"),
        ("mode=bb", "bb"),
        ("layers=8", 8),
        ("names=a, 3", ["a", "3"]),
        ("maybe=null", "null"),
    ],
)
def test_values_from_a_command_line(argument, value):
    found = values(
        DECLARATIONS, *{"weights=w", argument} - ({"weights=w"} if argument.startswith("weights") else set())
    )
    name = argument.partition("=")[0]
    assert found[name] == value
    assert type(found[name]) is type(value)


def test_values_from_python():
    import numpy
    import torch

    found = values(
        DECLARATIONS,
        classes=numpy.int64(3),
        rate=numpy.float32(0.25),
        sizes=(4, 5),
        weights=Path("a") / "b",
        dtype=torch.float16,
        device=torch.device("cuda", 1),
        layers=2.0,
        maybe=None,
    )
    assert found["classes"] == 3
    assert type(found["classes"]) is int
    assert found["rate"] == 0.25
    assert (found["sizes"], found["weights"], found["dtype"], found["device"]) == ([4, 5], "a/b", "float16", "cuda:1")
    assert type(found["layers"]) is int


def test_whole_numbers_are_integers_however_they_are_written(tmp_path):
    (tmp_path / "c.json").write_text('{"n": 3.0, "l": [1.0, 2]}')
    text = """
    a: {type: integer, default: 3.0}
    b: {type: integer}
    c: {type: integer, from: "c.json#/n"}
    d: {type: [integer], from: "c.json#/l"}
    e: {type: [integer], default: [4.0]}
    """
    found = {name: p.value for name, p in bound(text, ["b=3.0"], recipe_directory=tmp_path).items()}
    assert found == {"a": 3, "b": 3, "c": 3, "d": [1, 2], "e": [4]}
    assert all(type(n) is int for v in found.values() for n in (v if isinstance(v, list) else [v]))


def test_unfit_values(golden):
    wrong = [
        *("classes=ten", "classes=1.5", "classes=true", "classes=99999999999999999999", "rate=fast", "flag=yes"),
        *("sizes=a", "sizes=1,2.5", "dtype=bfloat61", "device=GPU 1", "mode=ccd", "mode=z", "layers=0", "layers=9"),
        *("weights=", "clases=3", "unheard=1", "=1", "classes", ""),
    ]
    shown = [
        f">>> -p {text}\n"
        + message(lambda text=text: bound(DECLARATIONS.replace("weights: {", "weights: {default: w, "), [text]))
        for text in wrong
    ]
    golden("params/values", "\n\n".join(shown))


def test_unfit_values_from_python(golden):
    wrong = [{"classes": "10"}, {"classes": True}, {"rate": [1]}, {"sizes": 3}, {"sizes": [1, "a"]}, {"weights": 3}]
    wrong += [{"flag": 1}, {"name": None}, {"name": object}]
    shown = [
        f">>> {given}\n" + message(lambda given=given: bound(DECLARATIONS, **{"weights": "w"} | given))
        for given in wrong
    ]
    golden("params/python", "\n\n".join(shown))


def test_all_that_is_missing_is_told_at_once(golden):
    text = "a: {type: path, help: the first}\nb: {type: [integer]}\nc: 3\n"
    golden("params/missing", message(lambda: bound(text, ["d=3"])))


def test_wrong_declarations(golden):
    wrong = [
        *("a: null", "a:", "a: []", "a: [1, a]", "a: [[1]]", "a: path", "a: {help: x}", "a: {type: int}"),
        *("a: {type: [integer, string]}", "a: {type: 3}", "a: {type: integer, default: x}", "a: {default: {b: 1}}"),
        *(
            "a: {type: string, choices: []}",
            "a: {type: string, choices: [x, y], default: z}",
            "a: {default: 3, min: 1}",
        ),
        *("a: {type: integer, minimum: x}", "a: {type: integer, help: [x]}", "a b: 3", "3a: 3", "[a]", "a"),
        *('a: {type: integer, from: "config.json"}', "a: {type: integer, from: [x]}"),
        "a: {type: integer, default: 9, maximum: 8}",
        'a: {type: string, default: "$b"}\nb: {type: string, default: "$c"}\nc: {type: string, default: "x$a"}',
        'a: {type: integer, from: "$a/x.json#/b"}',
    ]
    golden(
        "params/declarations", "\n\n".join(f">>> {text}\n{message(lambda text=text: declared(text))}" for text in wrong)
    )


@pytest.fixture
def config(tmp_path):
    (tmp_path / "model").mkdir()
    content = {"heads": 16, "text": {"a/b": [1, 2], "til~de": "x"}, "": 5, "rate": 1.5, "sizes": [1, 2]}
    (tmp_path / "model" / "config.json").write_text(json.dumps(content))
    (tmp_path / "model" / "broken.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "pointer", "value"),
    [
        ("integer", "/heads", 16),
        ("integer", "/text/a~1b/1", 2),
        ("string", "/text/til~0de", "x"),
        ("integer", "/", 5),
        ("number", "/rate", 1.5),
        ("[integer]", "/sizes", [1, 2]),
    ],
)
def test_values_from_a_file(config, kind, pointer, value):
    text = f'dir: {{type: path}}\na: {{type: {kind}, from: "$dir/config.json#{pointer}"}}'
    assert values(text, "dir=model", directory=config)["a"] == value
    # a default is relative to the recipe, and what is given comes first
    text = f'dir: {{type: path, default: model}}\na: {{type: {kind}, from: "$dir/config.json#{pointer}"}}'
    assert values(text, recipe_directory=config)["a"] == value
    assert values(text, dir="nowhere", a=value)["a"] == value


def test_a_default_for_what_a_file_lacks(config):
    text = 'a: {type: integer, default: 4, from: "model/config.json#/groups"}'
    assert values(text, recipe_directory=config) == {"a": 4}
    assert "no-file" in message(lambda: bound(text.replace("config", "confg"), recipe_directory=config))


def test_files_that_do_not_serve(config, golden, monkeypatch):
    monkeypatch.chdir(config)
    wrong = [
        *("model/config.json#/head", "model/config.json#/text/a~1b/7", "model/config.json#/heads/x"),
        *("model/config.json#/text/c", "model/config.json#heads", "model/broken.json#/a", "model/confg.json#/a"),
        *("model#/a", "model/config.json#/rate", "model/config.json#/text"),
    ]

    def one(where: str) -> str:
        text = f'a: {{type: integer, from: "{where}"}}'
        return f">>> {text}\n{message(lambda: bound(text, recipe_directory=Path()))}"

    golden("params/files", "\n\n".join(map(one, wrong)))


def test_directories_of_paths():
    text = """
    a: {type: path, default: x}
    b: {type: path}
    c: {type: path, default: "$b/y"}
    d: {type: path, default: "$a/y"}
    """
    found = bound(text, ["b=z"])
    assert {name: (param.value, param.directory) for name, param in found.items()} == {
        "a": ("x", None),
        "b": ("z", "caller"),
        "c": ("z/y", "caller"),
        "d": ("x/y", None),
    }


def test_a_default_made_of_others_is_checked():
    text = 'a: "x"\nb: {type: string, default: "$a$a", choices: [xx]}'
    assert values(text)["b"] == "xx"
    assert "`b` cannot be `yy`" in message(lambda: bound(text, ["a=y"]))


@given(text=st.text(max_size=30), name=st.sampled_from(["classes", "rate", "flag", "sizes", "dtype", "names", "mode"]))
def test_any_text_is_taken_or_refused(text, name):
    try:
        found = values(DECLARATIONS, "weights=w", f"{name}={text}")
    except SurgeryError as error:
        codes = {d.code for d in error.diagnostics}
    else:
        codes = set() if name in found else {"lost"}
    assert codes <= {"parameter-value"}
