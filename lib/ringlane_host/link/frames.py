"""Frames: what goes over the wire between a board and a host; see README.md beside this.

for each in splitter.feed(data):  # what a port has given
    ...  # bytes: what the program printed; a Frame; or Damaged
"""

import random
import re
import zlib
from dataclasses import dataclass

from cobs import cobs

VERSION = 3
PAYLOAD_MAX = 254  # header, body and CRC
BODY_MAX = PAYLOAD_MAX - 6 - 4

# Types from the host, and from the board.
ATTACH, ASK, ASK_TABLE, BYE = range(1, 5)
HELLO, CHANNEL, SNAPSHOT, EVENTS, STATUS, TIME, GONE, STREAM = range(0x81, 0x89)
# Of the host, for the desk of ringlane.remote; such types pass a console as they are.
OPEN, DATA, RESUME = 0x20, 0x21, 0x22

STRAY_MAX = 29  # bytes of a frame from the host where a wire is careful, see session.Wire

_RANDOM = random.SystemRandom()
_ESCAPED = re.compile(rb"\x1b(.?)", re.DOTALL)
_ON_WIRE = [bytes((0x1B, byte ^ 0x40) if byte < 32 else (byte,)) for byte in range(256)]
_WIRE_MAX = 2 * (PAYLOAD_MAX + 1)


def plain_number(size: int, random: random.Random = _RANDOM) -> int:
    """Return a random number of so many bytes, none of which becomes longer in a frame."""
    return int.from_bytes(bytes(0x20 + random.randrange(0xE0) for _ in range(size)))


@dataclass(frozen=True)
class Frame:
    """A frame that came whole."""

    kind: int
    session: int
    number: int
    body: bytes
    version: int = VERSION


@dataclass(frozen=True)
class Damaged:
    """So many bytes that are neither a frame nor text."""

    size: int


def encode(kind: int, session: int, number: int, body: bytes, version: int = VERSION) -> bytes:
    """Return a frame as it goes over the wire. Raise ValueError if `body` is too long."""
    if len(body) > BODY_MAX:
        raise ValueError(f"a frame's body has up to {BODY_MAX} bytes, not {len(body)}")
    payload = bytes((version, kind)) + session.to_bytes(2, "little")
    payload += number.to_bytes(2, "little") + body
    payload += zlib.crc32(payload).to_bytes(4, "little")
    return b"\0" + b"".join([_ON_WIRE[byte] for byte in cobs.encode(payload)]) + b"\0"


def decode(chunk: bytes) -> Frame | None:
    """Return the frame that stood between two zeros, None if it is none."""
    try:
        payload = cobs.decode(_ESCAPED.sub(lambda pair: bytes((pair[1][0] ^ 0x40,)), chunk))
    except (cobs.DecodeError, IndexError):
        return None
    if not 10 <= len(payload) <= PAYLOAD_MAX:
        return None
    if zlib.crc32(payload[:-4]) != int.from_bytes(payload[-4:], "little"):
        return None
    return Frame(
        payload[1],
        int.from_bytes(payload[2:4], "little"),
        int.from_bytes(payload[4:6], "little"),
        bytes(payload[6:-4]),
        payload[0],
    )


class Splitter:
    """Tells frames from what the program prints, which has no zeros in it.

    Behind a zero may begin a frame or text, should one zero be lost: what is no frame but could
    be text is given as text, late.
    """

    def __init__(self) -> None:
        self._inside = False
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes | Frame | Damaged]:
        """Return what `data` brings, in its order."""
        found: list[bytes | Frame | Damaged] = []
        *ended, rest = data.split(b"\0")
        for part in ended:
            self._add(part, found)
            if not self._inside:
                self._inside = True
            elif self._held:
                frame = decode(bytes(self._held))
                self._inside = frame is None  # else that zero may have been a beginning
                if frame is not None:
                    found.append(frame)
                else:
                    found.append(_text_or_damage(bytes(self._held)))
                self._held.clear()
        self._add(rest, found)
        return found

    def _add(self, part: bytes, found: list[bytes | Frame | Damaged]) -> None:
        if self._inside:
            self._held += part
            if len(self._held) > _WIRE_MAX:
                found.append(_text_or_damage(bytes(self._held)))
                self._held.clear()
                self._inside = False
        elif part:
            found.append(part)


def _text_or_damage(chunk: bytes) -> bytes | Damaged:
    text = chunk.decode("utf-8", "replace")
    if "\ufffd" in text or any(ord(c) < 32 and c not in "\r\n\t\b\x1b\x04" for c in text):
        return Damaged(len(chunk))
    return chunk
