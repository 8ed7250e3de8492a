"""Models that a function makes."""

from __future__ import annotations

import pytest
import torch

import surgery
from surgery.diagnostics import SurgeryError

CODE = """
import torch
from torch import nn

def build(width=4):
    return nn.Linear(3, width)

def broken():
    raise ValueError("no such thing")

class Net(nn.Linear):
    @classmethod
    def from_width(cls, width):
        return cls(3, width)

number = 3
"""


@pytest.fixture
def package(tmp_path, monkeypatch) -> None:
    (tmp_path / "mymodels.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))


def run(what: str, **kwargs: object):
    return surgery.load({"source": {"python": what, "kwargs": kwargs}}).run(allow=["import:mymodels"])


@pytest.mark.usefixtures("package")
def test_a_function_is_called() -> None:
    made = run("mymodels:build", width=7).model
    assert made.out_features == 7
    assert torch.equal(made.weight, run("mymodels:build", width=7).model.weight), "drawn from the seed"


@pytest.mark.usefixtures("package")
def test_a_method_of_a_class_is_called() -> None:
    assert run("mymodels:Net.from_width", width=5).model.out_features == 5


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("mymodels:built", "did you mean `build`"),
        ("mymodels:broken", "no such thing"),
        ("mymodels:number", "not callable"),
        ("mymodels", "names no callable"),
        ("mymodels:__import__('os')", "names no callable"),
        ("mymodels.missing:build", "(?s)cannot be imported.*`PYTHONPATH=DIRECTORY surgery …`"),
        ("mymodels:Net.from_with", "did you mean `from_width`"),
        ("mymodels:build.width", "is no class"),
        ("mymodels:torch.hub", "is no class"),
        ("mymodels:Net.from_width.x", "names no callable"),
    ],
)
def test_mistakes(what: str, words: str) -> None:
    with pytest.raises(SurgeryError, match=words):
        run(what)


@pytest.mark.usefixtures("package")
def test_nothing_is_imported_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "mymodels", raising=False)
    with pytest.raises(SurgeryError, match="--allow import:mymodels"):
        surgery.load({"source": {"python": "mymodels:build"}}).plan()
    with pytest.raises(SurgeryError, match="--allow import:mymodels"):
        surgery.load({"source": {"python": "mymodels:build"}}).plan(allow=["import:my", "pickle", "network"])
    assert "mymodels" not in sys.modules
