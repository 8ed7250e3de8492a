"""The inverse of a recipe from its rules alone, where they prove it for every checkpoint that the recipe takes.

What has to be shown of the rules of a step: each is injective, and its mirror image reads every key that it makes in
one way; no two make keys that the mirror image of the other would take. What no rule can say, whether the checkpoint
has other keys under the new names, is told as a condition; where such keys are likely, a checkpoint is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from surgery.diagnostics import Diagnostic, Span
from surgery.inversion.comments import comments_of
from surgery.inversion.drafts import Draft
from surgery.inversion.languages import ambiguous, meet
from surgery.inversion.mirror import Mirrored, base_of, mirrored
from surgery.inversion.operations import why_none, written
from surgery.inversion.pieces import Line, Piece, rules_value
from surgery.inversion.reflection import OneWay
from surgery.inversion.text import plain_parameters
from surgery.inversion.unbound import Unbound, is_bound, unbound_pipeline
from surgery.inversion.writing import beside, step_nodes
from surgery.lang.expression import Name
from surgery.lang.path import Capture, Deep, Group, Literal, ParameterText, Path, Star
from surgery.lang.rule import Join, Rule
from surgery.lang.template import Hole
from surgery.ops.base import Op
from surgery.recipe import Recipe
from surgery.steps.convert import Convert
from surgery.steps.extract import Extract
from surgery.steps.filter import Filter
from surgery.steps.rename import Rename
from surgery.steps.sequence import PlacedStep
from surgery.wording import listed

__all__ = ["proved"]

_ASK = "give a checkpoint: `surgery invert RECIPE CHECKPOINT` looks at its keys"


@dataclass(slots=True)
class _Proof:
    """What was found so far, step by step."""

    recipe: Recipe
    partial: bool
    pieces: list[list[Piece]] = field(default_factory=list)
    said: list[Diagnostic] = field(default_factory=list)
    conditions: dict[str, None] = field(default_factory=dict)
    #: what earlier steps made
    images: list[Path] = field(default_factory=list)

    def refuse(self, message: str, span: Span | None, *notes: str) -> None:
        self.said.append(Diagnostic("no-inverse", message, span, notes))

    def ask(self, message: str, span: Span | None) -> None:
        self.refuse(message, span, _ASK)

    def grant(self, condition: str, span: Span | None) -> None:
        if condition not in self.conditions:
            message = f"taken for granted: {condition}"
            self.said.append(Diagnostic("inverse", message, span, (_ASK,), "warning"))
        self.conditions[condition] = None


def proved(recipe: Recipe, *, partial: bool) -> tuple[list[Piece], list[Diagnostic], list[str]]:
    """The steps of the inverse, what there is to say, and what is taken for granted.

    Where some step has no inverse, or none that can be proved, errors are among what there is to say.
    """
    proof = _Proof(recipe, partial)
    nodes = step_nodes(recipe.document)
    for one in recipe.steps:
        if one.when and not one.step.keeps_tensors:
            proof.pieces.append([])
            _step(proof, one, beside(nodes, one.span))
    pieces = [piece for found in reversed(proof.pieces) for piece in found]
    return pieces, proof.said, list(proof.conditions)


def _step(proof: _Proof, one: PlacedStep, words: dict[str, object]) -> None:
    match one.step:
        case Rename(rules=rules, rest=rest) | Convert(rules=rules, rest=rest):
            _rules(proof, one, rules, rest, words)
        case Filter() if proof.partial:
            pass
        case Extract(path=str(path)) if proof.partial:
            proof.pieces[-1].append(Piece("rename", f"** -> {path}.**", dict(words)))
        case Filter() | Extract():
            forget = "or forget what it leaves behind: `--partial`"
            proof.refuse(f"what `{one.name}` leaves behind, only a checkpoint can tell", one.span, _ASK, forget)
        case _:
            proof.ask(f"what `{one.name}` does, only the keys of a checkpoint can tell", one.span)


def _rules(proof: _Proof, one: PlacedStep, rules: Sequence[Rule], rest: object, words: dict[str, object]) -> None:
    if rest == "drop" and not proof.partial:
        proof.ask("`rest: drop` leaves behind whatever no rule selects", one.span)
        return
    before = len(proof.said)
    drafts = [draft for number, rule in enumerate(rules) if (draft := _draft(proof, number, rule)) is not None]
    if any(d.severity == "error" for d in proof.said[before:]):
        return
    _disjoint(proof, rules, drafts)
    if rest not in ("error", "drop"):
        under = [path for draft in drafts if (path := _untouched(proof, rules, draft)) is not None]
        if under:
            proof.grant(f"no other keys than those of this step lie under {listed(under, 3)}", one.span)
    written_lines = []
    for draft in drafts:
        rule = rules[draft.number]
        written_lines.append(Line(draft.left, draft.right, draft.via, *comments_of(rule), rule.note))
    value = rules_value(written_lines, rest="error" if rest == "error" else None)
    proof.pieces[-1].append(Piece(one.name, value, dict(words)))
    proof.images += [draft.mirrored.paths[0] for draft in drafts if not draft.mirrored.in_place]


def _draft(proof: _Proof, number: int, rule: Rule) -> Draft | None:
    """A rule in the mirror, if it is injective, and its mirror image reads its keys in one way."""
    if isinstance(rule.left, Join) or rule.right.listed:
        proof.ask("which keys a join brings together, only a checkpoint can tell", rule.span)
        return None
    try:
        mirror = mirrored(rule)
    except OneWay as error:
        notes = () if rule.right.operations else (_ASK,)
        proof.refuse(str(error), rule.span_of(error.at) if error.at else rule.span, *notes)
        return None
    via = _operations(proof, rule)
    if via is None:
        return None
    if mirror.in_place:
        if via and not isinstance(rule.left, Path):
            proof.ask("what this rule leaves out may look otherwise once it is computed", rule.span)
            return None
    elif ambiguous(_without_end(mirror)):
        proof.ask(f"in the mirror, `{mirror.paths[0]}` may match a key in more than one way", rule.span)
        return None
    if via:
        _counting(proof, rule, mirror)
    holes = (part for template in rule.right.templates for part in template.parts() if isinstance(part, Hole))
    if any(not isinstance(hole.expression, Name) for hole in holes):
        proof.grant("indices are written without leading zeros", rule.span)
    return Draft(number, mirror, via, rule.optional)


def _operations(proof: _Proof, rule: Rule) -> str | None:
    """The operations backwards, as text; None where there are none without shapes, which is reported."""
    if not rule.right.operations:
        return ""
    try:
        pipeline = unbound_pipeline(rule, proof.recipe.params)
    except Unbound as error:
        proof.ask(str(error), rule.span)
        return None
    steps = []
    for (op, span), call in zip(pipeline.operations, rule.right.operations, strict=True):
        inverse = op.inverse_anywhere()
        text = written(inverse, op, call) if inverse is not None else ""
        if text and is_bound(text):
            steps.append(text)
        elif inverse is None and type(op).inverse is Op.inverse:
            proof.refuse(why_none(op, call), span)
        else:
            proof.ask(f"what undoes `{plain_parameters(str(call))}` depends on shapes and dtypes", span)
    if len(steps) < len(pipeline.operations):
        return None
    return " | ".join(reversed(steps))


def _counting(proof: _Proof, rule: Rule, mirror: Mirrored) -> None:
    """What is gathered and scattered over comes in one order on both sides: an index first, then groups."""
    left, right = base_of(rule.left), mirror.paths[0]
    used = {name for template in rule.right.templates for name in template.names()}
    gathered = list(_indices(left, used, has_groups=any(isinstance(p, Group) for p in right.parts())))
    given = {capture.name for capture in left.captures()}
    scattered = list(_indices(right, given, has_groups=any(isinstance(p, Group) for p in left.parts())))
    for parts in (gathered, scattered):
        if any(isinstance(part, Capture) and part.kind == "int" for part in parts[1:]):
            proof.ask("the order in which this rule counts is another one backwards", rule.span)
    if gathered and isinstance(gathered[0], Capture) and gathered[0].kind == "int":
        proof.grant(f"`{gathered[0]}` counts from 0", rule.span)


def _indices(path: Path, kept: set[str], *, has_groups: bool) -> Iterator[Group | Capture]:
    """The parts of a path that stand on no other side, from left to right."""
    for part in path.parts():
        if (isinstance(part, Capture) and part.name not in kept) or (isinstance(part, Group) and not has_groups):
            yield part


def _without_end(mirror: Mirrored) -> Path:
    """The path of a mirrored rule, without the `**` in which both sides end: below, everything comes along."""
    path, template = mirror.paths[0], mirror.templates[0]
    ends = isinstance(path.segments[-1].parts[0], Deep) and isinstance(template.segments[-1].parts[0], Deep)
    return Path(path.segments[:-1]) if ends else path


def _disjoint(proof: _Proof, rules: Sequence[Rule], drafts: Sequence[Draft]) -> None:
    """That no two rules make keys of which both mirror images could take some."""
    for place, draft in enumerate(drafts):
        for earlier in drafts[:place]:
            one, other = earlier.mirrored.paths[0], draft.mirrored.paths[0]
            if meet(one, other):
                message = f"in the mirror, `{other}` and `{one}` may select the same keys"
                proof.ask(message, rules[draft.number].span)
                break


def _untouched(proof: _Proof, rules: Sequence[Rule], draft: Draft) -> Path | None:
    """What has to be granted so that the mirror image of a rule takes no key that no rule took."""
    path = draft.mirrored.paths[0]
    full = [rule.left for rule in rules if isinstance(rule.left, Path) and not any(s.types for s in rule.left.segments)]
    if any(_shape(left) == _shape(path) or _is_everything(left) for left in full):
        return None
    span = rules[draft.number].span
    if not any(isinstance(part, Literal | ParameterText) for part in path.parts()):
        proof.ask(f"in the mirror, `{path}` would take keys as well that no rule of this step takes", span)
    elif any(meet(path, image) for image in proof.images):
        proof.ask(f"in the mirror, `{path}` may take keys as well that an earlier step makes", span)
    else:
        return path
    return None


def _is_everything(path: Path) -> bool:
    return len(path.segments) == 1 and path.segments[0].deep


def _shape(path: Path) -> tuple[object, ...]:
    """What a path can select, but for the names of its captures and the order of alternatives."""

    def plain(part: object) -> object:
        match part:
            case Group(alternatives=alternatives) | Capture(kind="one_of", alternatives=alternatives):
                return frozenset(alternatives)
            case Capture(kind=kind):
                return kind
            case Star():
                return "text*"
        return part

    names = [capture.name for capture in path.captures()]
    if len(set(names)) < len(names):
        return (path,)
    return tuple(tuple(map(plain, segment.parts)) for segment in path.segments)
