"""Cases: what passes, what fails, and what cannot be tried."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
import torch

from surgery.recipe import Recipe

#: a source; nothing asks for the parameter then
MADE = "source: {keys: {module.w: [1]}}"
RIGHT = {
    "keys": """\
  - name: a
    files: {in.pth: {keys: {"module.l.(0..1).w": [2, 3], module.n: {shape: [], dtype: int64}}}}
    params: {model: in.pth}
    expect: {keys: {"l.(0..1).w": [2, 3], n: {shape: [], dtype: int64}}}
""",
    "a number of keys, in shards": """\
  - name: a
    files: {model/: {keys: {"module.l.(0..9).w": [2, 3]}}}
    params: {model: model}
    expect: {keys: 10}
""",
    "an error": """\
  - name: a
    files: {in.pth: {keys: {fc.w: [2]}}}
    params: {model: in.pth}
    error: {code: unused-rule, says: fc, at: "module.**"}
""",
    "no file": "  - {name: a, params: {model: in.pth}, error: no-file}\n",
    "a source of its own": f"  - {{name: a, {MADE}, expect: {{keys: {{w: [1]}}}}}}\n",
    "it goes through": f"  - {{name: a, {MADE}}}\n",
    "steps and a container": """\
  - name: a
    files: {in.pth: {source: {keys: {w: [1]}}, steps: [{rename: "** -> module.**"}], entry: epoch.state}}
    params: {model: in.pth}
    expect: {like: {given: in.pth}}
""",
    "json, and a parameter in it": """\
params: {model: {type: path}, heads: {type: integer, from: "$model/config.json#/heads"}}
source: {checkpoint: $model}
steps: [{convert: "w -> (a|b) via rearrange('(h x) -> (x h)', h=$heads) | chunk"}]
tests:
  - name: a
    files: {model/config.json: {json: {heads: 2}}, model/model.safetensors: {keys: {w: [8]}}}
    params: {model: model}
    expect: {keys: {(a|b): [4]}}
""",
    "numpy": """\
source: {checkpoint: {path: in.npz, separator: /}}
steps: [{rename: "a.** -> b.**"}]
tests: [{name: a, files: {in.npz: {keys: {a/w: [2]}}}, expect: {keys: {b.w: [2]}}}]
""",
    "given by a caller": """\
source: {given: model}
steps: [{load: {from: {given: weights}, steps: [{rename: "x.** -> **"}]}}]
tests:
  - name: a
    given:
      model: {torchvision: squeezenet1_1}
      weights: {source: {torchvision: squeezenet1_1}, steps: [{rename: "** -> x.**"}]}
    expect: {parity: {like: {given: weights}, input: [1, 3, 32, 32]}}
""",
    "parameters beside those of the source": """\
params: {model: {type: path}, folder: {type: path}, size: {type: integer, from: "$folder/config.json#/size"}}
source: {checkpoint: "$model"}
steps: [{create: "w -> zeros($size)"}]
tests:
  - name: a
    files: {here/config.json: {json: {size: 3}}}
    source: {keys: {v: [1]}}
    params: {folder: here}
    expect: {keys: {v: [1], w: [3]}}
""",
    "the inverse": f"  - {{name: a, {MADE}, inverse: true}}\n",
    "the inverse of what a file has": """\
source: in.pth
steps: [{convert: "l.{i}.qkv -> l.{i}.(q|k|v) via chunk"}]
tests: [{name: a, files: {in.pth: {keys: {"l.(0..2).qkv": [6, 2], n: {shape: [], dtype: int64}}}}, inverse: true}]
""",
    "a partial inverse": """\
source: in.pth
steps: [{filter: {drop: head}}, {rename: "a -> b"}]
tests: [{name: a, files: {in.pth: {keys: {a.w: [1], head.w: [1]}}}, inverse: partial}]
""",
    "the inverse of what a model loads": """\
