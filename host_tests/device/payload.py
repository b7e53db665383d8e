"""Messages that can be checked: every byte follows from a number and its place."""

import micropython


@micropython.viper
def fill(buf, number: int, size: int):
    """Write the first `size` bytes of message `number` into `buf`."""
    data = ptr8(buf)
    value = number * 31 + (number >> 8) * 17 + 1
    for i in range(size):
        data[i] = value
        value += 7


@micropython.viper
def holds(buf, number: int, size: int) -> bool:
    """Return whether `buf` begins with the first `size` bytes of message `number`."""
    data = ptr8(buf)
    value = number * 31 + (number >> 8) * 17 + 1
    for i in range(size):
        if data[i] != value & 0xFF:
            return False
        value += 7
    return True
