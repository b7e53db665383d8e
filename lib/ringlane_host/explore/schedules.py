"""A schedule: which context runs from where on, as steps and as one line of text."""

import re
from typing import NamedTuple


class Step(NamedTuple):
    """Before access `at` of all: context `who` runs, or, with `stores`, its stores become seen."""

    at: int
    who: int
    stores: int = 0


def parse(words):
    """Return the plan that the words of a schedule stand for; raise ValueError if they do not."""
    plan = []
    at = 0
    for word in words.split():
        found = re.fullmatch(r"(\d+)(?:\*(\d+)|!([1-9]\d*))?", word)
        if found is None:
            raise ValueError(f"{word!r} is no step of a schedule")
        who, accesses, stores = (int(each or 0) for each in found.groups())
        plan.append(Step(at, who, stores))
        at += accesses
    return plan


def line_of(path, count):
    """Return in words what was run: `path`, a list of steps, and `count` accesses in all."""
    words: list[str] = []
    who = since = 0
    for step in path:
        if step.at > since or (not step.stores and words):
            words.append(f"{who}*{step.at - since}")
        since = step.at
        if step.stores:
            words.append(f"{step.who}!{step.stores}")
        else:
            who = step.who
    if count > since or not words:
        words.append(f"{who}")
    return " ".join(words)


__all__ = ["Step", "line_of", "parse"]
