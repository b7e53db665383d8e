"""The direct form of the verbs: where it differs from the portable one, and when it is taken."""

import ast
import difflib
import re
import sys
from array import array
from types import SimpleNamespace

import pytest
from conftest import PACKAGE, in_form
from ringlane_host import engine, simulate
from ringlane_host.simulate.address_space import InPlace
from ringlane_host.simulate.source import Loader, word_of

PORTABLE = (PACKAGE / "verbs.py").read_text()
DIRECT = (PACKAGE / "verbs_direct.py").read_text()
FENCED = (PACKAGE / "verbs_fenced.py").read_text()

# Where they differ


def without_accessors(text):
    """Return the lines of a module of verbs, less what the direct form has otherwise."""
    text = text[text.index('"""', 3) + 4 :]
    text = re.sub(r"(?ms)^(#: words|_[A-Z]).*?(?=\n\n|\Z)", "", text)
    text = re.sub(r"(?ms)^ *# Accessor: .*?# As verbs.py again\.\n", "", text)
    names = "|".join(engine.DIRECT)
    text = re.sub(rf'(?ms)^ *#: step\("({names})".*?# stamped\.\n', "", text)
    return re.sub(r"(?m)^ *(#: step.*|# stamped\.|#: direct.*)\n", "", text).splitlines()


# The other lines: the cold side and the results come out of one list.
INLINE = [
    (r"^( *)if part\[_(TX_)?FENCED\]:\n *cold\._fence\(\).*\n", ""),
    (r"\bcold\._", "own[1]._"),
    (r" -> bool:", ":"),
    (r"^( *)return True$", r"\1yes = mine[2] if 1 else own\n\1return yes"),
    (r"^( *)return False$", r"\1no = mine[3] if 1 else own\n\1return no"),
    (r"^( *)return result$", r"\1found = mine[2] if 1 else own\n\1return found"),
    (r"^( *)nonlocal here\n *here = address >> 2$", r"\1own[0] = address >> 2"),
]


def test_only_accessors_differ():
    portable = "\n".join(without_accessors(PORTABLE))
    for old, new in INLINE:
        assert re.search(old, portable, re.MULTILINE), old
        portable = re.sub(old, new, portable, flags=re.MULTILINE)
    left = ast.unparse(ast.parse(portable)).splitlines()
    right = ast.unparse(ast.parse("\n".join(without_accessors(DIRECT)))).splitlines()
    assert len(left) > 100
    assert not [*difflib.unified_diff(left, right, n=0)]


def test_only_fences_differ():
    """Two in each verb that receives, one in each that sends, and where they are kept."""
    direct, fenced = (re.split(r"(?m)^#: direct.*\n", text)[1] for text in (DIRECT, FENCED))
    fence = r"(?m)^ +order = mine\[[46]\] if 1 else own\n +order\(\).*\n(.*\n)"
    assert re.sub(fence, r"\1", fenced.replace(", cold._fence]", "]")) == direct
    before = [line.split(",")[0].strip() for line in re.findall(fence, fenced)]
    head, tail = "# Order: slot before head", "# Order: slot read before tail"
    slot = "slot = ptr32(int(lane) + lane[_READ])"
    assert before == [head, head, slot, tail, slot, tail]


def accesses(form):
    """Return every access to what the contexts of a channel share, by its verbs, in order.

    Those are the lanes and slots. Of loads between two stores the first of each word: the direct
    form loads META in parts.
    """
    seen, loaded = [], set()

    def note(kind, address, width):
        word = address - base >> 2
        if shared <= word < size:
            if kind == "store":
                loaded.clear()
            elif word in loaded:
                return
            else:
                loaded.add(word)
            seen.append((kind, word))

    with in_form(form):
        import ringlane

        assert ringlane.engine == form
        ch = ringlane.PriorityChannel((3, 0, 2, 2, 2), 40)
        base, size, shared = ch._base, len(ch._block) >> 2, ch._header(0, 0)
        buf = bytearray(40)
        simulate.memory.hook = note
        try:
            for length in (0, 1, 3, 4, 16, 31, 40, 41):
                for kind in (bytes, bytearray, memoryview, lambda data: array("B", data)):
                    ch.send(kind(bytes(length)), ringlane.LOW)
                    ch.send(kind(bytes(length)), 0)
                    while ch.recv(buf):
                        pass
            for value in (0, -1, 1 << 30, 5):
                for priority in (2, 0, 4, 0, 0, 0):
                    ch.send_word(value, priority)
                while ch.recv_word():
                    pass
        finally:
            simulate.memory.hook = None
    return seen


