"""How ringlane's source is read on CPython: with viper's word of an object in it.

In viper `x if 1 else 0` is the word that stands for the object x, where CPython would give x. Here
it is made into a call that returns such a word: the same for the same object, and one that another
object may have once this one is gone, as on a chip. `word if 1 else x`, with anything but 0 there,
is the object for which the word stands.
"""

import ast
import builtins
import sys
from importlib.machinery import PathFinder, SourceFileLoader

_WORD_OF, _OBJECT_OF = "word of (viper)", "object of (viper)"  # names that no source can have
_IMMEDIATE = {6: None, 14: False, 30: True}  # words that are no addresses
_WORDS = {obj: word for word, obj in _IMMEDIATE.items()}


class Word(int):
    """The address of an object, by which a verb reads the object's own words in place.

    `obj`: the object; `items`: whether it is the address of that list's items.
    """

    obj: object
    items = False


def word_of(obj):
    """Return the word that stands for `obj`: of a small int twice that and 1, else even."""
    if type(obj) is int and -(1 << 30) <= obj < 1 << 30:
        return obj << 1 | 1
    if obj is None or type(obj) is bool:
        return _WORDS[obj]
    word = Word(id(obj) >> 4 << 2 & 0x3FFFFFFC)
    word.obj = obj
    return word


def object_of(word):
    """Return the object that a word stands for; it is one that was read out of an object."""
    if type(word) is Word:
        return word.obj
    return word >> 1 if word & 1 else _IMMEDIATE[word]


class _Words(ast.NodeTransformer):
    def visit_IfExp(self, node):
        self.generic_visit(node)
        if ast.unparse(node.test) == "1":
            name = _WORD_OF if ast.unparse(node.orelse) == "0" else _OBJECT_OF
            call = ast.Call(ast.Name(name, ast.Load()), [node.body], [])
            return ast.copy_location(
                ast.fix_missing_locations(ast.copy_location(call, node)), node
            )
        return node


class Loader(SourceFileLoader):
    """Loads a module of ringlane so."""

    def get_code(self, fullname):
        # Nothing is taken from the cache or put there: that is CPython's meaning of the source.
        path = self.get_filename(fullname)
        source = self.get_data(path)
        tree = ast.parse(source, path)
        if b"if 1 else" in source:  # few modules have one, and to look at every node takes long
            tree = _Words().visit(tree)
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
    setattr(builtins, _OBJECT_OF, object_of)
    sys.meta_path.insert(0, _Finder)


__all__ = ["Loader", "Word", "install", "object_of", "word_of"]
