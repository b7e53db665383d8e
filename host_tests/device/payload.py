"""Messages that can be checked: every byte follows from a number and its place."""

import micropython


@micropython.viper
def fill(buf, number: int, size: int):
    """Write the first `size` bytes of message `number` into `buf`."""
    data = ptr8(buf)
    for i in range(size):
        data[i] = number * 31 + (number >> 8) * 17 + i * 7 + 1


@micropython.viper
def holds(buf, number: int, size: int) -> bool:
    """Return whether `buf` begins with the first `size` bytes of message `number`."""
    data = ptr8(buf)
    for i in range(size):
        if data[i] != (number * 31 + (number >> 8) * 17 + i * 7 + 1) & 0xFF:
            return False
    return True
