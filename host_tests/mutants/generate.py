"""Mutants from the source's syntax tree: generate("lanes", source) yields those of one module.

Each operator is one kind of small edit, and OPERATORS says what it does. A mutant keeps the number
of lines. Its name is made of the module, the function, the operator, and what it changes as
ast.unparse() writes it, so that it outlives comments, line breaks and edits elsewhere.
"""

import ast
import re
import threading
from collections import Counter
from typing import NamedTuple

OPERATORS = {
    "left out": "a statement of a function is left out",
    "swapped": "two neighbouring statements change places",
    "early": "a store, a load or a call comes before what it follows",
    "again": "what was loaded into a local is loaded anew where it is used",
    "compare": "a compare is moved by one, or is its contrary",
    "constant": "an int is moved by one, a bool is the other one",
    "forced": "a branch, or an operand of its `and` or `or`, goes one way",
}
_COMPARES = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
}
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr)
_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_CASTS = {"ptr8", "ptr16", "ptr32", "int", "size_of"}  # calls that touch no memory
_LONGEST = 70  # of a statement in a name


_parsing = threading.Lock()


def parse(source):
    """As ast.parse, which in CPython 3.11 fails where two threads use it at once."""
    with _parsing:
        return ast.parse(source)


class Mutant(NamedTuple):
    """One small edit of a module."""

    module: str  # of ringlane
    where: str  # the qualified name of the function or class, "" for the module's own
    operator: str
    what: str
    line: int  # where what it changes stands, now
    edits: tuple  # of (first byte, past the last, what comes there)
    source: str

    @property
    def name(self):
        where = f"{self.module}.{self.where}" if self.where else self.module
        return f"{where}: {self.what}"

    @property
    def file(self):
        return f"{self.module}.py"

    def broken(self):
        """Return the module's text with the edit made."""
        text = self.source.encode()
        for begin, end, new in sorted(self.edits, reverse=True):
            text = text[:begin] + new.encode() + text[end:]
        return text.decode()


def generate(module, source):
    """Yield the Mutants of a module's source; no two of them give the same text."""
    names = Counter()
    texts = {source}
    for mutant in _Generator(module, source).found:
        text = mutant.broken()
        if text in texts:
            continue
        texts.add(text)
        names[mutant.name] += 1
        if names[mutant.name] > 1:
            mutant = mutant._replace(what=f"{mutant.what} #{names[mutant.name]}")
        yield mutant


def spoken(node):
    """Return a statement's or an expression's text in names: of a compound one its first line."""
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


