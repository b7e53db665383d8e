"""How firmware is loaded: its own modules, its own builtins, its own `import`.

Nothing of the test's process is patched. A firmware's modules see the board's `time`, `asyncio`,
`machine` and so on, since their builtins have another __import__; the test's own imports see
CPython's. Source is taken as it is, but for what is put into it:

    a call at each round of a loop        so that a loop without a wait takes time
    a call where a function allocates     so that a hard handler that does is found
    a call in each `except:` that
    catches everything                    so that the board can be stopped
    generators that can be awaited        as in MicroPython, where coroutines are generators
"""

import ast
import builtins
import functools
import importlib.util
import inspect
import types
from pathlib import Path

from .. import simulate
from ..simulate import source
from .faults import BoardError

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_HOST = Path(__file__).resolve().parent.parent
_ROUND = "round of a loop (board)"  # names that no source can have
_CAUGHT = "caught everything (board)"
_ALLOCATES = "allocates (board)"
_EVERYTHING = ("BaseException", "object")
_MAKERS = (  # of objects
    "bytearray bytes dict enumerate filter float list map memoryview reversed set sorted str sum "
    "super tuple zip"
).split()

# What MicroPython has of CPython's library, and that works here as it is.
PLAIN = (
    "array binascii cmath errno hashlib heapq io json math re struct collections random".split()
)
_codes: dict[tuple[str, int, bool], types.CodeType] = {}  # by path and when it was written


def find(folders, path):
    """Return where the firmware `path` is in one of `folders`. Raises BoardError."""
    files = [folder / path for folder in folders]
    for file in files:
        if file.is_file():
            return file
    raise BoardError(f"no firmware {' or '.join(map(str, dict.fromkeys(files)))}")


class _Instrument(ast.NodeTransformer):
    def _call(self, name, at, *args):
        call = ast.Expr(ast.Call(ast.Name(name, ast.Load()), [*map(ast.Constant, args)], []))
        return ast.fix_missing_locations(ast.copy_location(call, at))

    def visit(self, node):
        """Visit a node; a statement that allocates gets a call before it."""
        found = None
        if isinstance(node, ast.stmt) and self._in_function:
            for each in _expressions(_without_swap(node)):
                found = _allocates(each)
                if found:
                    break
        result = super().visit(node)
        return result if not found else [self._call(_ALLOCATES, node, found), result]

    _in_function = 0

    def _loop(self, node):
        self.generic_visit(node)
        node.body.insert(0, self._call(_ROUND, node.body[0]))
        return node

    visit_While = visit_For = visit_AsyncFor = _loop

    def visit_ExceptHandler(self, node):
        self.generic_visit(node)
        caught = [] if node.type is None else ast.walk(node.type)
        if node.type is None or any(
            isinstance(each, ast.Name) and each.id in _EVERYTHING for each in caught
        ):
            node.body.insert(0, self._call(_CAUGHT, node.body[0]))
        return node

    def _function(self, node):
        # Viper's loops are not left by the scheduler.
        for each in node.decorator_list:
            if isinstance(each, ast.Attribute) and each.attr in ("viper", "asm_thumb"):
                return node
        self._in_function += 1
        self.generic_visit(node)
        self._in_function -= 1
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function


def _expressions(statement):
    """Yield the expressions of a statement itself, not those of statements or lambdas in it."""
    left = [statement]
    while left:
        node = left.pop()
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                yield child
                if not isinstance(child, ast.Lambda):
                    left.append(child)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return


def _without_swap(statement):
    # `a, b = b, a` of two or three is compiled without a tuple.
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=to)], value=ast.Tuple(elts=values)):
            if len(to) == len(values) <= 3:
                return ast.Assign(values, values[0])
    return statement


def _allocates(node):
    """Return what about an expression allocates in MicroPython, or None."""
    match node:
        case ast.JoinedStr():
            return "an f-string"
        case ast.List(ctx=ast.Load()) | ast.Dict() | ast.Set():
            return "a new " + type(node).__name__.lower()
        case ast.ListComp() | ast.DictComp() | ast.SetComp() | ast.GeneratorExp():
            return "a comprehension"
        case ast.Lambda():
            return "a lambda"
        case ast.Subscript(slice=ast.Slice(), ctx=ast.Load()):
            return "a slice"
        case ast.BinOp(op=ast.Div()):
            return "a division, whose result is a float,"
        case ast.BinOp(left=ast.Constant(value=str() | bytes()), op=ast.Mod()):
            return "formatting"
        case ast.BinOp(op=ast.Add()) if _is_text(node.left) or _is_text(node.right):
            return "adding strings"
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() | bytes()))):
            return "a string's method"
        case ast.Call(func=ast.Name(id=name)) if name in _MAKERS:
            return f"{name}()"
        case ast.Tuple(ctx=ast.Load(), elts=[_, *_]) if not _is_constant(node):
            return "a new tuple"
        case ast.Constant(value=float()):
            return "a float"
        case ast.Starred(ctx=ast.Load()):
            return "a call with *args"
    return None


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _is_constant(node):
    # As mpy-cross folds it: a tuple of constants is one.
    if isinstance(node, ast.Tuple):
        return all(map(_is_constant, node.elts))
    return isinstance(node, ast.Constant)


