"""``cast``: other element types."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

from surgery.diagnostics import Diagnostic, escape
from surgery.fields import main, rules
from surgery.lang.expression import Const, Name, names
from surgery.lang.rule import Rule
from surgery.lang.selector import Except, Guarded, Selector, Union
from surgery.ops.cast import Cast as CastOp
from surgery.planning.context import Context
from surgery.planning.selecting import RuleSet
from surgery.steps import STEPS
from surgery.steps.base import Step
from surgery.suggest import did_you_mean
from surgery.tensors.dtype import DTYPES, DType
from surgery.tensors.expr import Computed, TensorExpr
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject, Touch
from surgery.wording import listed

__all__ = ["Cast"]


@STEPS.register("cast")
@dataclass(frozen=True, slots=True)
class Cast(Step):
    """Cast tensors; for each key the first rule that selects it applies.

    Integer, bool and quantised tensors are left alone unless the rule's guard names their dtype (``** if dtype == int64
    -> int32``). A finite value that would overflow is an error when it runs; rounding is what a cast is for. Tied
    tensors stay tied. Buffers that are no part of the state dict have no key, and keep their dtype: tables such as the
    frequencies of rotary embeddings (``model.to(dtype)`` casts them).
    """

    example: ClassVar[str] = 'cast: "**.norm* -> float32, ** -> bfloat16"'

    rules: tuple[Rule, ...] = main(rules("cast"))

    def check(self) -> Iterable[Diagnostic]:
        """Names that are no dtypes."""
        for rule in self.rules:
            name = _dtype_name(rule)
            if name is not None and name not in DTYPES:
                note = did_you_mean(name, DTYPES) or f"dtypes: {', '.join(DTYPES)}"
                yield Diagnostic("wrong-type", f"there is no dtype `{name}`", rule.span_of(rule.right.at), (note,))

    def apply(self, subject: Subject, context: Context) -> Subject:
        """The subject with its tensors cast."""
        chosen = RuleSet.of_rules(self.rules, subject, context)
        dtypes = [DTYPES[_dtype_name(rule) or ""] for rule in self.rules]
        exempt = [_named_in_guards(rule.left) for rule in self.rules]
        made: dict[tuple[int, str], TensorExpr] = {}
        entries = dict(subject.entries)
        for key, entry in subject.entries.items():
            found = chosen.first(key, entry)
            if found is None:
                continue
            number, old, new = found[0], entry.spec.dtype, dtypes[found[0]]
            if _holds_floats(old):
                message = f"`{escape(key)}` is {entry.spec}, and only plain tensors are cast"
                context.report("operation", message, self.rules[number].span, (f"`** except {escape(key)}`",))
            elif old != new and (old.kind in ("float", "complex") or old.name in exempt[number]):
                entries[key] = _cast(key, entry, new, made, self.rules[number])
        chosen.finish()
        if any(entries[key] is not entry for key, entry in subject.entries.items()):
            _remark_tables(subject, dtypes, context)
        result = subject.replace(entries=entries)
        still = set(result.ties())
        for group in subject.ties():
            if group not in still:
                context.remarks.append(f"{' and '.join(group)} were tied, and are cast to different dtypes")
        return result


def _holds_floats(dtype: DType) -> bool:
    """Whether this is a sparse or lazy tensor, or one of a class of its own, of floats, or of who knows what."""
    if dtype.kind != "opaque" or dtype.name.startswith(("q", "bits")):
        return False
    inner = DTYPES.get(dtype.name.rpartition(" ")[2])
    return inner is None or inner.kind in ("float", "complex")


def _remark_tables(subject: Subject, dtypes: Collection[DType], context: Context) -> None:
    """Say which buffers have no key, and so keep a dtype that is none of those of the rules."""
    if subject.skeleton is None:
        return
    names = {dtype.name for dtype in dtypes}
    kept = [
        f"{path}.{name}".lstrip(".")
        for path, module in subject.skeleton.modules.items()
        for name in module._non_persistent_buffers_set
        if (buffer := module._buffers.get(name)) is not None and buffer.is_floating_point()
        if str(buffer.dtype).removeprefix("torch.") not in names
    ]
    if kept:
        context.remarks.append(f"no part of the state dict, and not cast: {listed(kept, 3)}")


def _dtype_name(rule: Rule) -> str | None:
    """The name of the dtype on the right side; None where it is a parameter without a value."""
    if isinstance(rule.right, Name):
        return rule.right.name
    return str(rule.right.value) if isinstance(rule.right, Const) else None


def _named_in_guards(selector: Selector) -> set[str]:
    match selector:
        case Guarded(selector=inner, condition=condition):
            return {name.name for name in names(condition)} | _named_in_guards(inner)
        case Union(operands=operands):
            return {name for operand in operands for name in _named_in_guards(operand)}
        case Except(base=base):
            return _named_in_guards(base)
    return set()


def _cast(key: str, entry: Entry, dtype: DType, made: dict[tuple[int, str], TensorExpr], rule: Rule) -> Entry:
    """The entry in another dtype; tied tensors are cast once."""
    name = (id(entry.expr), dtype.name)
    if name not in made:
        made[name] = Computed(Spec(entry.spec.shape, dtype), CastOp(dtype), (entry.expr,))
    action = f"{key}: {entry.spec.dtype} -> {dtype}"
    return entry.touched(Touch("cast", action, rule.span, computes=True), expr=made[name])
