"""Words of a channel's block, for Python code that is not hot."""

import micropython


@micropython.viper
def load(at: int, word: int) -> int:
    """Return a word of the block at the address `at`, modulo 2**30, so that none is allocated."""
    return ptr32(at + (word << 2))[0] & 0x3FFFFFFF


@micropython.viper
def plus(a: int, b: int) -> int:
    """Return a + b modulo 2**30: in Python the sum may be an int that has to be allocated."""
    return (a + b) & 0x3FFFFFFF