def _awaitable(code):
    """Return `code` with every generator in it made one that can be awaited."""
    consts = tuple(_awaitable(c) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    flags = code.co_flags
    if flags & inspect.CO_GENERATOR and code.co_name != "<genexpr>":
        flags |= inspect.CO_ITERABLE_COROUTINE
    return code.replace(co_consts=consts, co_flags=flags)


def _compiled(path, name, ours):
    # `ours`: a module of ringlane, which is not changed.
    key = str(path), path.stat().st_mtime_ns, ours
    code = _codes.get(key)
    if code is None:
        if ours:
            code = source.Loader(name, str(path)).get_code(name)
        else:
            tree = _Instrument().visit(ast.parse(path.read_bytes(), str(path)))
            code = compile(tree, str(path), "exec", dont_inherit=True)
        code = _codes[key] = _awaitable(code)
    return code


def ringlane_folder():
    """Return where the device code is; the package itself is not imported."""
    spec = importlib.util.find_spec("ringlane")
    if spec is None or not spec.submodule_search_locations:
        raise BoardError("ringlane is not installed: pip install ringlane")
    return Path(list(spec.submodule_search_locations)[0]).resolve()


@functools.cache
def is_ours(file):
    """Return whether a file is ringlane's or the board's, and none of the firmware's."""
    path = Path(file)
    return path.is_relative_to(ringlane_folder()) or path.is_relative_to(_HOST)


class Firmware:
    """The modules of one board since its reset. `modules`: the board's own, by name."""

    def __init__(self, kernel, modules, functions):
        self.modules = dict(modules)
        self.path = []  # folders
        self._builtins = {**vars(builtins), **simulate.names(), **functions}
        self._builtins["__import__"] = self._import
        self._builtins[_ROUND] = kernel.loop_round
        self._builtins[_CAUGHT] = kernel.caught
        self._builtins[_ALLOCATES] = kernel.allocates
        self._package = ringlane_folder()
        self.folder = None

    def run(self, path):
        """Run a file as __main__."""
        main = types.ModuleType("__main__")
        main.__file__ = str(path)
        main.__dict__["__builtins__"] = self._builtins
        self.modules["__main__"] = main
        exec(_compiled(path, "__main__", False), main.__dict__)

    def load(self, name):
        """Return the module of that whole name. Raises ImportError as the board would."""
        module = self.modules.get(name)
        if module is not None:
            return module
        parent, _, child = name.rpartition(".")
        folders = self.path
        if parent:
            package = self.load(parent)
            if not hasattr(package, "__path__"):
                raise ImportError(f"no module named '{name}': '{parent}' is not a package")
            folders = package.__path__
        elif name == "ringlane":
            folders = [self._package.parent]
        elif name[0] == "u" and name[1:] in self.modules:
            return self.modules[name[1:]]
        for folder in folders:
            for path in (Path(folder, child, "__init__.py"), Path(folder, child + ".py")):
                if path.is_file():
                    return self._exec(name, path, parent)
        hint = ""
        if not parent and importlib.util.find_spec(name) is not None:
            hint = ": CPython has it, MicroPython on this board has not; put it beside main.py"
        raise ImportError(f"no module named '{name}'{hint}")

    def _exec(self, name, path, parent):
        module = types.ModuleType(name)
        module.__file__ = str(path)
        package = path.name == "__init__.py"
        module.__package__ = name if package else parent
        if package:
            module.__path__ = [str(path.parent)]
        module.__dict__["__builtins__"] = self._builtins
        self.modules[name] = module
        try:
            exec(_compiled(path, name, name.split(".")[0] == "ringlane"), module.__dict__)
        except BaseException:
            del self.modules[name]
            raise
        if parent:
            setattr(self.modules[parent], name.rpartition(".")[2], module)
        return module

    def _import(self, name, globals=None, locals=None, fromlist=(), level=0):
        if level:
            base = (globals or {}).get("__package__") or ""
            for _ in range(level - 1):
                base = base.rpartition(".")[0]
            name = f"{base}.{name}" if name else base
        module = self.load(name)
        if not fromlist:
            return self.modules[name.partition(".")[0]] if "." in name else module
        for each in fromlist:
            if each and each != "*" and hasattr(module, "__path__") and not hasattr(module, each):
                try:
                    self.load(f"{name}.{each}")
                except ImportError as error:
                    if f"'{name}.{each}'" not in str(error):
                        raise
        return module


__all__ = ["PLAIN", "Firmware", "find", "is_ours", "ringlane_folder"]
