"""What differs between chips: objects as words, addresses, and the event that wakes a core.

Objects as words
    `x if 1 else 0` is, in viper, the word that stands for the object x: mostly its address. It
    takes ten cycles on an RP2040, where int(x) takes sixty.

Ints as words
    The word of a small int is twice that and 1; that of every other object is even. So a verb
    closes over an address divided by 4, which is a small int wherever the memory lies, and the
    word less 1, doubled, is the address.

MicroPython documents none of this, so it is tried at import.
"""

import sys

import micropython


@micropython.viper
def _same(a, b) -> bool:
    one = a if 1 else 0
    other = b if 1 else 0
    return one == other


@micropython.viper
def _word(x) -> int:
    word = x if 1 else 0
    return word


_first, _second = bytearray(1), bytearray(1)
if not _same(_first, _first) or _same(_first, _second):
    raise ImportError("ringlane: this MicroPython's viper does not tell objects apart")
if [_word(each) for each in (0, 5, 1000, -3)] != [1, 11, 2001, -5] or _word(True) & 1:
    raise ImportError("ringlane: this MicroPython codes ints in a way that is not known")
del _same, _word, _first, _second


# The register of the clock that counts microseconds, 0: none; whether its cores need fences.
#: facts("REGISTER", "fenced") :#
mcu = getattr(sys.implementation, "_machine", "").split(" with ")[-1]
REGISTER = 0
fenced = False
if mcu == "RP2040":
    REGISTER = 0x40054028
elif mcu == "RP2350" or mcu == "RP2350-RISCV":
    REGISTER = 0x400B0028
    fenced = True
del mcu
# stamped.
fenced = sys.modules["ringlane"].__dict__.get("fenced", fenced)


@micropython.viper
def address(block) -> int:
    """Return where the bytes of `block` lie. The collector moves nothing."""
    return int(ptr8(block))


if REGISTER:  # an rp2: two cores run Python
    from machine import disable_irq, enable_irq

    def send_event():
        """Wake the other core, if it waits for an event."""
        # While both cores run Python this gives back a mutex, and that ends in an event.
        enable_irq(disable_irq())
else:

    def send_event():
        """Wake the other core: there is none."""


def later(name):
    """Return the module of that whole name, imported when it is first asked for."""
    module = sys.modules.get(name)
    if module is None:
        bytearray(1)  # raises MemoryError in a hard handler, which must touch no file
        # Not `from . import`: that would ask the package's __getattr__ for it.
        module = __import__(name, None, None, ("",))
    return module


# fence() lets other cores see this one's stores in order; see `Fences` in lanes.py.
fence = later("ringlane.fence").fence if fenced else None
