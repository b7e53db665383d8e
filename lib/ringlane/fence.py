"""fence(): what was stored and loaded before it comes before what is stored and loaded after it.

Imported only where lanes are fenced. Its one instruction is compiled on the board, from a string:
so this module is the same for all processors, and mpy-cross compiles it for each of them. It
allocates nothing and returns 0, a small int.
"""

import sys

import micropython

_ARM = """
@micropython.asm_thumb
def fence():
    data(2, 0xF3BF, 0x8F5F)  # DMB SY: also of ARMv6-M
    mov(r0, 0)
"""
_RISC_V = """
@micropython.asm_rv32
def fence():
    data(4, 0x0330000F)  # FENCE RW, RW
    li(a0, 0)
"""


def _made():
    # By py/persistentcode.h 4 to 8 are ARMv6-M to ARMv7E-M, 11 is RV32. The simulation has
    # none, and compiles any.
    arch = getattr(sys.implementation, "_mpy", 4 << 10) >> 10 & 15
    if not 4 <= arch <= 8 and arch != 11:
        return _nothing  # as x86-64 keeps loads and stores in order, where a test asks for fences
    names = {"micropython": micropython}
    try:
        exec(_RISC_V if arch == 11 else _ARM, names)
    except (NameError, SyntaxError):
        raise ImportError("ringlane: this MicroPython compiles no fence; see ringlane.fenced")
    return names["fence"]


@micropython.viper
def _nothing() -> int:
    return 0


fence = _made()
del _made
