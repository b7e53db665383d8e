"""Messages that can be checked: what is in one follows from its number.

fill() and holds() are for any size: every byte follows from a number and its place, and the reader
knows which number it must be. A message of stamp() tells its number.
"""

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


@micropython.viper
def stamp(buf, number: int, words: int):
    """Write message `number` of so many words, from 2 on, into `buf`, which is aligned to them."""
    data = ptr32(buf)
    data[0] = number
    i = 1
    while i < words:
        number = number * 69069 + 12345  # each of its bytes is another message's by chance only
        data[i] = number
        i += 1


@micropython.viper
def stamped(buf, words: int) -> int:
    """Return the number of the message of so many words in `buf`, -1 if it is torn."""
    data = ptr32(buf)
    first = data[0]
    number = first
    i = 1
    while i < words:
        number = number * 69069 + 12345
        if data[i] != number:
            return -1
        i += 1
    return first


_rooms = []  # what the pieces lie in: they do not keep it


def pieces(most, odd=3):
    """Return messages of 0 up to `most` bytes in the same memory, by `size & odd` past a word.

    They are bytearrays, which a verb knows by their type. To check a memoryview it raises and
    catches an exception, and where two threads without a GIL do that under a locked heap
    MicroPython itself may crash: all threads share the one exception that needs no heap.
    """
    from uctypes import addressof, bytearray_at  # here, as CPython has none

    room = bytearray(most + 4)
    _rooms.append(room)
    return [bytearray_at(addressof(room) + (size & odd), size) for size in range(most + 1)]