class _Generator:
    def __init__(self, module, source):
        self.module = module
        self.source = source
        self.found = []
        self._bytes = source.encode()
        lines = self._bytes.splitlines(keepends=True)
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self._function = None
        self._block(parse(source).body, [])

    # What a node is in the text

    def _span(self, node):
        begin = self._starts[node.lineno - 1] + node.col_offset
        return begin, self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, begin, end):
        return self._bytes[begin:end].decode()

    def _add(self, names, operator, what, node, *edits):
        where = ".".join(names)
        self.found.append(
            Mutant(self.module, where, operator, what, node.lineno, edits, self.source)
        )

    def _replace(self, names, operator, what, node, new):
        begin, end = self._span(node)
        new += "\n" * self._text(begin, end).count("\n")
        self._add(names, operator, what, node, (begin, end, new))

    # Statements

    def _block(self, block, names):
        if self._function:
            first = isinstance(block[0], ast.Expr) and isinstance(block[0].value, ast.Constant)
            block = block[1:] if first else block
            self._leave_out(block, names)
            self._swap(block, names)
            self._move_up(block, names)
            if _is_viper(self._function):
                self._load_again(block, names)
        for statement in block:
            self._statement(statement, names)

    def _statement(self, statement, names):
        if isinstance(statement, _SCOPES):
            outer = self._function
            if isinstance(statement, _FUNCTIONS):
                self._function = statement
                self._expression(statement.args, statement, names + [statement.name])
            self._block(statement.body, names + [statement.name])
            self._function = outer
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return
        if isinstance(statement, ast.If):
            self._force(statement.test, spoken(statement), names)
        elif isinstance(statement, ast.While):
            self._force(statement.test, spoken(statement), names, _has(statement, *_LEAVES))
        for field, value in ast.iter_fields(statement):
            if field in ("body", "orelse", "finalbody") and value:
                self._block(value, names)
            elif field == "handlers":
                for handler in value:
                    self._block(handler.body, names)
            else:
                for node in value if isinstance(value, list) else [value]:
                    if isinstance(node, ast.AST):
                        self._expression(node, statement, names)

    def _leave_out(self, block, names):
        for each in block:
            if isinstance(each, (*_SIMPLE, *_LEAVES, ast.Delete, ast.For)):
                self._replace(names, "left out", f'"{spoken(each)}" left out', each, "pass")

    def _swap(self, block, names):
        for one, two in zip(block, block[1:], strict=False):
            if not (isinstance(one, _SIMPLE) and isinstance(two, _SIMPLE)) or self._is_set_up():
                continue
            if self._commute(one, two) or self._undefined(two, one):
                continue
            first, second = self._span(one), self._span(two)
            what = f'"{spoken(one)}" swapped with "{spoken(two)}"'
            self._add(
                *(names, "swapped", what, one),
                (*first, self._text(*second)),
                (*second, self._text(*first)),
            )

    def _matters(self, statement):
        # Whether it matters when it is done: of bytecode when it calls.
        if _is_viper(self._function):
            return _touches(statement)
        return _calls(statement) or not isinstance(statement, _SIMPLE)

    def _commute(self, one, two):
        if _writes(one) & (_reads(two) | _writes(two)) or _writes(two) & _reads(one):
            return False
        quiet = not self._matters(one), not self._matters(two)
        return any(quiet) if _is_viper(self._function) else all(quiet)

    def _is_set_up(self):
        # What a constructor makes nobody else has yet; but its loops may open what is there.
        return self._function.name == "__init__"

    def _undefined(self, first, second):
        # Whether `first`, come before `second`, reads a local that has no value yet.
        needed = _reads(first) & _writes(second)
        since = _first_values(self._function)
        return any("." not in name and since[name] >= second.lineno for name in needed)

    def _move_up(self, block, names):
        # A store goes up to before each statement that matters, a load before one; what calls,
        # and is no simple statement, before a store. What it is computed from goes with it, if
        # that stores nothing.
        for place, last in enumerate(block):
            stores = _is_store(last)
            if not stores and not self._is_movable(last):
                continue
            if self._is_set_up() and not isinstance(last, ast.For):
                continue
            moved, stay = [last], []
            for passed in reversed(block[:place]):
                reads = set().union(*map(_reads, moved))
                writes = set().union(*map(_writes, moved))
                if _has(passed, *_LEAVES, *_SCOPES):
                    break
                if _writes(passed) & (reads | writes) or _reads(passed) & writes:
                    if _stores(passed):
                        break
                    moved.insert(0, passed)
                    continue
                stay.insert(0, passed)
                if not self._matters(passed):
                    continue
                if stores or self._is_movable_past(last, passed):
                    self._move(moved, stay, block[: place + 1], names)
                if not stores:
                    break

    def _is_movable(self, statement):
        if isinstance(statement, ast.Assign):
            return _touches(statement.value)
        return _calls(statement) and isinstance(statement, ast.If | ast.While | ast.For | ast.Try)

    def _is_movable_past(self, last, passed):
        viper = _is_viper(self._function)
        return viper or isinstance(last, _SIMPLE) or _is_store(passed)

    def _move(self, moved, stay, block, names):
        begin = len(block) - len(moved) - len(stay)
        # Each statement with the lines before it that are no statement's.
        top = block[begin - 1].end_lineno if begin else block[0].lineno - 1
        bounds = [top, *(each.end_lineno for each in block[begin:])]
        lines = {
            id(each): self._text(self._starts[above], self._starts[below])
            for each, above, below in zip(block[begin:], bounds, bounds[1:], strict=False)
        }
        new = "".join(lines[id(each)] for each in moved + stay)
        what = f'"{spoken(moved[-1])}" before "{spoken(stay[0])}"'
        edit = (self._starts[bounds[0]], self._starts[bounds[-1]], new)
        self._add(names, "early", what, moved[-1], edit)

    def _load_again(self, block, names):
        for place, load in enumerate(block):
            if not isinstance(load, ast.Assign) or not isinstance(load.targets[0], ast.Name):
                continue
            nodes = {type(node) for node in ast.walk(load.value)}
            if ast.Subscript not in nodes or ast.Call in nodes:  # a call makes an address
                continue
            local = load.targets[0].id
            value = self._text(*self._span(load.value))
            kept = {local} | _reads(load)
            for later in block[place + 1 :]:
                inner = [later]
                if _writes(later) & kept:
                    # Up to there it has its old value still: in what it computes, or tests.
                    inner = [getattr(later, "test", None) or getattr(later, "value", None)]
                    if isinstance(later, ast.While | ast.For) or inner[0] is None:
                        break
                for use in (node for tree in inner for node in ast.walk(tree)):
                    if isinstance(use, ast.Name) and use.id == local:
                        what = f'"{local}" loaded again in "{self._around(later, use)}"'
                        self._replace(names, "again", what, use, f"({value})")
                if _writes(later) & kept:
                    break

    def _around(self, statement, node):
        # The text of the innermost statement that holds the node.
        for child in ast.walk(statement):
            if isinstance(child, ast.stmt):
                begin, end = self._span(child)
                if begin <= self._span(node)[0] < end:
                    statement = child
        return spoken(statement)

    # Expressions

    def _expression(self, root, statement, names):
        inside = spoken(statement)
        words = set()
        for node in ast.walk(root):
            if isinstance(node, ast.IfExp) and isinstance(node.test, ast.Constant):
                words |= {node.test, node.orelse}  # viper's word of an object: `x if 1 else 0`
            elif node in words:
                continue
            elif isinstance(node, ast.Compare):
                self._compare(node, names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, int):
                self._constant(node, inside, names)
            elif isinstance(node, ast.IfExp):
                self._force(node.test, spoken(node), names)
            elif isinstance(node, ast.comprehension):
                for test in node.ifs:
                    self._force(test, spoken(test), names)
            elif isinstance(node, ast.BoolOp):
                neutral = "0" if isinstance(node.op, ast.Or) else "1"
                for operand in node.values:
                    what = f'"{spoken(operand)}" is {neutral} in "{spoken(node)}"'
                    self._replace(names, "forced", what, operand, neutral)

    def _compare(self, node, names):
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            begin, end = self._span(left)[1], self._span(right)[0]
            old, new = _COMPARES[type(operator)]
            gap = re.sub(old, new, self._text(begin, end), count=1)
            what = f'"{spoken(node)}" with {new}'
            if len(node.ops) > 1:
                what += f' before "{spoken(right)}"'
            self._add(names, "compare", what, node, (begin, end, gap))
            left = right

    def _constant(self, node, inside, names):
        if isinstance(node.value, bool):
            others = [not node.value]
        else:
            others = [node.value + 1, node.value - 1] if node.value else [1]
        for other in others:
            what = f'{node.value} is {other} in "{inside}"'
            self._replace(names, "constant", what, node, str(other))

    def _force(self, test, said, names, always=True):
        if isinstance(test, ast.Constant):
            return self._replace(names, "forced", f'"{said}" never', test, "0")
        if always:
            self._replace(names, "forced", f'"{said}" always', test, "1")
        self._replace(names, "forced", f'"{said}" never', test, "0")


