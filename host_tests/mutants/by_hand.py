"""Mutants that no operator of generate.py makes: what is wrong takes more than one small edit."""

from .generate import Mutant, parse

_SHRUNK = "        finally:  # should the buffer have shrunk since\n            cold._leave(state)"

# module: {function: {what is wrong: (what is there, once, and what comes there)}}
BY_HAND = {
    "oldest": {
        "make_next_lane.next_lane": {
            "seven bits tell epochs apart": (
                "(slot[_META] >> 24 & 0xFF) != part[_EPOCH]",
                "(slot[_META] >> 24 & 0x7F) != (part[_EPOCH] & 0x7F)",
            ),
            "of two senders' messages the younger comes first at the wrap": (
                "age > ((now - oldest) & part[_MASK])",
                "now - stamp > now - oldest",
            ),
        },
    },
    "fanout": {
        "Fanout._open": {
            "a row has two epochs": ("% 255 + 1", "% 2 + 1"),
            "all receivers of a row but the first have one epoch": (
                "self._epochs[row] % 255 + 1",
                "1",
            ),
        },
    },
    "guard": {
        "_guarded.recv": {
            "a buffer that has shrunk leaves the guard taken": (
                _SHRUNK,
                "        except KeyError:\n            pass\n        cold._leave(state)",
            ),
        },
    },
    "request_reply": {
        "make_client.send_request": {
            "a generation is used twice": (
                "(entry[_ISSUED] >> 8 & _GENERATIONS) + 1",
                "entry[_ISSUED] >> 8 & _GENERATIONS | 1",
            ),
        },
        "make_recv_request.recv_request": {
            "seven bits tell generations apart": (
                "(issued >> 8 & 0xFF) == (meta >> 24 & 0xFF)",
                "(issued >> 8 & 0x7F) == (meta >> 24 & 0x7F)",
            ),
        },
    },
}


def of(module):
    """Return (function, what is wrong) of a module's mutants."""
    return [(where, rule) for where, rules in BY_HAND.get(module, {}).items() for rule in rules]


def make(module, source, where, rule):
    """Return the Mutant. LookupError if what it replaces is not in its function once."""
    old, new = BY_HAND[module][where][rule]
    begin, end = _span(source, where)
    count = source.count(old, begin, end)
    if count != 1:
        raise LookupError(f"{module}.{where}: {rule}: {count} times there: {old!r}")
    at = source.index(old, begin)
    first = len(source[:at].encode())
    edit = (first, first + len(old.encode()), new)
    return Mutant(module, where, "by hand", rule, source.count("\n", 0, at) + 1, (edit,), source)


def _span(source, where):
    # Where in the text the function begins and ends.
    found = [parse(source)]
    for name in where.split("."):
        found = [each for outer in found for each in outer.body if _name(each) == name]
    if len(found) != 1:
        raise LookupError(f"{len(found)} functions {where!r}")
    lines = source.splitlines(keepends=True)
    return (
        len("".join(lines[: found[0].lineno - 1])),
        len("".join(lines[: found[0].end_lineno])),
    )


def _name(statement):
    return getattr(statement, "name", None)
