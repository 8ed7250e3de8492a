"""Loading into a subject: strict, with exceptions by name; ties, dtypes, counters."""

from __future__ import annotations

import dataclasses

import pytest

from surgery.formats.contents import Rest
from surgery.planning.loading import load_into
from surgery.tensors.expr import Computed, Stored
from surgery.tensors.subject import Origin

NET = {"conv.weight": (8, 3, 3, 3), "fc.weight": (10, 8), "fc.bias": (10,)}


def test_everything_fits(fresh, stored, context):
    loaded = stored(NET).entries
    after = load_into(fresh(NET), loaded, context)
    assert not context.diagnostics
    assert list(after.entries) == list(NET)
    for key, entry in after.entries.items():
        assert entry.expr is loaded[key].expr
        assert entry.origins == (Origin("file", key),)
        assert (entry.kind, entry.requires_grad) == ("parameter", True)
        assert [touch.step for touch in entry.trail] == ["load"]
        assert not entry.trail[-1].computes
    assert not context.drops, "an initialisation is no loss"


def test_the_subject_keeps_its_order_and_is_not_changed(fresh, stored, context):
    subject = fresh(NET)
    before = dict(subject.entries)
    loaded = stored(dict(reversed(NET.items()))).entries
    assert list(load_into(subject, loaded, context).entries) == list(NET)
    assert dict(subject.entries) == before


def test_tensors_of_a_source_that_are_replaced_are_drops(stored, context):
    load_into(stored(NET, source="old"), stored(NET, source="new").entries, context)
    assert [drop.origins for drop in context.drops] == [(Origin("old", key),) for key in NET]


def test_below_a_module(fresh, stored, context):
    subject = fresh({"backbone.conv.weight": (8, 3), "head.weight": (2, 8)})
    loaded = stored({"conv.weight": (8, 3)}).entries
    after = load_into(subject, loaded, context, into="backbone")
    assert not context.diagnostics
    assert after.entries["backbone.conv.weight"].expr is loaded["conv.weight"].expr
    assert after.entries["head.weight"] is subject.entries["head.weight"]


def test_below_nothing(fresh, stored, context, errors, golden):
    load_into(fresh({"backbone.conv.weight": (8, 3)}), stored({"conv.weight": (8, 3)}).entries, context, into="backbne")
    golden("planning/load_into_nothing", errors())


class TestExceptions:
    def test_nothing_at_all_is_an_error(self, fresh, stored, context, select, errors, golden):
        prefixed = stored({f"encoder.{key}": shape for key, shape in NET.items()}).entries
        load_into(fresh(NET), prefixed, context, missing=select("optional **"), unexpected=select("optional **"))
        golden("planning/load_nothing_fits", errors())

    def test_nothing_at_all_since_every_shape_differs(self, fresh, stored, context, select, errors):
        load_into(fresh({"a": (2,)}), stored({"a": (3,)}).entries, context, mismatched=select("**"))
        assert "nothing of the checkpoint is loaded into the state dict: 1 of another shape" in errors()

    def test_what_is_missing_stays(self, fresh, stored, context, select):
        subject = fresh(NET)
        after = load_into(subject, stored({"conv.weight": (8, 3, 3, 3)}).entries, context, missing=select("fc"))
        assert not context.diagnostics
        assert after.entries["fc.bias"] is subject.entries["fc.bias"]

    def test_what_is_left_over_is_dropped(self, fresh, stored, context, select):
        load_into(fresh(NET), stored({**NET, "head.weight": (2,)}).entries, context, unexpected=select("head"))
        assert not context.diagnostics
        assert [drop.origins for drop in context.drops] == [(Origin("file", "head.weight"),)]

    def test_what_has_another_shape_stays(self, fresh, stored, context, select):
        subject = fresh(NET)
        loaded = stored({**NET, "fc.weight": (1000, 8), "fc.bias": (1000,)}).entries
        after = load_into(subject, loaded, context, mismatched=select("fc.weight | fc.bias"))
        assert not context.diagnostics
        assert after.entries["fc.weight"] is subject.entries["fc.weight"]
        assert {drop.origins[0].key for drop in context.drops} == {"fc.weight", "fc.bias"}

    def test_names_are_those_below_the_module(self, fresh, stored, context, select):
        subject = fresh({"net.a.weight": (2,), "net.b.weight": (2,)})
        load_into(subject, stored({"a.weight": (2,)}).entries, context, into="net", missing=select("b"))
        assert not context.diagnostics

    @pytest.mark.parametrize("word", ["missing", "unexpected", "mismatched"])
    def test_one_that_never_happens_is_an_error(self, word, fresh, stored, context, select, errors, golden):
        load_into(fresh(NET), stored(NET).entries, context, **{word: select("fc")})
        golden(f"planning/load_unused_{word}", errors())

    def test_one_branch_that_never_happens(self, fresh, stored, context, select, errors, golden):
        loaded = stored({"fc.weight": (10, 8), "fc.bias": (10,)}).entries
        load_into(fresh(NET), loaded, context, missing=select("conv | fc.bias"))
        golden("planning/load_unused_branch", errors())

    def test_one_that_names_nothing(self, fresh, stored, context, select, errors, golden):
        load_into(fresh(NET), stored(NET).entries, context, missing=select("fcc"))
        golden("planning/load_missing_names_nothing", errors())

    def test_an_optional_one_may_not_happen(self, fresh, stored, context, select):
        load_into(fresh(NET), stored(NET).entries, context, missing=select("optional fc"))
        assert not context.diagnostics

    def test_a_guard_sees_the_tensor(self, fresh, stored, context, select):
        loaded = stored({key: shape for key, shape in NET.items() if key != "fc.bias"}).entries
        load_into(fresh(NET), loaded, context, missing=select("** if ndim == 1 and kind == parameter"))
        assert not context.diagnostics