def test_the_order_of_shared_loads_and_stores_is_the_same():
    portable = accesses("portable")
    assert len(portable) > 1000
    assert accesses("direct") == portable


# When it is taken


def probe(monkeypatch, asked=None, **changes):
    """Return probe.py run anew; `changes`: what a kind of object has otherwise, by its name."""
    load = InPlace.load

    def other(self, offset, width):
        found = load(self, offset, width)
        change = changes.get(type(self._obj).__name__)
        if change and not self._items and change[0] == offset >> 2:
            return change[1](found)
        return found

    monkeypatch.setattr(InPlace, "load", other)
    package = SimpleNamespace() if asked is None else SimpleNamespace(engine=asked)
    name = "ringlane.probe"
    module = {"__name__": name, "__package__": "ringlane"}
    with in_form("direct"):
        import ringlane.port  # noqa: F401

        whole, sys.modules["ringlane"] = sys.modules["ringlane"], package
        try:
            exec(Loader(name, str(PACKAGE / "probe.py")).get_code(name), module)
        finally:
            sys.modules["ringlane"] = whole
    return module["engine"]


def test_the_layout_that_is_known_makes_it_direct(monkeypatch):
    assert probe(monkeypatch) == "direct"
    assert probe(monkeypatch, "direct") == "direct"
    assert probe(monkeypatch, "portable") == "portable"


OTHERWISE = (
    [
        (kind, word, change, told)
        for kind in ("bytes", "bytearray")
        for word, change, told in (
            (0, lambda found: word_of(str), "the type of "),
            (2, lambda found: found + 1, "the length of "),
            (2, lambda found: max(found, 1), "the length of "),
            (2, lambda found: min(found, 5), "the length of "),
            (3, lambda found: found + 4, "the address of "),
        )
    ]
    + [(kind, 2, lambda found: found + 100, "the length of ") for kind in ("memoryview", "array")]
    + [
        ("list", 2, lambda found: 3, "the length of "),
        ("list", 2, lambda found: found * 2, "the length of "),
    ]
)


@pytest.mark.parametrize("kind, word, change, told", OTHERWISE)
def test_another_layout_makes_it_portable(monkeypatch, kind, word, change, told):
    changes = {kind: (word, change)}
    assert probe(monkeypatch, **changes) == f"portable: {told}{kind}"
    with pytest.raises(ImportError, match=f"cannot be 'direct' here: {told}{kind}"):
        probe(monkeypatch, "direct", **changes)


def test_ints_of_another_code_make_it_portable(monkeypatch):
    def twice(self, offset, width, value):
        self._obj[offset >> 2] = value

    monkeypatch.setattr(InPlace, "store", twice)
    assert probe(monkeypatch) == "portable: the items of list"


def test_another_name_is_an_error(monkeypatch):
    with pytest.raises(ImportError, match="must be 'direct' or 'portable', not 'fast'"):
        probe(monkeypatch, "fast")


ASK = """
import ringlane
{before}
from ringlane import HIGH, PriorityChannel
ch = PriorityChannel(2)
print(ch.send(b"over", HIGH), ch.recv(bytearray(4))[:2], ringlane.engine)
import sys
print(sys.maxsize >> 32 > 0, [name for name in sys.modules if "verbs" in name])
"""


@pytest.mark.parametrize("before", ["", "ringlane.engine = 'portable'"])
def test_micropython_says_which_it_runs_and_loads_no_other(micropython, before):
    first, second = micropython(ASK.format(before=before)).splitlines()
    wide = second.startswith("True")
    portable = "portable" if before else "portable: words of 64 bits"
    form = portable if before or wide else "direct"
    assert first == f"True [4, 1] {form}"
    assert ("verbs_direct" in second) == (form == "direct")


# What the simulation refuses


def test_nobody_reads_what_is_no_buffer_in_place():
    read = InPlace(word_of("text"))
    with pytest.raises(simulate.BadAddress, match="word 2 of a str"):
        read.load(8, 4)
    with pytest.raises(simulate.BadAddress, match="word 1 of a bytes"):
        InPlace(word_of(b"x")).load(4, 4)
    items = InPlace(InPlace(word_of([1, 2])).load(12, 4))
    with pytest.raises(simulate.OutOfBounds, match="item 2 of a list of 2"):
        items.store(8, 4, 5)
    with pytest.raises(simulate.BadAddress, match="no small int"):
        items.store(4, 4, 4)
