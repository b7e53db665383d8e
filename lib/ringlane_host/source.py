"""How ringlane's source is read on CPython: with viper's word of an object in it.

In viper `x if 1 else 0` is the word that stands for the object x, where CPython would give x. Here
it is made into a call that returns such a word: the same for the same object, and one that another
object may have once this one is gone, as on a chip.
"""

import ast
import builtins
import sys
from importlib.machinery import PathFinder, SourceFileLoader

_WORD_OF = "word of (viper)"  # a name that no source can have


def word_of(obj):
    """Return the word that stands for `obj`: of a small int twice that and 1, else even."""
    if type(obj) is int and -(1 << 30) <= obj < 1 << 30:
        return obj << 1 | 1
    return id(obj) >> 4 << 2 & 0x3FFFFFFC


class _Words(ast.NodeTransformer):
    def visit_IfExp(self, node):
        self.generic_visit(node)
        if ast.unparse(node.test) == "1" and ast.unparse(node.orelse) == "0":
            call = ast.Call(ast.Name(_WORD_OF, ast.Load()), [node.body], [])
            return ast.copy_location(
                ast.fix_missing_locations(ast.copy_location(call, node)), node
            )
        return node


class Loader(SourceFileLoader):
    """Loads a module of ringlane so."""

    def get_code(self, fullname):
        # Nothing is taken from the cache or put there: that is CPython's meaning of the source.
        path = self.get_filename(fullname)
        tree = _Words().visit(ast.parse(self.get_data(path), path))
        return compile(tree, path, "exec", dont_inherit=True)


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith("ringlane."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install():
    """Read the modules of ringlane so from now on."""
    setattr(builtins, _WORD_OF, word_of)
    sys.meta_path.insert(0, _Finder)


__all__ = ["Loader", "install", "word_of"]