class TestDtypes:
    def test_an_exact_cast_is_made_and_remarked(self, fresh, stored, context):
        loaded = stored({key: (shape, "bfloat16") for key, shape in NET.items()}).entries
        after = load_into(fresh(NET), loaded, context)
        assert not context.diagnostics
        assert {str(entry.spec.dtype) for entry in after.entries.values()} == {"float32"}
        assert all(isinstance(entry.expr, Computed) for entry in after.entries.values())
        assert context.remarks == [
            "`conv.weight`, `fc.weight`, `fc.bias` are bfloat16 in the checkpoint, and float32 in the state dict: "
            "every value is kept"
        ]

    def test_one_that_loses_something_is_an_error(self, fresh, stored, context, errors, golden):
        load_into(fresh({key: (shape, "float16") for key, shape in NET.items()}), stored(NET).entries, context)
        golden("planning/load_lossy", errors())

    @pytest.mark.parametrize(("here", "there"), [((), (1,)), ((1,), ())])
    def test_one_value_with_and_without_a_dimension(self, here, there, fresh, stored, context):
        after = load_into(fresh({"scale": here}), stored({"scale": there}).entries, context)
        assert not context.diagnostics
        assert after.entries["scale"].spec.shape == here
        assert isinstance(after.entries["scale"].expr, Stored), "no byte is computed"
        assert len(context.remarks) == 1

    def test_other_shapes_of_one_element_do_not_fit(self, fresh, stored, context):
        load_into(fresh({"scale": (1, 1)}), stored({"scale": (1,)}).entries, context)
        assert [d.code for d in context.diagnostics] == ["load-mismatch"]


TIED = {"embed.weight": (9, 4)}
HEAD = {"head.weight": "embed.weight"}


class TestTies:
    def test_stay(self, fresh, stored, context):
        after = load_into(fresh(TIED, ties=HEAD), stored(TIED, ties=HEAD).entries, context)
        assert not context.diagnostics
        assert after.ties() == [("embed.weight", "head.weight")]
        assert after.entries["head.weight"].origins == (Origin("file", "head.weight"),)
        assert not context.remarks

    @pytest.mark.parametrize("name", ["embed.weight", "head.weight"])
    def test_one_name_is_enough(self, name, fresh, stored, context):
        after = load_into(fresh(TIED, ties=HEAD), stored({name: (9, 4)}).entries, context)
        assert not context.diagnostics
        assert after.ties() == [("embed.weight", "head.weight")]
        assert {entry.origins for entry in after.entries.values()} == {(Origin("file", name),)}
        assert len(context.remarks) == 1

    def test_two_values_are_an_error(self, fresh, stored, context, errors, golden):
        load_into(fresh(TIED, ties=HEAD), stored({"embed.weight": (9, 4), "head.weight": (9, 4)}).entries, context)
        golden("planning/load_tie_conflict", errors())

    def test_the_same_bytes_twice_are_one_value(self, fresh, stored, context):
        loaded = dict(stored(TIED).entries)
        again = dataclasses.replace(loaded["embed.weight"].expr)
        loaded["head.weight"] = dataclasses.replace(loaded["embed.weight"], expr=again)
        after = load_into(fresh(TIED, ties=HEAD), loaded, context)
        assert not context.diagnostics
        assert after.ties() == [("embed.weight", "head.weight")]

    def test_of_the_checkpoint_only_are_untied(self, fresh, stored, context):
        subject = fresh({"embed.weight": (9, 4), "head.weight": (9, 4)})
        after = load_into(subject, stored(TIED, ties=HEAD).entries, context)
        assert not context.diagnostics
        assert not after.ties()
        first, second = (entry.expr for entry in after.entries.values())
        assert first.ranges == second.ranges

    def test_reach_beyond_the_module_that_is_loaded(self, fresh, stored, context):
        subject = fresh({"encoder.embed": (9, 4), "decoder.fc": (2,)}, ties={"decoder.embed": "encoder.embed"})
        loaded = stored({"embed": (9, 4)}).entries
        after = load_into(subject, loaded, context, into="encoder")
        assert not context.diagnostics
        assert after.ties() == [("encoder.embed", "decoder.embed")]
        assert after.entries["decoder.embed"].expr is loaded["embed"].expr

    def test_loading_twice_from_one_subject_makes_none(self, fresh, stored, context):
        subject = fresh({"a.w": (2,), "b.w": (2,)})
        loaded = stored({"w": (2,)}).entries
        once = load_into(subject, loaded, context, into="a")
        twice = load_into(once, loaded, context, into="b")
        assert not context.diagnostics
        assert not twice.ties()

    def test_a_cast_keeps_them(self, fresh, stored, context):
        loaded = stored({"embed.weight": ((9, 4), "float16")}, ties=HEAD).entries
        after = load_into(fresh(TIED, ties=HEAD), loaded, context)
        assert after.ties() == [("embed.weight", "head.weight")]

    def test_the_name_that_is_missing_needs_no_exception(self, fresh, stored, context, select, errors):
        load_into(fresh(TIED, ties=HEAD), stored(TIED).entries, context, missing=select("head"))
        assert [d.code for d in context.diagnostics] == ["unused-exception"]