source: {torchvision: squeezenet1_1}
steps: [{load: {from: in.pth, steps: [{rename: "module.** -> **"}]}}]
tests:
  - name: a
    files: {in.pth: {source: {torchvision: squeezenet1_1}, steps: [{rename: "** -> module.**"}]}}
    inverse: true
""",
    "a model, and what it computes": """\
params: {model: {type: path}}
source: {torchvision: squeezenet1_1}
steps: [{load: {from: {checkpoint: $model}, steps: [{unwrap: true}]}}]
tests:
  - name: a
    files: {in.pth: {source: {torchvision: squeezenet1_1}, steps: [{rename: "** -> module.**"}]}}
    params: {model: in.pth}
    expect: {parity: {like: {given: in.pth}, input: [1, 3, 32, 32]}}
""",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right(name, outcome):
    found = outcome(RIGHT[name])
    assert found.status == "ok", "\n".join(map(str, found.diagnostics))


WRONG = {
    "other keys": (
        f"  - {{name: a, {MADE}, expect: {{keys: {{v: [1]}}}}}}\n",
        "the result is not like the listed keys: 1 of 1 key missing, 1 of 1 key left over",
    ),
    "another shape": (
        f"  - {{name: a, {MADE}, expect: {{keys: {{w: [2]}}}}}}\n",
        "the result is not like the listed keys: 1 of another shape",
    ),
    "an error": (
        "  - {name: a, source: {keys: {w: [1]}}, params: {model: x}, expect: {keys: 1}}\n",
        "this rule selects nothing",
    ),
    "no error": (
        f"  - {{name: a, {MADE}, error: unused-rule}}\n",
        "`a`: no error, where `unused-rule` was to come",
    ),
    "another error": (
        "  - {name: a, params: {model: x}, error: unused-rule}\n",
        "`a`: not the error that was to come: `unused-rule`",
    ),
    "an error with other words": (
        "  - {name: a, params: {model: x}, error: {code: no-file, says: y.pth}}\n",
        "`a`: not the error that was to come: `no-file` that says `y.pth`",
    ),
    "an error in another place": (
        "  - {name: a, source: {keys: {w: [1]}}, params: {model: x}, error: {code: unused-rule, at: fc}}\n",
        "`a`: not the error that was to come: `unused-rule` at `fc`",
    ),
    "an error of what is made": (
        "  - {name: a, files: {in.xyz: {keys: {w: [1]}}}, params: {model: in.xyz}, error: output-format}\n",
        "no format goes by the suffix `.xyz`",
    ),
    "a partial inverse that leaves nothing behind": (
        "source: {keys: {w: [1]}}\nsteps: [{rename: w -> v}]\ntests: [{name: a, inverse: partial}]\n",
        "nothing is left behind, so that the whole recipe has an inverse",
    ),
    "no inverse": (
        "source: {keys: {w: [1], v: [1]}}\nsteps: [{filter: {drop: v}}]\ntests: [{name: a, inverse: true}]\n",
        "v",
    ),
    "a value that does not fit": (
        "params: {n: 3}\nsource: {keys: {w: [1]}}\ntests: [{name: a, params: {n: three}}]\n",
        "an integer is wanted for `n`",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name, outcome):
    case, message = WRONG[name]
    found = outcome(case)
    assert found.status == "failed"
    assert message in found.diagnostics[0].message
    assert found.span is not None
    assert found.span.excerpt.strip().startswith(("- {name: a", "tests: [{name: a"))


MODULE = """\
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

import torch
from torch import nn, ones

@dataclass
class Config:
    size: int = 4

class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.one, self.other = nn.Linear(4, config.size), nn.Linear(4, config.size)
    def forward(self, x):
        print("running")
        return {"sum": self.one(x) + 2 * self.other(x), "more": [self.one(x)]}

