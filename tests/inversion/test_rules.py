"""Rules backwards on the keys of a checkpoint: what is written, and that it gives every tensor back."""

from __future__ import annotations

import pytest
import torch

import surgery
from surgery.formatting import format_recipe

LAYERS = {f"layer.{i}.{name}.{last}": (4, 4) for i in range(3) for name in "qkv" for last in ("w", "b")}

#: rules, what the checkpoint holds, and the rules of the inverse
MIRRORED = {
    "prefix": ("module.** -> **", {"module.a.w": (2,), "module.b": (3,)}, ["** -> module.**"]),
    "index": ("layer.{i} -> blocks.{i}", LAYERS, ["blocks.{i} -> layer.{i}"]),
    "shifted": ("layer.{i:int} -> blocks.{i + 1}", LAYERS, ["blocks.{i:int} -> layer.{i - 1}"]),
    "from the end": ("layer.{i:int} -> blocks.{2 - i}", LAYERS, ["blocks.{i:int} -> layer.{2 - i}"]),
    "odd": ("layer.{i:int} -> f.{2 * i + 1}", LAYERS, ["f.{i:int} if i % 2 == 1 -> layer.{i // 2}"]),
    "divided": ("f.{i:int} -> s.{i // 2}.{i % 2}", {f"f.{i}": (2,) for i in range(5)},
                ["s.{i:int}.{j:int} if j < 2 -> f.{2 * i + j}"]),
    "always odd": ("f.{i:int} -> s.{i // 2}", {f"f.{i}": (2,) for i in (1, 3, 5)}, ["s.{i:int} -> f.{2 * i + 1}"]),
    "far from the start": ("layer.{i:int} -> f.{2 * i + 4}", LAYERS, ["f.{i:int} if i % 2 == 0 -> layer.{i // 2 - 2}"]),
    "two in one": ("s.{i:int}.{j:int} -> f.{3 * i + j + 1}", {f"s.{i}.{j}": (2,) for i in (0, 1) for j in (0, 1)},
                   ["f.{i:int} if (i - 1) % 3 < 2 -> s.{(i - 1) // 3}.{(i - 1) % 3}"]),
    "as many as there is room for": (
        "s.{i:int}.{j:int} -> f.{2 * i + j}", {f"s.{i}.{j}": (2,) for i in (0, 1) for j in (0, 1)},
        ["f.{i:int} -> s.{i // 2}.{i % 2}"]),
    "two parts of one": ("f.{n:int} -> s.{(n - 1) // 3}.{(n - 1) % 3}", {f"f.{n}": (2,) for n in (1, 2, 4)},
                         ["s.{n:int}.{j:int} if j < 3 -> f.{3 * n + j + 1}"]),
    "some parts of one": ("f.{n:int} if n % 3 < 2 -> s.{n // 3}.{n % 3}", {f"f.{n}": (2,) for n in (0, 1, 3)},
                          ["s.{n:int}.{j:int} if j < 3 and j < 2 -> f.{3 * n + j}"]),
    "not negative": ("a.{i:int} if i < 1 -> b.{i}, a.{i:int} if i >= 1 -> c.{i - 1}", {"a.0": (2,), "a.1": (2,)},
                     ["b.{i:int} if i < 1 -> a.{i}", "c.{i:int} -> a.{i + 1}"]),
    "alternatives": ("layer.{i}.(q|k|v) -> l.{i}.(query|key|value)", LAYERS,
                     ["l.{i}.(query|key|value) -> layer.{i}.(q|k|v)"]),
    "named": ("layer.{i}.{p:q|k|v} -> l.{p:query|key|value}.{i}", LAYERS,
              ["l.{p:query|key|value}.{i} -> layer.{i}.{p:q|k|v}"]),
    "swap": ("a -> b, b -> a", {"a": (2,), "b": (2,)}, ["b -> a", "a -> b"]),
    "one in two places": ("{n}.x -> {n}.{n}", {"a.x": (2,), "b.x": (2,)}, ["{n}.{n} -> {n}.x"]),
    "stars": ("*.conv* -> c*.*", {"a.conv1": (2,), "b.conv2": (2,)}, ["c*.* -> *.conv*"]),
    "guard": ("layer.{i:int} if 1 <= i < 3 -> b.{i + 4}", LAYERS, ["b.{i:int} if 5 <= i < 7 -> layer.{i - 4}"]),
    "of a shape": ("** if ndim == 1 -> v.**", {"a": (2,), "b": (2, 2)}, ["v.** if ndim == 1 -> **"]),
    "optional": ("layer -> l, optional head -> fc", LAYERS, ["l             -> layer", "optional fc   -> head"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MIRRORED)
def test_a_rename_goes_into_the_mirror(name, state, there_and_back, lines) -> None:
    rules, shapes, wanted = MIRRORED[name]
    inverse = there_and_back([{"rename": rules}], state(shapes))
    found = lines(inverse)
    if len(wanted) == 1:
        assert found == [f'- rename: "{wanted[0]}"']
    else:
        assert found[0] == "- rename: |"
        assert [" ".join(line.split()) for line in found[1:]] == [" ".join(line.split()) for line in wanted]
    assert not inverse.warnings


#: rules with operations, the shapes, and the rule of the inverse
COMPUTED = {
    "chunk": ("x.qkv -> x.(q|k|v) via chunk(dim=0)", {"x.qkv": (6, 2)}, "x.(q|k|v) -> x.qkv via concat(dim=0)"),
    "equal parts": ("x.(q|k|v) -> x.qkv via concat", {f"x.{n}": (2, 2) for n in "qkv"},
                    "x.qkv -> x.(q|k|v) via chunk"),
    "unequal parts": ("x.(q|k) -> x.qk via concat(dim=1)", {"x.q": (2, 4), "x.k": (2, 1)},
                      "x.qk -> x.(q|k) via split([4, 1], dim=1)"),
    "stack": ("e.{n:int}.w -> e.w via stack", {f"e.{n}.w": (2,) for n in range(12)}, "e.w -> e.{n}.w via unstack"),
    "counted": ("p{n:int}.w -> w via concat", {f"p{n}.w": (2, 3) for n in range(3)},
                "w -> p{n}.w via split([2, 2, 2])"),
    "unstack": ("e.w -> e.{n}.w via unstack(dim=1)", {"e.w": (2, 3)}, "e.{n:int}.w -> e.w via stack(dim=1)"),
    "transposed": ("w -> v via transpose(0, 1)", {"w": (2, 3)}, "v -> w via transpose(0, 1)"),
    "permuted": ("w -> v via permute(2, 0, 1)", {"w": (2, 3, 4)}, "v -> w via permute(1, 2, 0)"),
    "two operations": ("w -> (a|b) via transpose(0, 1) | chunk", {"w": (2, 4)},
                       "(a|b) -> w via concat | transpose(0, 1)"),
    "flattened": ("w -> v via flatten", {"w": (2, 3)}, "v -> w via reshape(2, 3)"),
    "a vector": ("w -> v via reshape(-1, 1, 1)", {"w": (3,)}, "v -> w via flatten"),
    "of several sizes": ("s.{i} -> t.{i} via flatten", {"s.0": (2, 1), "s.1": (5, 1)},
                         "t.{i} -> s.{i} via reshape(-1, 1)"),
    "unsqueezed": ("w -> v via unsqueeze(-1) | squeeze(0)", {"w": (1, 3)}, "v -> w via unsqueeze(0) | squeeze(-1)"),
    "pattern": ('w -> v via rearrange("(h two) e -> (two h) e", two=2)', {"w": (6, 3)},
                'v -> w via rearrange("(two h) e -> (h two) e", two=2)'),
    "sizes that are needed": ('w -> v via rearrange("a b c -> (a b) c")', {"w": (2, 3, 4)},
                              'v -> w via rearrange("(a b) c -> a b c", a=2)'),
    "permutation": ("w -> v via select([2, 0, 1])", {"w": (3,)}, "v -> w via select([1, 2, 0])"),
    "padded": ("w -> w via pad(5)", {"w": (3, 2)}, "w -> w via slice(0, 3)"),
    "exact cast": ("w -> w via cast(float64)", {"w": (3,)}, "w -> w via cast(float32)"),
    "joined": ("[a.w, b.w] -> c.w via concat", {"a.w": (2, 2), "b.w": (3, 2)}, "c.w -> [a.w, b.w] via split([2, 3])"),
    "listed": ("c.{n} -> [a.{n}, b.{n}] via chunk", {"c.w": (4, 2), "c.b": (4,)},
               "[a.{n}, b.{n}] -> c.{n} via concat"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_operations_are_undone_in_reverse_order(name, state, there_and_back, lines) -> None:
    rule, shapes, wanted = COMPUTED[name]
    (found,) = lines(there_and_back([{"convert": rule}], state(shapes)))
    assert found in (f'- convert: "{wanted}"', f"- convert: '{wanted}'")


def test_each_shape_has_a_rule_of_its_own_where_it_needs_one(state, there_and_back, lines) -> None:
    shapes = {"0.q": (4, 2), "0.k": (2, 2), "1.q": (6, 2), "1.k": (3, 2)}
    inverse = there_and_back([{"convert": "{i}.(q|k) -> {i}.qk via concat"}], state(shapes))
    assert lines(inverse)[1:] == [
        "{i}.qk if shape[0] == 6 -> {i}.(q|k) via split([4, 2])",
        "{i}.qk if shape[0] == 9 -> {i}.(q|k) via split([6, 3])",
    ]


#: rules, the keys, the rules of the inverse: in the mirror alone they would take more
SHARPENED = {
    "except": ("m.** -> **", ["m.a.w", "m.b", "other.w"], ["** except other -> m.**"]),
    "integer": ("layer.{i} -> l.{i}", ["layer.0.w", "layer.1.w", "l.norm"], ["l.{i:int} -> layer.{i}"]),
    "order": ("a.** -> **, b -> c", ["a.x", "a.y", "b"], ["c  -> b", "** -> a.**"]),
    "bounds": ("x.{i:int} -> l.{i}", ["x.3", "x.4", "l.0", "l.1"], ["l.{i:int} if i >= 3 -> x.{i}"]),
    "between": ("x.{i:int} -> l.{i}", ["x.3", "x.4", "l.0", "l.9"], ["l.{i:int} if 3 <= i <= 4 -> x.{i}"]),
    "indices that are put together": (
        "f.{i:int}.{j:int}.{k:int} -> b.{i}.{2 * j + k}\nf.0.{j:int} -> b.0.{j + 1}\n"
        "f.{i:int}.{j:int} -> b.{i}.{j + 2}",
        ["f.0.0.0", "f.0.0.1", "f.0.1", "f.0.2"]
        + [f"f.{i}.{rest}" for i in range(1, 9) for rest in ("0.0", "0.1", "1.0", "1.1", "2", "3")],
        [
            "b.{i:int}.{j:int} except b.0.2 | b.0.3 | b.*.4 | b.*.5 -> f.{i}.{j // 2}.{j % 2}",
            "b.0.{j:int} -> f.0.{j - 1}",
            "b.{i:int}.{j:int} -> f.{i}.{j - 2}",
        ],
    ),
    "union": ("a | b -> c", ["a.x", "b.y"], ["c.x -> a.x", "c.y -> b.y"]),
    "merged": ("{n}.w -> w.{n}, v -> w.9", ["0.w", "v"], ["w.9 -> v", "w.{n} -> {n}.w"]),
    "longer alternative": ("x.(0|1) -> y.(a|a.b)", ["x.0.w", "x.1.w"], ["y.a.b -> x.1", "y.a   -> x.0"]),
    "forgotten": ("{n}.** -> **", ["0.w", "0.v"], ["** -> 0.**"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARPENED)
def test_a_rule_that_would_take_too_much_is_narrowed(name, state, there_and_back, lines) -> None:
    rules, keys, wanted = SHARPENED[name]
    inverse = there_and_back([{"rename": rules}], state(dict.fromkeys(keys, (2,))))
    found = lines(inverse)
    rules = found[1:] if len(found) > 1 else [found[0].removeprefix('- rename: "').removesuffix('"')]
    assert [" ".join(rule.split()) for rule in rules] == [" ".join(rule.split()) for rule in wanted]


def test_what_was_filled_up_goes_again(state, there_and_back, lines) -> None:
    """An attention without a bias for its keys, made into one with it."""
    tensors = state({f"{i}.{name}": (2,) for i in range(2) for name in "qv"} | {"0.w": (2, 2)})
    inverse = there_and_back([{"convert": "{i}.(q|k|v) -> {i}.qkv via concat(missing='zeros')"}], tensors)
    assert lines(inverse) == ['- convert: "{i}.qkv -> {i}.(q|k|v) via chunk"', '- filter: {drop: "*.k"}']


def test_what_was_narrowed_is_said(state) -> None:
    recipe = surgery.load([{"rename": "m.** -> **"}])
    (warning,) = recipe.invert(state({"m.a": (2,), "other": (2,)})).warnings
    assert (warning.code, warning.severity) == ("inverse", "warning")
    assert "`**` would take other keys" in warning.message
    assert warning.notes == ("the inverse says `** except other`",)
    assert warning.span is not None
    assert warning.span.line == 1


def test_a_key_above_others_is_told_by_its_name(state, there_and_back, lines) -> None:
    inverse = there_and_back([{"convert": "a -> b via transpose(0, 1)"}], state({"a.c": (2, 3), "b": (2, 3)}))
    assert lines(inverse) == ["- convert: 'b if key == \"b.c\" -> a via transpose(0, 1)'"]


def test_a_condition_that_no_longer_holds_goes(state, there_and_back, lines) -> None:
    rule = "{k} if shape[0] == 2 -> {k} via reshape(1, -1)"
    inverse = there_and_back([{"convert": rule}], state({"a": (2, 3), "b": (1, 4)}))
    assert lines(inverse) == ['- convert: "{k} except b -> {k} via reshape(2, 3)"']


def test_many_keys_take_little_time(state) -> None:
    """The exceptions are found in time that grows with the keys, and not with their square."""
    keys = [f"m.{i}.{name}" for i in range(1500) for name in "abcd"] + [f"x{i}.w" for i in range(1500)]
    inverse = surgery.load([{"rename": "m.** -> **"}]).invert(state(dict.fromkeys(keys, (1,))))
    assert '"** except **.w -> m.**"' in inverse.text


def test_steps_come_in_reverse_order(state, there_and_back, lines) -> None:
    steps = [{"rename": "m.** -> **"}, {"convert": "w -> (a|b) via chunk"}, {"rename": "a -> c"}]
    found = lines(there_and_back(steps, state({"m.w": (4,), "m.x": (2,)})))
    assert found == ['- rename: "c -> a"', '- convert: "(a|b) -> w via concat"', '- rename: "** -> m.**"']


def test_rest_comments_and_notes_stay(state) -> None:
    text = """\
name: to-blocks
description: Other names.
steps:
  - rename:
      rest: error
      rules: |
        # the layers
        layer.{i} -> blocks.{i}
        norm -> ln      # at the end
    note: as the paper has it
"""
    tensors = state({"layer.0": (2,), "norm": (2,)})
    inverse = surgery.recipe.Recipe.of_text(text).invert(tensors)
    assert (
        inverse.text
        == """\
# yaml-language-server: $schema=recipe.schema.json
surgery: 1
name: to-blocks-inverse
description: The inverse of to-blocks (Other names).
steps:
  - rename:
      rest: error
      rules: |
        # the layers
        blocks.{i} -> layer.{i}
        ln         -> norm  # at the end
    note: as the paper has it
"""
    )
    assert format_recipe(inverse.text) == inverse.text


def test_parameters_stay_where_they_are_used(tmp_path, state) -> None:
    from safetensors.torch import save_file

    text = """\
params:
  model: {type: path}
  heads: {type: integer, from: "$model/config.json#/num_heads"}
  prefix: {type: string, default: net, help: where it stands}
  unused_backwards: 2
source: {checkpoint: $model}
steps:
  - convert: |
      $prefix.q -> q via rearrange("(h two) e -> (two h) e", h=$heads, two=2)
      $prefix.kv -> (k|v) via split([$heads, $unused_backwards])
output: out.safetensors
"""
    (tmp_path / "config.json").write_text('{"num_heads": 4}')
    save_file(state({"net.q": (8, 2), "net.kv": (6, 2)}), tmp_path / "model.safetensors")
    inverse = surgery.recipe.Recipe.of_text(text, "r.yaml").invert(tmp_path)
    body = inverse.text[inverse.text.index("params") :]
    assert (
        body
        == """\
params:
  model: {type: path, help: what r made}
  heads: {type: integer, help: num_heads of config.json}
  prefix: {type: string, default: net, help: where it stands}
source: {checkpoint: $model}
steps:
  - convert: |
      q     -> $prefix.q via rearrange("(two h) e -> (h two) e", h=$heads, two=2)
      (k|v) -> $prefix.kv via concat
"""
    )


def test_what_has_no_inverse_is_said_all_at_once(state, refused) -> None:
    steps = [
        {"convert": "(a|b).{k} -> m.{k} via mean\nx -> y via scale(3)\nz -> z via cast(bfloat16)"},
        {"filter": {"drop": "w"}},
    ]
    tensors = state({"a.k": (2,), "b.k": (2,), "x": (2,), "z": (2,), "w": (2,)})
    assert refused(steps, tensors) == [
        "nothing takes apart again what `mean` joins",
        "nothing undoes `scale(3)` bit for bit",
        "nothing undoes `cast(bfloat16)` bit for bit",
        "`filter` leaves `w` behind, and nothing gives it back",
    ]


def test_values_count_and_not_only_shapes(state, there_and_back) -> None:
    """Tensors of one shape that change places would pass a comparison of keys and shapes."""
    shapes = {f"layer.{i}.w": (2, 2) for i in range(4)}
    there_and_back([{"rename": "layer.{i:int} -> layer.{3 - i}"}], state(shapes))
    inverse = there_and_back([{"convert": "layer.{i:int}.w -> w via stack | flip"}], state(shapes))
    assert "via flip | unstack" in inverse.text


def test_tied_tensors(there_and_back) -> None:
    shared = torch.randn(3, 2)
    tensors = {"m.embed": shared, "m.head": shared, "m.x": torch.randn(2)}
    there_and_back([{"rename": "m.** -> **"}], tensors)
    there_and_back([{"convert": "m.(embed|head) -> (e|h) via transpose(0, 1)"}], tensors)