BN = {"bn.weight": (4,), "bn.running_mean": (4,), "bn.num_batches_tracked": ((), "int64")}
OLD = {"bn.weight": (4,), "bn.running_mean": (4,)}


class TestCounters:
    def test_an_old_file_has_none(self, fresh, stored, context):
        after = load_into(fresh(BN), stored(OLD).entries, context)
        assert not context.diagnostics
        counter = after.entries["bn.num_batches_tracked"]
        assert isinstance(counter.expr, Computed)
        assert counter.expr.operation.apply([], 1)[0].item() == 0
        assert context.remarks == [
            "the checkpoint is older than BatchNorm's counters: 1 `num_batches_tracked` begin at 0"
        ]

    def test_an_exception_that_names_them_is_right(self, fresh, stored, context, select):
        subject = fresh(BN)
        after = load_into(subject, stored(OLD).entries, context, missing=select("**.num_batches_tracked"))
        assert not context.diagnostics
        assert after.entries["bn.num_batches_tracked"].expr is subject.entries["bn.num_batches_tracked"].expr

    def test_a_file_that_has_others_is_not_old(self, fresh, stored, context):
        both = {**BN, **{f"other.{key}": shape for key, shape in BN.items()}}
        loaded = {key: e for key, e in stored(both).entries.items() if key != "bn.num_batches_tracked"}
        load_into(fresh(both), loaded, context)
        assert [d.code for d in context.diagnostics] == ["load-mismatch"]

    @pytest.mark.parametrize(("version", "fits"), [(1, True), (2, False), (None, True)])
    def test_the_version_of_the_module_decides(self, version, fits, fresh, stored, context):
        rest = Rest({}, state_metadata={"module.bn": {"version": version}})
        loaded = stored({f"module.{key}": shape for key, shape in OLD.items()}).entries
        loaded = {key.removeprefix("module."): entry for key, entry in loaded.items()}
        load_into(fresh(BN), loaded, context, rest=rest)
        assert (not context.diagnostics) is fits

    def test_a_module_that_is_not_there_at_all_is_missing(self, fresh, stored, context, errors):
        load_into(fresh({**BN, "fc.weight": (2,)}), stored({"fc.weight": (2,)}).entries, context)
        assert "3 of 4 keys missing" in errors()


class TestRest:
    def test_comes_along(self, fresh, stored, context):
        rest = Rest({"model": {}, "epoch": 3}, ("model",))
        after = load_into(fresh(NET), stored(NET).entries, context, rest=rest)
        assert after.rest.tree is rest.tree
        assert after.rest.entry == ("model",)

    def test_of_a_part_does_not(self, fresh, stored, context):
        rest = Rest({"model": {}, "epoch": 3}, ("model",))
        subject = fresh({"net.w": (2,)})
        after = load_into(subject, stored({"w": (2,)}).entries, context, rest=rest, into="net")
        assert after.rest is None
        assert context.remarks == ["what else the checkpoint holds beside its tensors is not taken over"]

    def test_an_entry_that_is_no_tensor_has_no_place(self, fresh, stored, context, errors, golden):
        load_into(fresh(NET), stored(NET).entries, context, rest=Rest({}, extra={"fc._extra_state": {"scale": 1}}))
        golden("planning/load_extra_state", errors())

    def test_an_extra_state_replaces_another(self, fresh, stored, context):
        subject = fresh(NET).replace(rest=Rest({}, extra={"fc._extra_state": 1}))
        after = load_into(subject, stored(NET).entries, context, rest=Rest({}, extra={"fc._extra_state": 2}))
        assert not context.diagnostics
        assert after.rest.extra == {"fc._extra_state": 2}

    def test_an_extra_state_may_be_missing(self, fresh, stored, context, errors):
        subject = fresh(NET).replace(rest=Rest({}, extra={"fc._extra_state": 1}))
        load_into(subject, stored(NET).entries, context)
        assert "fc._extra_state  not a tensor" in errors()