def _kept(function):
    # As `function`, which is asked of each node many times.
    def of(node):
        if function.__name__ not in node.__dict__:
            setattr(node, function.__name__, function(node))
        return getattr(node, function.__name__)

    return of


@_kept
def _first_values(function):
    # By local: the line from which on it has a value, of an argument 0.
    found = {each.arg: 0 for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
    return found


@_kept
def _is_viper(function):
    return any("viper" in ast.unparse(each) for each in function.decorator_list)


def _chains(node, context):
    # The names that are loaded or stored in a node, `self._told` as one.
    if isinstance(node, ast.Attribute):
        if isinstance(node.ctx, context):
            yield ast.unparse(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, context):
        yield node.id
    elif isinstance(node, ast.alias) and context is ast.Store:
        yield node.asname or node.name
    for child in ast.iter_child_nodes(node):
        yield from _chains(child, context)


@_kept
def _own(node):
    # The variables of its loops: no other statement's business.
    loops = (ast.For, ast.comprehension)
    return {
        name
        for each in ast.walk(node)
        if isinstance(each, loops)
        for name in _chains(each.target, ast.Store)
    }


@_kept
def _reads(node):
    updated = {
        name
        for each in ast.walk(node)
        if isinstance(each, ast.AugAssign)
        for name in _chains(each.target, ast.Store)
    }
    return {*_chains(node, ast.Load)} - _own(node) | updated


@_kept
def _writes(node):
    return {*_chains(node, ast.Store)} - _own(node)


def _has(node, *kinds):
    return any(isinstance(each, kinds) for each in ast.walk(node))


@_kept
def _calls(node):
    return any(
        isinstance(each, ast.Call)
        and not (isinstance(each.func, ast.Name) and each.func.id in _CASTS)
        for each in ast.walk(node)
    )


@_kept
def _touches(node):
    # Whether it loads or stores anything but locals, or calls what may.
    memory = (ast.Subscript, ast.Attribute)
    return _calls(node) or any(isinstance(each, memory) for each in ast.walk(node))


@_kept
def _stores(node):
    # Whether it may do more than set locals and attributes.
    return _calls(node) or any(
        isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store)
        for each in ast.walk(node)
    )


def _is_store(statement):
    # Whether others may see what it does: a word or an attribute that is stored, or such a loop.
    if isinstance(statement, ast.For):
        return all(map(_is_store, statement.body))
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return ast.unparse(statement.value.func) == "store"
    target = getattr(statement, "target", None) or getattr(statement, "targets", [None])[0]
    return isinstance(target, ast.Attribute | ast.Subscript)
