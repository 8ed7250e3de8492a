from __future__ import annotations

import pytest
from torch import nn

import surgery
from surgery.model.names import layer_class, type_names


def test_a_registered_layer_stands_where_torch_s_do() -> None:
    @surgery.register_layer
    class Doubled(nn.Linear):
        pass

    net = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    made = surgery.replace_layer(net, "0 -> Doubled(old.in_features, 5)")
    assert type(made[0]) is Doubled
    assert made[0].out_features == 5
    assert type(surgery.replace_layer(made, "*[Doubled] -> Linear(4, 5)")[0]) is nn.Linear
    assert "Doubled" in type_names()
    assert surgery.register_layer(Doubled) is Doubled, "once more is no harm"

    class Other(nn.Module):
        pass

    Other.__name__ = "Doubled"
    with pytest.raises(ValueError, match="registered already"):
        surgery.register_layer(Other)


def test_names_of_torch_come_first() -> None:
    class Linear(nn.Module):
        pass

    surgery.register_layer(Linear)
    assert layer_class("Linear") is nn.Linear
