"""What a caller may pass: each check raises an error that names the value, or changes nothing."""

import struct
from array import array

import micropython


def check_name(name):
    """Raise TypeError unless `name` is a str or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError("name must be a str, not %r" % (name,))


def check_int(what, value, low, high):
    """Return `value` if it is an int in low..high, else raise an error that names it."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("%s must be an int, not %r" % (what, value))
    if not low <= value <= high:
        raise ValueError("%s must be %d to %d, not %r" % (what, low, high, value))
    return value


# What is checked once is known by its identity from then on, so these take only types whose items
# stay what they are: no subclass, whose len() may be anything.


def check_message(data):
    """Raise TypeError unless len(data) is its size in bytes. Allocates nothing if it is."""
    kind = type(data)
    if kind is bytearray or kind is bytes:
        return
    if kind is not memoryview and kind is not array:
        raise error(
            TypeError,
            "message must be bytes, bytearray, memoryview or array, not %s",
            kind.__name__,
        )
    try:
        # Nothing is read; it fails where the offset is beyond the last byte.
        struct.unpack_from("", data, len(data) + 1)
    except Exception:
        return
    raise error(TypeError, "message items must be bytes, not those of %s", kind.__name__)


def check_buffer(buf):
    """Raise TypeError unless `buf` is byte-wide and writable. Allocates nothing if it is.

    Return whether that is known for good: of an empty array the items' size is not.
    """
    if type(buf) is bytearray:
        return True
    check_message(buf)
    try:
        struct.pack_into("", buf, 0)  # writes nothing, but asks for a writable buffer
    except TypeError:
        raise error(TypeError, "receive buffer must be writable, not %s", type(buf).__name__)
    return len(buf) > 0


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
                # An array does not tell its type, but only one of floats or objects takes a float.
                try:
                    _store_float(words)
                except TypeError:
                    return True
        except Exception:
            pass
    raise error(TypeError, "words must be an array of 'i' or 'I', not %s", kind.__name__)


@micropython.viper
def _store_float(words):
    # Raises TypeError if `words` takes none, and changes nothing.
    before = ptr32(words)[0]
    words[0] = 0.5
    ptr32(words)[0] = before


def error(kind, text, value, second=None):
    """Return the exception `kind` with a sentence."""
    # In a hard handler there is no memory for a sentence; the exception then holds its parts.
    try:
        return kind(text % (value if second is None else (value, second)))
    except MemoryError:
        return kind(text, value) if second is None else kind(text, value, second)
