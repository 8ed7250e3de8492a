"""Loading: the tensors of a checkpoint into a subject, strictly, with everything that differs allowed by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.lang import Selection
from surgery.lang.facts import Facts
from surgery.lang.pattern import TypeTest
from surgery.planning.adaptations import Adaptations
from surgery.planning.allowed import Allowed
from surgery.planning.batch_norm import OldCounters, zero_counter
from surgery.planning.candidates import candidates, exceptions
from surgery.planning.context import Context, Drop
from surgery.planning.differences import Differences, Words
from surgery.planning.extras import Extras
from surgery.planning.fitting import Fit, fit, fitted, same_tensor
from surgery.planning.old_names import with_current_names
from surgery.planning.selecting import facts_of, type_test
from surgery.subtrees import prefixes
from surgery.suggest import did_you_mean
from surgery.tensors.expr import TensorExpr, detach
from surgery.tensors.subject import Entry, Subject, Touch
from surgery.wording import listed

__all__ = ["load_into"]


def load_into(
    subject: Subject,
    loaded: Mapping[str, Entry],
    context: Context,
    *,
    missing: Selection | None = None,
    unexpected: Selection | None = None,
    mismatched: Selection | None = None,
    into: str = "",
    rest: Any = None,
    name: str = "the checkpoint",
) -> Subject:
    """`subject` with the tensors of a checkpoint in the place of its own.

    Every tensor of the subject (below the module path `into`, if one is given) must be in `loaded`, every tensor of
    `loaded` must have a place, and shapes must be equal; a selection allows, by name, what may be otherwise, and must
    then have something to allow. Names are those of `loaded`, that is, without `into`. What is not loaded stays as it
    was. Values never change: an exact cast is made and remarked, any other is an error.

    Tensors that are tied in the subject stay tied; one of their names is enough. What is tied in `loaded` only becomes
    tensors of their own.

    Args:
        subject: a model, or a bare state dict.
        loaded: what the checkpoint holds, under the keys of the subject.
        context: errors go there, as do drops and remarks.
        missing: what may be missing from `loaded`, a selection over the subject's keys.
        unexpected: what may be left over in it, a selection over its own keys.
        mismatched: what may have another shape, and then stays as it was.
        into: the path of the module that is loaded.
        rest: what else the checkpoint held (`surgery.formats.contents.Rest`): versions of modules, entries that are no
            tensors.
        name: what the checkpoint is called in messages.
    """
    words = Words("the model" if subject.skeleton else "the state dict", name)
    names = _names(subject, into)
    if into and not names:
        _report_nowhere(subject, into, words, context)
        return subject
    loaded = with_current_names(loaded, names.values(), subject, into, context)
    extras = Extras(subject, loaded, rest, into)
    types = _types_below(subject, into)
    here = {key: facts_of(key, subject.entries[full]) for full, key in names.items()}
    here |= {key: Facts(key, None, None) for key in extras.lacking}
    there = {key: facts_of(key, entry) for key, entry in loaded.items()}
    there |= {key: Facts(key, None, None) for key in (*extras.placed, *extras.homeless)}
    loading = _Loading(
        subject,
        loaded,
        context,
        words,
        names,
        extras,
        OldCounters(loaded, rest, context),
        Allowed(missing, here, context, what=f"is missing from {name}", types=types),
        Allowed(unexpected, there, context, what=f"is left over in {name}"),
        Allowed(mismatched, there, context, what="has another shape", types=types),
    )
    loading.run()
    after, lost = extras.joined()
    if lost:
        context.remarks.append(f"what else {name} holds beside its tensors is not taken over")
    return subject.replace(entries=loading.entries, rest=after)


def _names(subject: Subject, into: str) -> dict[str, str]:
    """The keys of the subject that are to be loaded, each with its name below `into`."""
    prefix = f"{into}." if into else ""
    return {key: key[len(prefix) :] for key in subject.entries if key.startswith(prefix)}


def _types_below(subject: Subject, into: str) -> TypeTest | None:
    """The test for ``[Type]``, of paths that begin below `into`."""
    test, above = type_test(subject), tuple(into.split(".")) if into else ()
    return None if test is None else lambda segments, names: test((*above, *segments), names)


def _report_nowhere(subject: Subject, into: str, words: Words, context: Context) -> None:
    known = {prefix for key in subject.entries for prefix in prefixes(key)}
    near = did_you_mean(into, known)
    message = f"`into: {into}` names nothing: no key of {words.wanted} begins with `{into}.`"
    context.report("unused-rule", message, notes=(near,) if near else ())


@dataclass(slots=True)
class _Loading:
    """One load at work: `entries` are those of the subject, replaced one group of tied keys after the other."""

    subject: Subject
    loaded: Mapping[str, Entry]
    context: Context
    words: Words
    names: Mapping[str, str]
    extras: Extras
    old: OldCounters
    missing: Allowed
    unexpected: Allowed
    mismatched: Allowed
    entries: dict[str, Entry] = field(default_factory=dict)
    differences: Differences = field(init=False)
    adaptations: Adaptations = field(init=False)
    _used: set[int] = field(default_factory=set)
    _complete: list[str] = field(default_factory=list)
    _replaced: list[Drop] = field(default_factory=list)
    _counters: int = 0
    _is_used: bool = False

    def run(self) -> None:
        """Load everything, and report what does not fit."""
        self.entries = dict(self.subject.entries)
        self.adaptations = Adaptations(self.words)
        self.differences = self._sides()
        groups = self._groups()
        replaced = {id(expr) for expr, keys in groups if any(key in self.names for key in keys)}
        self._used = {id(entry.expr) for entry in self.entries.values()} - replaced
        for expr, keys in groups:
            if id(expr) in replaced:
                self._load(expr, keys)
        self._left_over()
        self.context.drops.extend(self._replaced)  # last: what was not used is what a reader looks for
        for allowed in (self.missing, self.unexpected, self.mismatched):
            allowed.finish()
        self._report()

    def _sides(self) -> Differences:
        wanted = {name: self.subject.entries[key].spec for key, name in self.names.items()}
        found = {key: entry.spec for key, entry in self.loaded.items()}
        no_tensors = (*self.extras.placed, *self.extras.homeless)
        return Differences({**wanted, **dict.fromkeys(self.extras.lacking)}, {**found, **dict.fromkeys(no_tensors)})

    def _groups(self) -> list[tuple[TensorExpr, list[str]]]:
        """The tensors of the subject, each with the keys that are tied to it."""
        groups: dict[int, tuple[TensorExpr, list[str]]] = {}
        for key, entry in self.subject.entries.items():
            groups.setdefault(id(entry.expr), (entry.expr, []))[1].append(key)
        return list(groups.values())

    def _load(self, old: TensorExpr, keys: list[str]) -> None:
        """Load the one tensor that stands under `keys`, some of which may lie outside of `into`."""
        names = [self.names[key] for key in keys if key in self.names]
        there = [name for name in names if name in self.loaded]
        fitting = [name for name in there if self._fits(name, old)]
        if not there:
            self._lacks(old, keys, names)
        elif fitting:
            first = self.loaded[fitting[0]].expr
            differing = next((n for n in fitting if not same_tensor(first, self.loaded[n].expr)), None)
            if differing is not None:
                self._report_conflict(fitting[0], differing)
                return
            new = fitted(old.spec, first)
            if id(new) in self._used:
                new = detach(new)
            self._used.add(id(new))
            for key in keys:
                self._put(key, new, fitting)

    def _fits(self, name: str, old: TensorExpr) -> bool:
        found = self.loaded[name].spec
        how = fit(old.spec, found)
        if how is Fit.SHAPE:
            if self.mismatched.covers(name):
                self._drop(name, "is of another shape, which `mismatched` allows")
            else:
                self.differences.mismatched.append(name)
            return False
        self._is_used = True
        self.adaptations.note(name, old.spec, found, lossy=how is Fit.LOSSY)
        return how is Fit.FITS

    def _put(self, key: str, new: TensorExpr, fitting: list[str]) -> None:
        """Put a loaded tensor under one of the keys that share it."""
        target, name = self.subject.entries[key], self.names.get(key)
        source = name if name in fitting else fitting[0]
        entry = self.loaded[source]
        if source != name:
            self._complete.append(key)
        self._replace(key, f"replaced by `{source}` of {self.words.found}")
        requires_grad = entry.requires_grad if target.requires_grad is None else target.requires_grad
        touch = Touch("load", f"{source} -> {key}" + (" (tied)" if source != name else ""), self.context.here)
        entry = entry.touched(touch) if new is entry.expr else entry.touched(touch, expr=new)
        self.entries[key] = Entry(
            new, entry.origins, entry.trail, target.kind or entry.kind, requires_grad, target.device
        )

    def _lacks(self, old: TensorExpr, keys: list[str], names: list[str]) -> None:
        """None of the names is in the checkpoint."""
        lacking = [name for name in names if not self.missing.covers(name)]
        if any(self.old.lacks(name) for name in lacking):
            self._counters += 1
            zero = zero_counter(old.spec)
            touch = Touch("load", "0: the checkpoint is older than this counter", self.context.here)
            for key in keys:
                self._replace(key, "the counter begins at 0")
                self.entries[key] = dataclasses.replace(self.entries[key], expr=zero, origins=(), trail=(touch,))
            return
        self.differences.missing.extend(lacking)

    def _replace(self, key: str, why: str) -> None:
        """Account for what stood under a key, if it came from a source and not from an initialisation."""
        old = self.subject.entries[key]
        if old.origins:
            self._replaced.append(Drop(old.origins, Touch("load", f"{key}: {why}", self.context.here), old))

    def _drop(self, name: str, why: str) -> None:
        self.context.drop(self.loaded[name], Touch("load", f"{name} {why}", self.context.here))

    def _left_over(self) -> None:
        targets = set(self.names.values())
        for name in (*(key for key in self.loaded if key not in targets), *self.extras.homeless):
            if not self.unexpected.covers(name):
                self.differences.unexpected.append(name)
            elif name in self.loaded:
                self._drop(name, "is left over, which `unexpected` allows")
        self.differences.missing.extend(name for name in self.extras.lacking if not self.missing.covers(name))

    def _report(self) -> None:
        if self.differences:
            message = f"{self.words.found} does not fit {self.words.wanted}: {self.differences.totals()}"
            notes = [*self.differences.sections(self.words), *candidates(self.differences, self.words)]
            allow = exceptions(self.differences)
            self.context.report("load-mismatch", message, notes=[*notes, allow] if allow else notes)
        elif self.names and not self._is_used:
            self._report_nothing()
        self.adaptations.report(self.context)
        if self._complete:
            shown = listed(self._complete, 3)
            self.context.remarks.append(f"{shown} came by a tie: {self.words.found} has another name of the tensor")
        if self._counters:
            what = f"{self._counters} `num_batches_tracked`"
            self.context.remarks.append(f"{self.words.found} is older than BatchNorm's counters: {what} begin at 0")

    def _report_nothing(self) -> None:
        """Everything that is allowed to differ does: a wrong prefix, mostly."""
        apart, wanted = self._sides(), set(self.names.values())
        apart.missing.extend(name for name in self.names.values() if name not in self.loaded)
        for name in self.loaded:
            (apart.mismatched if name in wanted else apart.unexpected).append(name)
        message = f"nothing of {self.words.found} is loaded into {self.words.wanted}: {apart.totals()}"
        self.context.report("load-mismatch", message, notes=candidates(apart, self.words))

    def _report_conflict(self, one: str, other: str) -> None:
        message = f"`{one}` and `{other}` are one tensor in {self.words.wanted} (tied), and two in {self.words.found}"
        note = f"one of them is enough: drop the other among the `steps` of the load: `filter: {{drop: {other}}}`"
        self.context.report("tie-conflict", message, notes=(note,))
