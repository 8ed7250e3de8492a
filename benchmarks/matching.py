"""Rules against keys: how many keys a second find their rule and their new key, against the usual ways.

    python benchmarks/matching.py --keys 100000 --rules 40

Measured is what a step does for each key: the first rule that takes it, and the new key. The rivals do the same with
regular expressions: a loop of anchored `re.sub`, and one alternation of all rules with a table of replacements. Every
case runs in turn with Surgery, and ratios are of pairs: the machine's noise hits both.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable

from surgery.lang import parse_rules
from surgery.planning.context import Context
from surgery.planning.keys import NewKeys
from surgery.planning.selecting import RuleSet
from surgery.tensors.dtype import DTYPES
from surgery.tensors.expr import Held
from surgery.tensors.spec import Spec
from surgery.tensors.subject import Entry, Subject
from surgery.text import Text

LEAVES = [
    "attn.q.weight",
    "attn.k.weight",
    "attn.v.weight",
    "mlp.fc1.weight",
    "mlp.fc2.bias",
    "norm1.weight",
    "norm2.bias",
]
# (rule, the same as a regular expression, and its replacement)
WANTED = [
    (
        f"module.encoder.layer.*.{old}.** -> blocks.*.{new}.**",
        rf"module\.encoder\.layer\.([^.]+)\.{re.escape(old)}\.(.+)",
        new,
    )
    for old, new in [("attn.q", "query"), ("attn.k", "key"), ("attn.v", "value"), ("mlp.fc1", "up"), ("norm1", "ln1")]
]
ENTRY = Entry(Held(Spec((2, 3), DTYPES["float32"]), None))


def keys(count: int) -> list[str]:
    """`count` keys of a transformer; five in seven are renamed."""
    return [f"module.encoder.layer.{i // len(LEAVES)}.{LEAVES[i % len(LEAVES)]}" for i in range(count)]


def table(count: int) -> list[tuple[str, str, str]]:
    """`count` rules, the wanted ones last: a rule in text, its expression, its replacement."""
    idle = [
        (f"stage{i}.layer.*.** -> stages.{i}.*.**", rf"stage{i}\.layer\.([^.]+)\.(.+)", f"stages{i}")
        for i in range(count - len(WANTED))
    ]
    return [*idle, *WANTED]


def surgery(rules: list[tuple[str, str, str]], names: list[str]) -> int:
    """What ``rename`` does, from parsed rules on."""
    if len(rules) not in PARSED:
        PARSED[len(rules)] = parse_rules(Text.plain("\n".join(f"optional {rule[0]}" for rule in rules)), "key")
    parsed = PARSED[len(rules)]
    chosen = RuleSet.of_rules(parsed, Subject({}), Context())
    new_keys = [NewKeys(rule) for rule in parsed]
    renamed = 0
    for name in names:
        found = chosen.first(name, ENTRY)
        if found is not None:
            new_keys[found[0]].of(found[1], found[2])
            renamed += 1
    return renamed


PARSED: dict[int, tuple] = {}


def loop_of_sub(rules: list[tuple[str, str, str]], names: list[str]) -> int:
    """For each key each rule, until one applies."""
    compiled = [(re.compile(f"^{pattern}$"), rf"blocks.\1.{new}.\2") for _, pattern, new in rules]
    renamed = 0
    for name in names:
        for pattern, replacement in compiled:
            _, count = pattern.subn(replacement, name)
            if count:
                renamed += 1
                break
    return renamed


def alternation(rules: list[tuple[str, str, str]], names: list[str]) -> int:
    """One expression for all rules; which group matched says which rule applies."""
    whole = re.compile("|".join(f"(?P<r{n}>{pattern})" for n, (_, pattern, _) in enumerate(rules)))
    firsts = {f"r{n}": whole.groupindex[f"r{n}"] for n in range(len(rules))}
    renamed = 0
    for name in names:
        found = whole.fullmatch(name)
        if found:
            first = firsts[found.lastgroup or ""]
            f"blocks.{found[first + 1]}.{rules[int((found.lastgroup or 'r0')[1:])][2]}.{found[first + 2]}"
            renamed += 1
    return renamed


def rate(work: Callable[..., int], rules: list[tuple[str, str, str]], names: list[str]) -> float:
    """Keys a second of processor time."""
    begin = time.process_time()
    renamed = work(rules, names)
    seconds = time.process_time() - begin
    assert renamed == sum(not name.endswith(("mlp.fc2.bias", "norm2.bias")) for name in names)
    return len(names) / seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--rules", type=int, default=40)
    options.add_argument("--many", type=int, default=1_000, help="the rules of the second table")
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    few, many = table(given.rules), table(given.many)
    names = keys(given.keys)
    sample = names[: max(700, given.keys // 50)]
    surgery(few, sample), surgery(many, sample)  # parse before the clock runs
    for title, rules, rivals in [
        (f"{given.rules} rules", few, {"a loop of re.sub": loop_of_sub, "one alternation": alternation}),
        (f"{given.many} rules", many, {"a loop of re.sub": loop_of_sub, "one alternation": alternation}),
    ]:
        ours, ratios = [], {name: [] for name in rivals}
        theirs: dict[str, list[float]] = {name: [] for name in rivals}
        for _ in range(given.rounds):
            for name, rival in rivals.items():
                ours.append(rate(surgery, rules, names))
                theirs[name].append(rate(rival, rules, sample))
                ratios[name].append(ours[-1] / theirs[name][-1])
        print(f"{title}, {len(names):,} keys")
        print(f"  surgery            {statistics.median(ours):>10,.0f} keys/s (best {max(ours):,.0f})")
        for name in rivals:
            median, ratio = statistics.median(theirs[name]), statistics.median(ratios[name])
            print(f"  {name:<18} {median:>10,.0f} keys/s   x{ratio:,.1f}")


if __name__ == "__main__":
    main()
