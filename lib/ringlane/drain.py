"""recv_words: many words at once. Imported when the first channel with a receiver is made."""

import struct
from array import array

import micropython
from micropython import const

from .checks import error

#: words(cog.inFile) :#
_STRIDE = const(1)  # bytes of a slot
_STAMP = const(4)  # timestamp of the message last received. Owner: receiver
_WORDS_KNOWN = const(7)  # the array last checked by recv_words, as a word. Owner: receiver
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
# stamped.


@micropython.viper
def take_words(at: int, cold, words) -> int:
    """Take messages of 4 bytes into `words`, as Receiver.recv_words says; return how many."""
    part = ptr32(at)
    known = words if 1 else 0
    if (known - part[_WORDS_KNOWN]) & 0x3FFFFFFF:
        if cold._check_words(words):
            cold._kept[2] = words
            part[_WORDS_KNOWN] = known
    room = int(len(words))
    target = ptr32(words)
    taken = 0
    while taken < room:
        first = int(cold._next_lane())
        if not first:
            break
        lane = ptr32(at + first)
        slot = ptr32(int(lane) + lane[_READ])
        size = slot[_META] & 0xFFFF
        if size != 4:
            if not taken:
                cold._not_a_word(size)
            break
        target[0] = slot[2]
        target = ptr32(int(target) + 4)
        taken += 1
        part[_STAMP] = slot[_TIME]
        #: step("give back") :#
        read = lane[_READ] + part[_STRIDE]
        if not read - lane[_END]:
            read = lane[_FIRST]
        lane[_READ] = read
        # Order: slot read before tail, so the producer cannot reuse it early.
        lane[_TAIL] = lane[_TAIL] + 1
        # stamped.
    return taken


def check_words(words):
    """Raise TypeError unless `words` is an array of 4-byte ints. Allocates nothing if it is.

    Return whether that is known for good: an empty array does not tell its items.
    """
    kind = type(words)
    if kind is array or kind is memoryview:
        try:
            struct.pack_into("", words, 0)
            # It fails where the offset is beyond the last byte: so not here, ...
            struct.unpack_from("", words, len(words) * 4)
            try:
                struct.unpack_from("", words, len(words) * 4 + 1)
            except Exception:
                if not len(words):
                    return False
                if not _takes_float(words):
                    return True  # ... but here
        except Exception:
            pass
    raise error(TypeError, "words must be an array of 'i' or 'I', not %s", kind.__name__)


@micropython.viper
def _takes_float(words) -> bool:
    # An array does not tell its type, but only one of floats or of objects takes a float.
    before = ptr32(words)[0]
    try:
        words[0] = 0.5
    except TypeError:
        return False
    ptr32(words)[0] = before
    return True
