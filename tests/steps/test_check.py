"""The step `check`: counts and shapes in the plan, values in the run."""

from __future__ import annotations

import pytest
import torch

from surgery.diagnostics import SurgeryError
from surgery.ops.finite import Finite
from surgery.planning.finite import with_finite_values
from surgery.tensors.expr import Computed, Stored

LAYERS = {f"layers.{i}.{what}": shape for i in range(12) for what, shape in (("weight", (4, 4)), ("bias", (4,)))}
NET = {**LAYERS, "fc.weight": (10, 4), "fc.bias": (10,), "steps": ((), "int64")}


@pytest.mark.parametrize(
    "count",
    ['"layers.*": 12', '"**": 27', '"layers.**": 24', "layers: 1", '"layers.*.weight": 12', "fc.bias: 1", '"x": 0'],
)
def test_counts(count, stored, operate, context):
    subject = stored(NET)
    assert operate(f"- check: {{count: {{{count}}}}}", subject) is subject
    assert not context.diagnostics


@pytest.mark.parametrize(
    ("name", "check"),
    {
        "count": "{count: {'layers.*': 24}}",
        "count_none": "{count: {'layer.*': 12}}",
        "count_too_many": "{count: {fc: 0}}",
        "count_idle_branch": "{count: {'layers.* | blocks.*': 12}}",
        "shape": "{shape: {fc.weight: [1000, 4]}}",
        "shape_of_many": "{shape: {'**.bias': [4]}}",
        "shape_none": "{shape: {fcc: [4]}}",
        "finite_none": "{finite: layer}",
        "empty": "{}",
        "not_a_number": "{count: {fc: two}}",
    }.items(),
)
def test_failures(name, check, stored, operate, context, errors, golden):
    operate(f"- check: {check}", stored(NET))
    golden(f"steps/check_{name}", errors())


def test_a_failed_check_ends_with_status_1(stored, operate, context):
    operate("- check: {count: {fc: 3}}", stored(NET))
    assert [d.exit_code for d in context.diagnostics] == [1]


def test_shapes(stored, operate, context):
    operate("- check: {shape: {'layers.*.weight': [4, 4], '**.bias if numel == 10': 10, steps: []}}", stored(NET))
    assert not context.diagnostics


def test_a_parameter_is_a_size(stored, operate, context):
    operate("- check: {shape: {fc.weight: [$classes, 4]}}", stored(NET), classes=10)
    assert not context.diagnostics


class TestFinite:
    def test_only_what_is_selected_is_computed(self, stored, operate):
        after = operate("- check: {finite: '** except layers'}", stored(NET))
        computed = [key for key, entry in after.entries.items() if isinstance(entry.expr, Computed)]
        assert computed == ["fc.weight", "fc.bias"], "integers are finite"
        assert isinstance(after.entries["layers.0.weight"].expr, Stored)

    def test_ties_stay(self, stored, operate):
        subject = stored({"embed.weight": (9, 4)}, ties={"head.weight": "embed.weight"})
        after = operate("- check: {finite: head}", subject)
        assert after.ties() == [("embed.weight", "head.weight")]

    def test_twice_is_once(self, stored):
        once = with_finite_values(stored(NET), NET, None)
        assert with_finite_values(once, NET, None) is once

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e4m3fn", "complex64", "int64", "bool"])
    def test_finite_values_pass_as_they_are(self, dtype):
        values = torch.ones(3).to(getattr(torch, dtype))
        assert Finite("w").apply([values], 1)[0] is values

    @pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "float8_e5m2", "complex64"])
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_others_end_the_run(self, dtype, value):
        values = torch.zeros(2, 3)
        values[1, 2] = value
        with pytest.raises(SurgeryError, match=r"`w` is not finite: 1 of 6 values .* at \[1, 2\]") as caught:
            Finite("w").apply([values.to(getattr(torch, dtype))], 1)
        assert caught.value.exit_code == 1

    def test_a_single_value(self):
        with pytest.raises(SurgeryError, match=r"the first at \[\] \(nan\)"):
            Finite("w").apply([torch.tensor(float("nan"))], 1)