class Fused(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = nn.Linear(4, 8)
    def forward(self, x):
        one, other = self.both(x).chunk(2, -1)
        return one + 2 * other

def broken():
    raise RuntimeError("no such luck")

def reaching():
    print("before")
    socket.create_connection(("localhost", 80))


def leaving():
    raise SystemExit(0)


def setting():
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    os.environ["SET_BY_A_CASE"] = "1"
    return nn.Linear(1, 1)


def telling():
    subprocess.run([sys.executable, "-c", "print('told')"])
    return nn.Linear(1, 1)
"""

FUSING = """\
params: {{model: {{type: path}}}}
source: {{checkpoint: $model}}
steps: [{{convert: "{rule}"}}]
tests:
  - name: a
    files: {{in.pth: {{python: "{module}:Net", kwargs: {{config: {{python: "{module}:Config"}}}}}}}}
    params: {{model: in.pth}}
    expect: {{parity: {{like: {{given: in.pth}}, into: {{python: "{module}:Fused"}}, input: [3, 4], output: sum}}}}
"""

CALLING = """\
  - name: a
    source: {{python: "{module}:{name}"}}
    params: {{model: x}}
"""


@pytest.fixture
def module(directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that is not Surgery's."""
    name = "foreign_models"
    (directory / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


class TestParity:
    def test_right(self, outcome, module):
        found = outcome(FUSING.format(module=module, rule="[one, other] -> both via concat"), f"import:{module}")
        assert found.status == "ok", "\n".join(map(str, found.diagnostics))

    def test_the_wrong_way_round(self, outcome, module):
        found = outcome(FUSING.format(module=module, rule="[other, one] -> both via concat"), f"import:{module}")
        assert found.status == "failed"
        assert "the outputs of the result are not those of the given in.pth" in found.diagnostics[0].message
        assert found.printed.startswith("running")
        again = outcome(FUSING.format(module=module, rule="[other, one] -> both via concat"), f"import:{module}")
        assert again.diagnostics == found.diagnostics, "values follow from the seed"

    def test_of_another_shape(self, outcome, module):
        found = outcome(FUSING.format(module=module, rule="one -> both"), f"import:{module}")
        assert "the result cannot run as python foreign_models:Fused" in found.diagnostics[0].message

    def test_no_such_output(self, outcome, module):
        text = FUSING.format(module=module, rule="[one, other] -> both via concat").replace(
            "output: sum", "output: som"
        )
        found = outcome(text, f"import:{module}")
        assert found.diagnostics[0].message == "the reference has no output `som`"
        assert found.diagnostics[0].notes == ("its outputs: `sum`, `more`",)


def test_an_inverse_that_gives_back_something_else(outcome, monkeypatch):
    steps = [{"rename": "fc.a -> module.b, fc.b -> module.a"}, {"filter": {"drop": "fc.c"}}, {"create": "d -> ones(1)"}]
    wrong = Recipe.of_data({"source": {"given": "x"}, "steps": steps})
    monkeypatch.setattr(Recipe, "invert", lambda *_, **__: wrong)
    case = """\
source: in.pth
steps: [{rename: "module.** -> fc.**"}]
tests: [{name: a, files: {in.pth: {keys: {"module.(a|b|c)": [1]}}}, inverse: true}]
"""
    (found,) = outcome(case).diagnostics
    assert found.code == "test-failed"
    assert found.notes == (
        "not given back: `module.c`",
        "not there before: `d`",
        "with other values: `module.b`, `module.a`",
    )


class TestSkipped:
    def test_without_permission(self, outcome, module):
        found = outcome(FUSING.format(module=module, rule="[one, other] -> both via concat"))
        assert (found.status, found.reason) == (
            "skipped",
            "it imports code: `--allow import:foreign_models` allows it",
        )
        assert module not in sys.modules

    def test_a_package_that_is_not_installed(self, outcome):
        found = outcome('  - {name: a, source: {python: "no_such_package.x:y"}}\n', "import:no_such_package")
        assert (found.status, found.reason) == ("skipped", "`no_such_package` is not installed")

    def test_a_file_of_a_package_that_is_not_installed(self, outcome):
        found = outcome('  - {name: a, params: {model: "package://no_such_package/x.pth"}}\n')
        assert (found.status, found.reason) == ("skipped", "`no_such_package` is not installed")

    def test_the_network(self, outcome):
        found = outcome('  - {name: a, params: {model: "https://example.org/x.pth"}}\n')
        assert found.status == "skipped"
        assert "needs the network" in found.reason

    def test_the_network_where_another_error_is_to_come(self, outcome):
        found = outcome('  - {name: a, params: {model: "https://example.org/x.pth"}, error: unused-rule}\n')
        assert found.status == "skipped"

    def test_a_permission_that_is_refused_as_it_should_be(self, outcome):
        found = outcome('  - {name: a, params: {model: "https://example.org/x.pth"}, error: not-allowed}\n')
        assert found.status == "ok"


class TestApart:
    def test_an_error_of_python_is_a_failure(self, outcome, module):
        found = outcome(f'  - {{name: a, source: {{python: "{module}:broken"}}}}\n', f"import:{module}")
        assert found.status == "failed"
        assert "no such luck" in found.diagnostics[0].message

    def test_no_network(self, outcome, module):
        kept = socket.socket.connect, socket.create_connection, socket.getaddrinfo
        found = outcome(f'  - {{name: a, source: {{python: "{module}:reaching"}}}}\n', f"import:{module}")
        assert "a test uses no network" in found.diagnostics[0].message
        assert found.printed == "before"
        assert (socket.socket.connect, socket.create_connection, socket.getaddrinfo) == kept

    def test_code_that_leaves_is_a_failure(self, outcome, module):
        found = outcome(f'  - {{name: a, source: {{python: "{module}:leaving"}}}}\n', f"import:{module}")
        assert "SystemExit: 0" in found.diagnostics[0].message

    def test_what_code_sets_is_set_back(self, outcome, module):
        before = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), dict(os.environ)
        outcome(f'  - {{name: a, source: {{python: "{module}:setting"}}}}\n', f"import:{module}")
        assert "SET_BY_A_CASE" not in os.environ
        assert (
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_grad_enabled(),
            dict(os.environ),
        ) == before

    def test_other_processes_do_not_print_into_the_output(self, outcome, module, capfd):
        outcome(f'  - {{name: a, source: {{python: "{module}:telling"}}}}\n', f"import:{module}")
        assert capfd.readouterr() == ("", "told\n")

    @pytest.mark.parametrize(
        "path", ["../out.safetensors", "/nowhere/at/all/out.safetensors", "~/out/", "a/../../b.pth"]
    )
    def test_what_it_writes_stays_inside(self, path, outcome, directory, monkeypatch):
        monkeypatch.setenv("HOME", str(directory))
        found = outcome(f"source: {{keys: {{w: [1]}}}}\noutput: {path}\ntests: [{{name: a, expect: {{keys: 1}}}}]\n")
        assert found.status == "ok", found.diagnostics

    def test_what_lies_beside_the_recipe_is_not_read(self, directory):
        from surgery.testing.running import try_recipe

        below = directory / "recipes"
        below.mkdir()
        (below / "in.pth").write_bytes(b"")
        (below / "r.yaml").write_text("source: in.pth\ntests: [{name: a, error: no-file}]\n", encoding="utf-8")
        assert [o.status for o in try_recipe("recipes/r.yaml", frozenset()).outcomes] == ["ok"]


def test_two_files_of_one_content_differ(outcome):
    """What is the same in both could be mixed up, and nobody would see it."""
    case = """\
params: {model: {type: path}}
source: {torchvision: squeezenet1_1}
steps: [{load: {from: {checkpoint: $model}}}]
tests:
  - name: a
    files: {a.pth: &one {torchvision: squeezenet1_1}, b.pth: *one}
    params: {model: a.pth}
    expect: {parity: {like: {given: b.pth}, input: [1, 3, 32, 32]}}
"""
    assert "the outputs of the result are not those of the given b.pth" in outcome(case).diagnostics[0].message
    assert outcome(case.replace("model: a.pth", "model: b.pth")).status == "ok"
    case = case.replace("b.pth: *one", "b.pth: {given: a.pth}")
    assert outcome(case).status == "ok", "what is made of the same has the same values"
