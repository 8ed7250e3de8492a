"""Layer expressions: what is built, and what is said where nothing can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from surgery.diagnostics import SurgeryError
from surgery.lang import parse_rules
from surgery.model.building import Build
from surgery.model.layers import Scope, build_layer, make_layer
from surgery.text import Text

OLD = {
    "conv": nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False, padding_mode="reflect"),
    "linear": nn.Linear(512, 1000),
    "bare": nn.Linear(512, 1000, bias=False),
    "norm": nn.BatchNorm2d(64, eps=1e-3, affine=True),
    "attention": nn.MultiheadAttention(16, 2, bias=False, batch_first=True),
    "lstm": nn.LSTM(4, 16, 2, batch_first=True, bidirectional=True),
    "encoder": nn.TransformerEncoderLayer(8, 2),
    "lazy": nn.LazyLinear(10),
}


@pytest.fixture
def built() -> Callable[..., nn.Module]:
    def run(text: str, old: str | None = None, allow: tuple[str, ...] = ()) -> nn.Module:
        rule = parse_rules(Text.plain(f"x -> {text}", "recipe.yaml"), "layer")[0]
        scope = Scope(OLD[old] if old else None, frozenset(allow), rule.span_of)
        return build_layer(rule.right.expression, scope, Build())

    return run


@pytest.mark.parametrize(
    ("text", "old", "same"),
    [
        ("Conv2d(4, 64, ...)", "conv", nn.Conv2d(4, 64, 7, stride=2, padding=3, bias=False, padding_mode="reflect")),
        ("Conv2d(4, 64, bias=True, ...)", "conv", nn.Conv2d(4, 64, 7, 2, 3, padding_mode="reflect")),
        ("Linear(old.in_features * 2, 10)", "linear", nn.Linear(1024, 10)),
        ("Linear(out_features=10, ...)", "bare", nn.Linear(512, 10, bias=False)),
        ("Linear(old.weight.shape[1], 10)", "linear", nn.Linear(512, 10)),
        ("GroupNorm(8, old.num_features, ...)", "norm", nn.GroupNorm(8, 64, eps=1e-3)),
        ("Sequential(Dropout(0.2), Linear(8, 2))", None, nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 2))),
        ("MultiheadAttention(num_heads=4, ...)", "attention", nn.MultiheadAttention(16, 4, bias=False)),
        ("LSTM(8, ...)", "lstm", nn.LSTM(8, 16, 2, batch_first=True, bidirectional=True)),
        ("GRU(8, 16)", None, nn.GRU(8, 16)),
        ("GRU(...)", "lstm", nn.GRU(4, 16, 2, batch_first=True, bidirectional=True)),
        ("RNN(nonlinearity='relu', ...)", "lstm", nn.RNN(4, 16, 2, "relu", batch_first=True, bidirectional=True)),
        ("torch.nn.Linear(3, 4)", None, nn.Linear(3, 4)),
        ("ModuleList([Linear(3, 4), ReLU()])", None, nn.ModuleList([nn.Linear(3, 4), nn.ReLU()])),
        ("AvgPool2d(old.kernel_size[0] - 1)", "conv", nn.AvgPool2d(6)),
    ],
)
def test_what_is_built(built: Callable[..., nn.Module], text: str, old: str | None, same: nn.Module) -> None:
    layer = built(text, old)
    assert str(layer) == str(same)
    assert {k: v.shape for k, v in layer.state_dict().items()} == {k: v.shape for k, v in same.state_dict().items()}
    assert all(parameter.is_meta for parameter in layer.parameters())


def test_torchvisions_layers_and_classes_as_arguments(built: Callable[..., nn.Module]) -> None:
    layer = built("Conv2dNormActivation(3, 8, activation_layer=ReLU6)")
    assert type(layer).__name__ == "Conv2dNormActivation"
    assert isinstance(layer[2], nn.ReLU6)


def test_a_dtype(built: Callable[..., nn.Module]) -> None:
    assert built("Linear(3, 4, dtype=bfloat16)").weight.dtype == torch.bfloat16


def test_the_old_layer_is_wrapped_and_not_copied(built: Callable[..., nn.Module]) -> None:
    assert built("Sequential(Dropout(0.2), old)", "linear")[1] is OLD["linear"]


MISTAKES = [
    ("Linaer(3, 4)", None),
    ("Linear(3)", None),
    ("Linear(3, 4, bais=True)", None),
    ("Linear(3, 4, True, None, None, 7)", None),
    ("Linear(-1, 3)", None),
    ("Linear(3, 4.5)", None),
    ("ReLU(inplace='no')", None),
    ("ReLU6", None),
    ("Linear", None),
    ("old", "linear"),
    ("old.weight", "linear"),
    ("old(3)", "linear"),
    ("Linear(old.weight, 3)", "linear"),
    ("Linear(old.in_feature, 3)", "linear"),
    ("Linear(old.forward, 3)", "linear"),
    ("Linear(old.in_features, 3)", None),
    ("Linear(3, ...)", None),
    ("Linear(old.in_features, 3)", "lazy"),
    ("LazyLinear(4)", None),
    ("Linear(3, foo)", None),
    ("Linear(10, 1 / 0)", None),
    ("TransformerEncoderLayer(16, ...)", "encoder"),
    ("Module()", None),
    ("Linear(1000000000, 1000000000)", None),
    ("3", None),
]


def test_mistakes(built: Callable[..., nn.Module], golden: Callable[[str, str], None]) -> None:
    shown = []
    for text, old in MISTAKES:
        with pytest.raises(SurgeryError) as caught:
            built(text, old)
        shown.append(str(caught.value))
    golden("model/layer_mistakes", "\n\n".join(shown))


@pytest.mark.parametrize(
    "text",
    [
        "functional.torch.os.system('true')",
        "os.path.join('a', 'b')",
        "torch.load('x')",
        "Linear(torch.nn.functional.relu, 3)",
        "nn.init.torch.os.abort()",
        "torch.hub.load('a', 'b')",
    ],
)
def test_nothing_but_classes_of_layers_is_reached(built: Callable[..., nn.Module], text: str) -> None:
    with pytest.raises(SurgeryError) as caught:
        built(text)
    assert caught.value.diagnostics[0].code in ("not-allowed", "layer-arguments", "unknown-layer")


def test_a_class_of_another_package(built: Callable[..., nn.Module], tmp_path, monkeypatch) -> None:
    (tmp_path / "mylayers.py").write_text("from torch import nn\nclass Head(nn.Linear): pass\nnot_a_layer = print\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SurgeryError, match="--allow import:mylayers"):
        built("mylayers.Head(3, 4)")
    assert built("mylayers.Head(3, 4)", allow=("import:mylayers",)).in_features == 3
    for text, words in [("mylayers.not_a_layer(3)", "no module class"), ("mylayers.Heed(3)", "did you mean `Head`")]:
        with pytest.raises(SurgeryError, match=words):
            built(text, allow=("import:mylayers",))


def test_built_for_real_it_is_what_torch_builds() -> None:
    rule = parse_rules(Text.plain("x -> Linear(old.in_features, 10)"), "layer")[0]
    torch.manual_seed(5)
    ours = make_layer(rule.right.expression, Scope(OLD["linear"]))
    torch.manual_seed(5)
    theirs = nn.Linear(512, 10)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
