from surgery.report.lines import plain
from surgery.report.subtrees import brief, subtrees
from surgery.report.tree import tree_lines
from surgery.tensors.dtype import DTYPES
from surgery.tensors.spec import Spec


def spec(*shape, dtype="float32"):
    return Spec(shape, DTYPES[dtype])


TREES = {
    "layers of other shapes": {f"layers.{i}.w": spec(4 if i < 3 else 8) for i in range(5)},
    "layers with other names": {"a.0.w": spec(1), "a.1.w": spec(1), "a.1.b": spec(1)},
    "layers inside layers": {f"m.{i}.experts.{e}.w": spec(2, 2) for i in range(3) for e in range(4)},
    "a key that is also a prefix": {"a": spec(1), "a.b": spec(2), "a.c.d": spec(3)},
    "many tensors of one module": {f"m.a_rather_long_name_{c}": spec(i) for i, c in enumerate("abcdef")},
}


def test_trees(golden):
    golden("report/trees", "\n".join(f"{name}\n{plain(tree_lines(specs))}" for name, specs in TREES.items()))


def test_depth():
    specs = {f"m.{i}.{n}.w": spec(2) for i in range(3) for n in ("a", "b")}
    assert plain(tree_lines(specs, depth=1)) == "m.{0-2}  48 B  6 tensors\n"
    assert len(tree_lines(specs, depth=2)) == 3


def test_a_deep_tree():
    specs = {".".join(["m"] * 5000 + ["w"]): spec(1)}
    assert len(tree_lines(specs)) == 1


def test_subtrees_are_topmost_and_hold_nothing_else():
    everything = [f"enc.{i}.{n}" for i in range(3) for n in ("w", "b")] + ["dec.w"]
    assert subtrees([k for k in everything if k.startswith("enc")], everything) == ["enc"]
    assert subtrees(["enc.0.w", "enc.0.b", "enc.1.w"], everything) == ["enc.0", "enc.1.w"]
    assert subtrees(everything, everything) == ["**"]
    assert subtrees([], everything) == []


def test_brief_says_how_many_it_leaves_out():
    keys = [f"{letter}.w" for letter in "abcdef"]
    assert brief(keys, [*keys, "z"]) == "a, b, c, d and 2 more"
