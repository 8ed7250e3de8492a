"""The step `convert`: gathering, computing, scattering; joins; what stays free; what is an error."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import surgery
from surgery.tensors.expr import Stored


def shapes(subject) -> dict[str, tuple[int, ...]]:
    return {key: entry.spec.shape for key, entry in subject.entries.items()}


def sources(subject) -> dict[str, list[str]]:
    return {key: [origin.key for origin in entry.origins] for key, entry in subject.entries.items()}


def values(count: int, *shape: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator) for _ in range(count)]


class TestScatter:
    def test_a_group_is_scattered_over(self, stored, operate, context):
        after = operate(
            "- convert: 'b.{i}.qkv -> l.{i}.(q|k|v) via chunk'",
            stored({"b.0.qkv.weight": (6, 2), "b.0.qkv.bias": (6,), "o": (1,)}),
        )
        assert not context.diagnostics
        assert shapes(after) == {
            "l.0.q.weight": (2, 2), "l.0.k.weight": (2, 2), "l.0.v.weight": (2, 2),
            "l.0.q.bias": (2,), "l.0.k.bias": (2,), "l.0.v.bias": (2,), "o": (1,),
        }  # fmt: skip
        assert all(isinstance(entry.expr, Stored) for entry in after.entries.values()), "byte ranges only"
        assert after.entries["l.0.v.bias"].expr.ranges[0].offset == 48 + 16
        assert not context.drops

    def test_unequal_parts(self, stored, operate):
        after = operate("- convert: 'qkv -> (q|k|v) via split([4, 1, 1])'", stored({"qkv.w": (6, 2)}))
        assert shapes(after) == {"q.w": (4, 2), "k.w": (1, 2), "v.w": (1, 2)}

    def test_an_index_of_its_own(self, stored, operate):
        after = operate("- convert: 'm.w1 -> m.experts.{e}.w1 via unstack'", stored({"m.w1.weight": (12, 2)}))
        assert list(after.entries) == [f"m.experts.{e}.w1.weight" for e in range(12)]

    def test_an_index_and_a_group(self, stored, operate):
        after = operate("- convert: 'w -> {e}.(a|b) via unstack'", stored({"w": (4, 3)}))
        assert list(after.entries) == ["0.a", "0.b", "1.a", "1.b"]

    def test_two_groups_the_left_one_slowest(self, stored, operate):
        after = operate("- convert: 'w -> (x|y).(a|b|c) via chunk'", stored({"w": (6,)}))
        assert list(after.entries) == ["x.a", "x.b", "x.c", "y.a", "y.b", "y.c"]
        assert [entry.expr.ranges[0].offset for entry in after.entries.values()] == [0, 4, 8, 12, 16, 20]

    def test_a_list(self, stored, operate):
        after = operate("- convert: 'w -> [a.x, b] via split([1, 3])'", stored({"w": (4,)}))
        assert shapes(after) == {"a.x": (1,), "b": (3,)}


class TestGather:
    def test_alternatives_in_their_order(self, stored, operate):
        state = {"v.w": (3, 2), "k.w": (2, 2), "q.w": (1, 2)}
        after = operate("- convert: '(q|k|v) -> qkv via concat'", stored(state))
        assert shapes(after) == {"qkv.w": (6, 2)}
        assert sources(after) == {"qkv.w": ["q.w", "k.w", "v.w"]}
        assert [r.offset for r in after.entries["qkv.w"].expr.ranges] == [40, 24, 0]

    def test_integers_ascend_as_integers(self, stored, operate):
        names = [f"e.{i}.w" for i in (10, 2, 11, 0, 1, 3, 9, 8, 7, 6, 5, 4)]
        after = operate("- convert: 'e.{i:int}.w -> w via stack'", stored(dict.fromkeys(names, (2,))))
        assert sources(after) == {"w": [f"e.{i}.w" for i in range(12)]}

    def test_a_hundred_experts_in_each_of_three_layers(self, stored, operate, context):
        names = {f"l.{i}.experts.{e}.{p}.weight": (256, 64) for i in range(3) for e in range(100) for p in ("w1", "w2")}
        rule = "l.{i}.experts.{e:int}.{p} -> l.{i}.experts.{p} via stack(dim=0)"
        after = operate(f"- convert: '{rule}'", stored(names))
        assert not context.diagnostics
        assert shapes(after) == {f"l.{i}.experts.{p}.weight": (100, 256, 64) for i in range(3) for p in ("w1", "w2")}
        assert sources(after)["l.1.experts.w2.weight"] == [f"l.1.experts.{e}.w2.weight" for e in range(100)]
        assert isinstance(after.entries["l.2.experts.w1.weight"].expr, Stored)

    def test_of_two_indices_the_left_one_varies_slowest(self, stored, operate):
        names = [f"{a}.{b}.w" for b in range(3) for a in range(2)]
        after = operate("- convert: '{a:int}.{b:int}.w -> w via stack'", stored(dict.fromkeys(names, (2,))))
        assert sources(after)["w"] == [f"{a}.{b}.w" for a in range(2) for b in range(3)]

    def test_what_the_subtree_carries_is_part_of_the_identity(self, stored, operate):
        state = {f"{p}.{what}": (2,) for p in "qk" for what in ("weight", "bias", "lora.A")}
        after = operate("- convert: '(q|k) -> qk via stack'", stored(state))
        assert shapes(after) == {"qk.weight": (2, 2), "qk.bias": (2, 2), "qk.lora.A": (2, 2)}

    def test_a_named_alternative_that_is_not_kept_is_gathered(self, stored, operate):
        after = operate("- convert: '{p:q|k}.w -> w via stack'", stored({"k.w": (1,), "q.w": (1,)}))
        assert sources(after) == {"w": ["q.w", "k.w"]}

    def test_text_has_no_order_but_a_mean_needs_none(self, stored, operate, context):
        after = operate(
            "- convert: '{run}.model.{k:**} -> {k} via mean'", stored({"z.model.w": (1,), "a.model.w": (1,)})
        )
        assert not context.diagnostics
        assert list(after.entries) == ["w"]

    def test_zeros_for_what_is_missing(self, stored, operate, context):
        state = {"q.weight": (2, 3), "k.weight": (2, 3), "v.weight": (2, 3), "q.bias": (2,), "v.bias": (2,)}
        after = operate("- convert: \"(q|k|v) -> qkv via concat(missing='zeros')\"", stored(state))
        assert not context.diagnostics
        assert shapes(after) == {"qkv.weight": (6, 3), "qkv.bias": (6,)}
        assert sources(after)["qkv.bias"] == ["q.bias", "v.bias"]
        touch = after.entries["qkv.bias"].trail[-1]
        assert touch.action.partition(" via ")[0] == "(q|v).bias, zeros -> qkv.bias"
        assert [str(spec) for spec in touch.inputs] == ["float32 [2]"] * 3, "the zeros are part of the account"

    @pytest.mark.parametrize(
        ("rule", "keys", "said"),
        [
            (
                "h.(q|k)_proj.{p} -> h.in_{p} via concat",
                ["h.q_proj.weight", "h.k_proj.weight"],
                "h.(q_proj|k_proj).weight",
            ),
            ("x.{e:int}.w -> x.w via stack", ["x.0.w", "x.1.w"], "x.0.w, x.1.w"),
            ("(a.b|c) -> d via concat", ["a.b", "c"], "a.b, c"),
            ("(a.b|c.d) -> e via concat", ["a.b", "c.d"], "a.b, c.d"),
        ],
    )
    def test_a_group_is_told_as_one(self, rule, keys, said, stored, operate):
        (entry,) = operate(f"- convert: '{rule}'", stored(dict.fromkeys(keys, (2,)))).entries.values()
        assert entry.trail[-1].action.partition(" -> ")[0] == said

    def test_groups_that_run_unequally_far_are_warned_about(self, stored, operate, context, errors, golden):
        names = [f"l.{i}.b.{j}.w" for i, depth in enumerate((2, 2, 6, 2)) for j in range(depth)]
        after = operate("- convert: 'l.{i}.b.{j:int}.w -> l.{i}.w via stack'", stored(dict.fromkeys(names, (1,))))
        assert [shape[0] for shape in shapes(after).values()] == [2, 2, 6, 2]
        golden("steps/convert_ragged", errors())

    def test_an_operation_that_joins_nothing_is_warned_about(self, stored, operate, errors, golden):
        after = operate("- convert: '{k:**} -> {k} via mean'", stored({"a.w": (2,), "b.w": (2,)}))
        assert shapes(after) == {"a.w": (2,), "b.w": (2,)}
        golden("steps/convert_alone", errors())

    def test_an_operation_on_one_tensor_is_applied_to_each(self, stored, operate):
        after = operate("- convert: '(a|b) -> ab via unsqueeze(0) | concat'", stored({"a": (3,), "b": (3,)}))
        assert shapes(after) == {"ab": (2, 3)}


RULE = "[base.{m:**}.weight, ad.{m}.lora_A.weight, ad.{m}.lora_B.weight] -> {m}.weight via lora(alpha=16)"
STATE = {
    "base.l.0.q.weight": (4, 3), "base.l.0.norm.weight": (4,), "base.l.1.q.weight": (4, 3),
    "ad.l.1.q.lora_A.weight": (2, 3), "ad.l.1.q.lora_B.weight": (4, 2),
    "ad.l.0.q.lora_B.weight": (4, 2), "ad.l.0.q.lora_A.weight": (2, 3),
}  # fmt: skip


class TestJoin:
    def test_partners_are_found_by_what_they_share(self, stored, operate, context):
        after = operate(f"- convert: '{RULE}'", stored(STATE))
        assert not context.diagnostics
        assert sources(after) == {
            "l.0.q.weight": ["base.l.0.q.weight", "ad.l.0.q.lora_A.weight", "ad.l.0.q.lora_B.weight"],
            "base.l.0.norm.weight": ["base.l.0.norm.weight"],
            "l.1.q.weight": ["base.l.1.q.weight", "ad.l.1.q.lora_A.weight", "ad.l.1.q.lora_B.weight"],
        }

    def test_what_has_no_partner_may_go_to_a_later_rule(self, stored, operate, context):
        after = operate(f"- convert: |\n    {RULE}\n    base.** -> **", stored(STATE))
        assert not context.diagnostics
        assert sorted(after.entries) == ["l.0.norm.weight", "l.0.q.weight", "l.1.q.weight"]

    def test_partners_left_alone_are_an_error(self, stored, operate, errors, golden):
        state = {key: shape for key, shape in STATE.items() if key != "base.l.1.q.weight"}
        operate(f"- convert: |\n    {RULE}", stored(state))
        golden("steps/convert_lonely_partner", errors())

    def test_the_selector_that_lacks_a_partner_is_named(self, stored, operate, errors):
        state = {key: shape for key, shape in STATE.items() if key != "ad.l.1.q.lora_B.weight"}
        operate(f"- convert: |\n    {RULE}", stored(state))
        assert "`ad.l.1.q.lora_A.weight` has no partner among what `ad.{m:**}.lora_B.weight` selects" in errors()

    def test_an_incomplete_group_is_said_once(self, stored, operate, errors):
        """And not also that the keys which it would have been joined with are alone."""
        operate(
            "- convert: '[{m}.(w|b), {m}.(g|h)] -> {m} via concat'", stored({"a.w": (2,), "a.g": (2,), "a.h": (2,)})
        )
        assert errors().count("error[") == 1
        assert "next to `a.w` there is none for `b`" in errors()

    def test_partners_that_another_rule_takes_are_not_alone(self, stored, operate, context):
        state = {key: shape for key, shape in STATE.items() if key != "base.l.1.q.weight"}
        operate(f"- convert: |\n    {RULE}\n    ad.** -> rest.**", stored(state))
        assert not context.diagnostics

    def test_nothing_that_joins_is_an_error(self, stored, operate, errors, golden):
        state = {"a.x.w": (1,), "b.y.w": (1,)}
        operate("- convert: |\n    [a.{m}.w, b.{m}.w] -> {m} via add\n    b -> c", stored(state))
        golden("steps/convert_joins_nothing", errors())

    def test_a_condition(self, stored, operate, context):
        state = {"a.0.w": (1,), "b.0.w": (1,), "a.1.w": (1,), "b.1.w": (1,)}
        after = operate("- convert: |\n    [a.{i:int}.w, b.{i}.w] if i == 1 -> {i} via add\n    b -> c", stored(state))
        assert not context.diagnostics
        assert list(after.entries) == ["a.0.w", "c.0.w", "1"]

    def test_several_partners_make_several_results(self, stored, operate, context):
        state = {"a.0": (2,), "b.0.x": (2,), "b.0.y": (2,)}
        after = operate("- convert: '[a.{i}, b.{i}.{j}] -> c.{i}.{j} via add'", stored(state))
        assert not context.diagnostics
        assert sources(after) == {"c.0.x": ["a.0", "b.0.x"], "c.0.y": ["a.0", "b.0.y"]}

    def test_groups_of_a_partner_are_gathered(self, stored, operate, context):
        state = {"a.0": (2, 2), "b.0.x": (2, 2), "b.0.y": (2, 2)}
        after = operate("- convert: '[a.{i}, b.{i}.(x|y)] -> c.{i} via concat'", stored(state))
        assert not context.diagnostics
        assert shapes(after) == {"c.0": (6, 2)}

    def test_lists_on_both_sides(self, stored, operate, context):
        state = {
            f"{i}.{k}": (4, 2, 3, 3) if k == "conv" else (4,) for i in range(2) for k in ("conv", "w", "b", "m", "v")
        }
        rule = "[{i}.conv, {i}.w, {i}.b, {i}.m, {i}.v] -> [{i}.conv.weight, {i}.conv.bias] via fold_bn(eps=1e-5)"
        after = operate(f"- convert: '{rule}'", stored(state))
        assert not context.diagnostics
        assert shapes(after)["1.conv.weight"] == (4, 2, 3, 3)
        assert shapes(after)["1.conv.bias"] == (4,)

    def test_a_count_counts_what_is_joined(self, stored, operate, context, errors, golden):
        state = {"a.0": (1,), "b.0": (1,), "a.1": (1,)}
        subject = stored(state)
        operate("- convert: [{rule: '[a.{i}, b.{i}] -> {i} via add', count: 2}]", subject)
        assert not context.diagnostics
        operate("- convert: [{rule: '[a.{i}, b.{i}] -> {i} via add', count: 3}]", subject)
        golden("steps/convert_count_of_join", errors())

    def test_an_optional_one(self, stored, operate, context):
        after = operate("- convert: 'optional [a.{i}, b.{i}] -> {i} via add'", stored({"a.0": (1,)}))
        assert not context.diagnostics
        assert list(after.entries) == ["a.0"]


class TestRules:
    def test_the_first_one_wins(self, stored, operate, context):
        state = {"a.x": (2, 3), "a.y": (2, 3)}
        after = operate("- convert: |\n    a.x -> b.x via transpose(0, 1)\n    a -> c via unsqueeze(0)", stored(state))
        assert not context.diagnostics
        assert shapes(after) == {"b.x": (3, 2), "c.y": (1, 2, 3)}

    def test_one_without_an_operation_moves(self, stored, operate, context):
        subject = stored({"a": (2, 3), "b": (2, 3)})
        after = operate("- convert: |\n    a -> b\n    b -> a via transpose(0, 1)", subject)
        assert not context.diagnostics
        assert after.entries["b"].expr is subject.entries["a"].expr
        assert shapes(after) == {"b": (2, 3), "a": (3, 2)}

    def test_results_stand_where_their_first_source_stood(self, stored, operate):
        state = {"x": (1,), "q": (1,), "y": (1,), "k": (1,), "z": (2,)}
        after = operate("- convert: '(q|k) -> qk via concat, z -> (s|t) via chunk'", stored(state))
        assert list(after.entries) == ["x", "qk", "y", "s", "t"]

    def test_parameters(self, stored, operate, context):
        rule = "$name -> $name via reshape($rows, -1)"
        after = operate(f"- convert: '{rule}'", stored({"a.w": (12,)}), name="a.w", rows=4)
        assert not context.diagnostics
        assert shapes(after) == {"a.w": (4, 3)}

    def test_the_rest(self, stored, operate, context):
        after = operate("- convert: {rules: a -> a via flip, rest: drop}", stored({"a": (2,), "b": (1,)}))
        assert list(after.entries) == ["a"]
        assert [drop.origins[0].key for drop in context.drops] == ["b"]

    def test_what_the_result_inherits(self, stored, operate):
        import dataclasses

        subject = stored({"a": (2,)})
        entry = dataclasses.replace(subject.entries["a"], kind="parameter", requires_grad=False, device="cuda:0")
        after = operate("- convert: a -> b via flip", subject.replace(entries={"a": entry}))
        made = after.entries["b"]
        assert (made.kind, made.requires_grad, made.device) == ("parameter", False, "cuda:0")
        (touch,) = made.trail
        assert (touch.action, touch.computes) == ("a -> b via flip", True)


class TestTies:
    def test_what_is_done_to_both_names_keeps_them(self, stored, operate, context):
        subject = stored({"embed.w": (2, 3)}, ties={"head.w": "embed.w"})
        after = operate("- convert: '{m}.w -> {m}.weight via transpose(0, 1)'", subject)
        assert after.ties() == [("embed.weight", "head.weight")]
        assert not context.remarks

    def test_what_is_done_to_one_is_remarked(self, stored, operate, context):
        subject = stored({"embed.w": (2, 3)}, ties={"head.w": "embed.w"})
        after = operate("- convert: 'head.w -> head.w via transpose(0, 1)'", subject)
        assert not after.ties()
        assert context.remarks == [
            "`embed.w`, `head.w` are one tensor before `convert`, and are no longer tied after it"
        ]


ERRORS = {
    "gap": ("e.{i:int}.w -> w via stack", {"e.0.w": (1,), "e.1.w": (1,), "e.3.w": (1,)}),
    "first_missing": ("{l}.{i:int} -> {l} via stack", {"a.0": (1,), "a.1": (1,), "b.1": (1,)}),
    "hole": ("{i:int}.{j:int} -> w via stack", {"0.0": (1,), "0.1": (1,), "1.0": (1,), "1.2": (1,), "0.2": (1,)}),
    "incomplete": (
        "{i}.(q|k|v) -> {i}.qkv via concat",
        {"0.q": (1,), "0.k": (1,), "0.v": (1,), "1.q": (1,), "1.v": (1,)},
    ),
    "text_order": ("{name}.w -> w via stack", {"x.w": (1,), "y.w": (1,)}),
    "star_order": ("*.w -> w via stack", {"x.w": (1,), "y.w": (1,)}),
    "same_place": ("a.{i}.w | b.{i}.w -> {i} via stack", {"a.0.w": (1,), "b.0.w": (1,)}),
    "unequal": ("(q|k).w -> w via stack", {"q.w": (1,), "k.w": (2,)}),
    "unequal_layers": (
        "{i}.(q|k) -> {i}.w via add",
        {f"{i}.{p}": ((2,) if p == "q" else (3,)) for i in range(4) for p in "qk"},
    ),
    "not_divisible": ("w -> (a|b|c) via chunk", {"w": (4, 2)}),
    "no_join": ("(a|b) -> c via flip", {"a": (1,), "b": (1,)}),
    "no_split": ("a -> (b|c) via flip", {"a": (2,)}),
    "split_of_many": ("(a|b) -> (a|b).(x|y) via chunk | chunk", {"a": (4,), "b": (4,)}),
    "chunk_without_number": ("a -> b.{i} via chunk", {"a": (4,)}),
    "odd_scatter": ("w -> {e}.(a|b) via unstack", {"w": (3,)}),
    "nothing_to_scatter": ("w -> {e} via unstack", {"w": (0, 2)}),
    "two_open_indices": ("w -> {e}.{f} via unstack", {"w": (3,)}),
    "open_index_in_list": ("w -> [{e}.a, b] via unstack", {"w": (3,)}),
    "group_in_list": ("w -> [(a|b), c] via chunk", {"w": (3,)}),
    "unknown_operation": ("w -> w via chunks(dim=0)", {"w": (3,)}),
    "unknown_argument": ("w -> (a|b) via chunk(dimm=0)", {"w": (3,)}),
    "wrong_argument": ("w -> (a|b) via chunk(dim='x')", {"w": (3,)}),
    "dtypes": ("(a|b) -> c via concat", {"a": (1,), "b": ((1,), "float16")}),
    "zeros_of_unknown_shape": ("{i}.(q|k|v) -> {i}.w via concat(missing='zeros')", {"0.q": (4,), "0.k": (2,)}),
    "taken": ("a -> b via flip\n** -> x.** via flip\na.w -> c", {"a.w": (1,), "d": (1,)}),
    "collision": ("(a|b).w -> c.(x|x) via flip", {"a.w": (1,), "b.w": (1,)}),
    "collision_with_the_rest": ("a -> b via flip", {"a": (1,), "b": (1,)}),
    "list_without_via": ("a -> [b, c]", {"a": (1,)}),
    "join_without_via": ("[a, b] -> c", {"a": (1,), "b": (1,)}),
    "several_rules": ("a -> b via flp\nc -> d via chunk(dim=9)\ne -> f via flip", {"a": (1,), "c": (1,)}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, stored, operate, errors, golden):
    rules, state = ERRORS[name]
    operate("- convert: |\n" + "".join(f"    {line}\n" for line in rules.split("\n")), stored(state))
    golden(f"steps/convert_{name}", errors())


sizes = st.lists(st.integers(1, 5), min_size=2, max_size=5)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 1, -1]))
def test_chunk_and_concat_give_everything_back(parts, rows, columns, dim):
    """The law of the brief: there and back, the same bytes, the ties, the order."""
    shape = [rows, columns]
    shape[dim] *= parts
    names = "|".join(f"p{i}" for i in range(parts))
    state = {f"l.{i}.qkv.weight": tensor for i, tensor in enumerate(values(3, *shape))}
    apart = surgery.convert(state, f"l.{{i}}.qkv -> l.{{i}}.({names}) via chunk(dim={dim})")
    back = surgery.convert(apart, f"l.{{i}}.({names}) -> l.{{i}}.qkv via concat(dim={dim})")
    assert len(apart) == 3 * parts
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 3))
def test_there_and_back_the_same_byte_ranges(lengths, width):
    from surgery.document.parse import parse_document
    from surgery.fields import Reader
    from surgery.planning.context import Context
    from surgery.steps.sequence import apply_steps, steps
    from surgery.tensors.dtype import DTYPES
    from surgery.tensors.expr import ByteRange
    from surgery.tensors.spec import Spec
    from surgery.tensors.subject import Entry, Subject

    spec = Spec((sum(lengths), width), DTYPES["float32"])
    subject = Subject({"w": Entry(Stored(spec, (ByteRange("f", 64, spec.nbytes),)))})
    names = "|".join(f"p{i}" for i in range(len(lengths)))
    yaml = f"- convert: 'w -> x.({names}) via split({lengths})'\n- convert: 'x.({names}) -> w via concat'\n"
    context = Context()
    after = apply_steps(steps.read(parse_document(yaml, "r"), Reader()), subject, context)
    assert not context.diagnostics
    assert after.entries["w"].expr.ranges == (subject.entries["w"].expr.ranges if spec.nbytes else ())
    assert after.entries["w"].spec == spec


class TestValues:
    """The same by hand, in torch."""

    def test_experts_in_the_order_of_integers(self):
        parts = values(12, 2, 3)
        state = {f"e.{i}.w": parts[i] for i in (10, 11, 0, 9, 8, 7, 1, 2, 3, 4, 5, 6)}
        found = surgery.convert(state, "e.{i:int}.w -> w via stack(dim=0)")
        assert torch.equal(found["w"], torch.stack(parts))

    def test_a_low_rank_adapter(self):
        base, other = values(2, 4, 3)
        a, b = torch.randn(2, 3), torch.randn(4, 2)
        state = {"base.q.weight": base, "base.k.weight": other, "ad.q.lora_A.weight": a, "ad.q.lora_B.weight": b}
        found = surgery.convert(state, f"{RULE}, base.** -> **")
        torch.testing.assert_close(found["q.weight"], base + 16 / 2 * b @ a)
        assert torch.equal(found["k.weight"], other)

    def test_zeros_for_a_bias_that_is_missing(self):
        q, v = values(2, 4)
        found = surgery.convert({"q.bias": q, "v.bias": v}, "(q|k|v) -> qkv via concat(missing='zeros')")
        assert torch.equal(found["qkv.bias"], torch.cat([q, torch.zeros(4), v]))

    def test_an_operation_without_arguments(self):
        found = surgery.convert({"b": torch.ones(3)}, "b -> c via zeros")
        assert torch.equal(found["c"], torch.zeros(3))

    def test_dtypes_and_views(self):
        (w,) = values(1, 6, 4)
        found = surgery.convert({"w": w.T}, "w -> (a|b) via transpose(0, 1) | chunk(dim=0)")
        assert torch.equal(found["a"], w[:3])
        assert torch.equal(found["b"], w[3:])


class TestExamples:
    """`examples/soup.yaml` on three small checkpoints, as values."""

    def test_soup(self):
        a, b, c = (
            {"fc.weight": t, "fc.norm1.weight": t[0], "steps": torch.tensor(i)} for i, t in enumerate(values(3, 2, 3))
        )
        state = {
            f"{name}.{key}": tensor for name, part in zip("abc", (a, b, c), strict=True) for key, tensor in part.items()
        }
        recipe = {
            "steps": [
                {"convert": "(a|b|c).{key:**} if floating -> {key} via mean\noptional a.{key:**} -> {key}"},
                {"filter": {"drop": "optional b | c"}},
                {"cast": "**.norm* -> float32, ** -> bfloat16"},
            ]
        }
        found = surgery.run(recipe, state_dict=state).state_dict
        assert {key: tensor.dtype for key, tensor in found.items()} == {
            "fc.weight": torch.bfloat16, "fc.norm1.weight": torch.float32, "steps": torch.int64
        }  # fmt: skip
        mean = (a["fc.weight"].double() + b["fc.weight"].double() + c["fc.weight"].double()) / 3
        assert torch.allclose(found["fc.weight"].double(), mean, atol=1e-2)
        assert found["steps"].item() == 0

    def test_a_soup_without_counters(self):
        state = {f"{name}.w": tensor for name, tensor in zip("abc", values(3, 2), strict=True)}
        rules = "(a|b|c).{key:**} if floating -> {key} via mean\noptional a.{key:**} -> {key}"
        found = surgery.run({"steps": [{"convert": rules}, {"filter": {"drop": "optional b | c"}}]}, state_dict=state)
        assert list(found.state_dict) == ["w"]
