"""``surgery match``: what a selector selects, and what a rule does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from surgery.cli.options import allow_option, json_option, limit_option
from surgery.cli.session import session
from surgery.cli.usage import Misused

if TYPE_CHECKING:
    from surgery.planning.context import Context
    from surgery.tensors.subject import Subject

__all__ = ["command"]

_STEPS = ("rename", "copy", "convert", "cast", "replace_layer", "set", "init", "device_map", "create", "tie")


@click.command("match")
@click.argument("rule", metavar="RULE-OR-SELECTOR")
@click.argument("subject", metavar="CHECKPOINT|MODEL", type=click.Path())
@click.option("--step", type=click.Choice(_STEPS), help="What kind of rule it is; a key rule if left out.")
@click.option("--all", "full", is_flag=True, help="Show every key by itself.")
@click.option("-e", "--entry", metavar="NAME", help="The state dict of this name in the checkpoint.")
@allow_option
@limit_option
@json_option
def command(rule: str, subject: str, step: str | None, full: bool, entry: str | None, allow: tuple[str, ...]) -> None:
    """Show what a selector selects, and what its captures took; of a rule with an arrow, what becomes of each key.

    The subject is a checkpoint; a model of torchvision, `resnet50` or `torchvision:resnet50`; or what a class or
    function of yours makes, `python:mymodels:Net`, allowed by `--allow import:mymodels`.

    \b
    surgery match "layer{n}.*.conv1" resnet50
    surgery match "blocks.{i}.qkv -> layers.{i}.(q|k|v) via chunk(dim=0)" model.safetensors
    """
    from surgery.cli.subjects import context_of, subject_of

    context = context_of(allow)
    if "->" in rule or "→" in rule:
        _rule(rule, step, subject_of(subject, context, entry=entry), context)
    elif step is not None:
        raise Misused("`--step` is for rules, and this is a selector", "a rule has an arrow: `a -> b`")
    else:
        _selector(rule, subject_of(subject, context, entry=entry), context, full=full)


def _selector(text: str, subject: Subject, context: Context, *, full: bool) -> None:
    from surgery.cli.matching import select
    from surgery.report.match import match_lines

    selected = select(text, subject, context)
    current = session()
    if current.json:
        from surgery.report.json import match_document

        current.print_json(match_document(selected, subject))
    else:
        current.complain(context.diagnostics)
        current.show(match_lines(selected, subject, full=full, columns=current.columns))


def _rule(text: str, step: str | None, subject: Subject, context: Context) -> None:
    from surgery.cli.matching import apply_rules
    from surgery.report.match import rule_effect, rule_lines

    result = apply_rules(text, step, subject, context)
    current = session()
    if current.json:
        from surgery.report.json import rule_document

        current.print_json(rule_document(subject, result, context))
    else:
        current.complain(context.diagnostics)
        effect = rule_effect(result, context)
        current.show(rule_lines(effect, subject, result, columns=current.columns))
