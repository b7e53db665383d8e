"""The two streams between a host and what a board's program has opened to it; see README.md.

What goes to the board is a list of records, in a stream of bytes whose places are numbered: what
is not confirmed is sent again from there, the board takes each byte once, in order, and tells the
result of each record. What comes from the board is a stream of the same kind.
"""

import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .frames import BODY_MAX, DATA, OPEN, RESUME, STRAY_MAX, encode, plain_number

_RESULTS = 32  # records that may be on the way
_WINDOW = 512  # bytes that may be
_WORTH = 128  # bytes are worth a frame beside others on the way
_AGAIN_S = 0.25  # without an answer: send it again
_TRIES = 4  # in vain, after which frames are small
_SMALL = 50  # of them, before a large one is tried
_HALF, _MASK = 0x8000, 0xFFFF

# Kinds of records: of the host, and of the board.
SEND, CALL, CANCEL, REPLY, GRANT = range(5)
FIRST = 0x40
OPENED, END, MESSAGE, REQUEST, RESPONSE, CLOSED = range(6)
AGAIN = 0x80

# Results, above how many receivers will get it.
RECEIVERS_MAX = 239
FULL, REJECTED, CLOSED_THERE, NOT_OPEN, WRONG = range(250, 255)


@dataclass(frozen=True)
class Record:
    """A record of the board's."""

    index: int
    kind: int
    level: int
    again: bool
    body: bytes


@dataclass
class _Sent:
    """A record on its way to the board: `end`, the place behind it."""

    start: int
    end: int
    answer: Callable[[int], object]


class Stream:
    """The host's end of both streams. A session calls begin, write, take.

    `records`: what came from the board, in order; whoever reads them takes them out. `lost`: ""
    or why the board does not know this stream any more, so that another one has to begin.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        number: Callable[[int], int] = plain_number,
    ) -> None:
        self.number = number(4)
        self._random = number
        self.records: deque[Record] = deque()
        self.lost = ""
        self.opened = False  # the board has answered in this session
        self._clock = clock
        self._waiting: deque[tuple[bytes, Callable[[int], object]]] = deque()
        self._flying: deque[_Sent] = deque()
        self._bytes = bytearray()  # not confirmed, from _base on
        self._base = self._next = 0  # places of its first byte, and of the first not sent yet
        self._reached = 0  # the place behind all that was ever sent
        self._executed = 0  # records whose results are known
        self._got = 0  # bytes of the board's stream
        self._partial = bytearray()
        self._confirmed = 0  # of _got, as the board was told
        self._tried = -1e9  # to open, or to send again
        # Since the board took something; above _TRIES, how many small frames it took.
        self._idle_tries = 0
        self._known = False  # the board has answered once, so it has this stream

    # -- for whoever uses it

    def put(self, index: int, what: int, body: bytes, answer: Callable[[int], object]) -> None:
        """Send a record; `answer(result)` is called once, when the board has told it."""
        self._waiting.append((struct.pack("<BBH", index, what, len(body)) + body, answer))
        self._fill()

    def withdraw(self, answer: Callable[[int], object]) -> bool:
        """Forget the record with that answer; False if it is on its way, or is not here."""
        for each in self._waiting:
            if each[1] == answer:
                self._waiting.remove(each)
                return True
        return False

    @property
    def room(self) -> bool:
        """Whether what was put before is on its way, so that it need not wait here."""
        return not self._waiting

    def whereabouts(self, answer: Callable[[int], object]) -> bool:
        """Return whether the record with that answer may have reached the board."""
        for each in self._flying:
            if each.answer == answer:
                return each.end <= self._reached
        return False

    # -- for the session

    def begin(self) -> None:
        """A session has begun, perhaps with another start of the board."""
        self.opened = False
        self._tried = -1e9
        self._idle_tries = 0

    @property
    def got(self) -> int:
        """Bytes of the board's stream up to now, modulo 65536; telling them confirms them."""
        self._confirmed = self._got
        return self._got & _MASK

    def overdue(self, careful_s: float) -> bool:
        """Whether nothing is on its way, or for so long that it is lost."""
        return self._next == self._base or self._clock() - self._tried > careful_s

    @property
    def wants_to_confirm(self) -> bool:
        """Bytes have come that the board was not told of."""
        return self._confirmed != self._got

    def frame(self, session: int, careful_s: float) -> bytes | None:
        """Return the next frame for the board, None if there is none now."""
        if self.lost:
            return None
        now = self._clock()
        patience = max(_AGAIN_S, careful_s)
        if not self.opened:
            if now - self._tried < patience:
                return None
            self._tried = now
            return self._open(session)
        self._fill()
        if self._next > self._base and now - self._tried > patience:
            self._next = self._base
            self._idle_tries += 1
        # Nothing came through: in between may be a hub, which takes small frames, one at a time.
        careful = careful_s > 0 or self._idle_tries >= _TRIES
        if careful and self._next > self._base:
            return None
        count = min(self._base + len(self._bytes) - self._next, self._sendable())
        if count <= 0 or self._next > self._base and count < _WORTH:
            return None  # few bytes wait for others until what is on its way is confirmed
        if self._next == self._base:
            self._tried = now
        at = self._next - self._base
        count = min(count, STRAY_MAX - 12 if careful else BODY_MAX - 2)
        frame = self._data(session, at, count)
        while careful and len(frame) > STRAY_MAX:
            count -= 1
            frame = self._data(session, at, count)
        self._next += count
        self._reached = max(self._reached, self._next)
        return frame

    def _sendable(self) -> int:
        return _WINDOW - (self._next - self._base)

    def _fill(self) -> None:
        while self._waiting and len(self._flying) < _RESULTS and len(self._bytes) < _WINDOW:
            record, answer = self._waiting.popleft()
            start = self._base + len(self._bytes)
            self._bytes += record
            self._flying.append(_Sent(start, start + len(record), answer))

    def _open(self, session: int) -> bytes:
        body = struct.pack("<IH", self.number, self.got)
        frame = b" " * 99
        while len(frame) > STRAY_MAX:
            kind = RESUME if self._known else OPEN
            frame = encode(kind, session, self._random(2), body)
        return frame

    def _data(self, session: int, at: int, count: int) -> bytes:
        body = struct.pack("<H", self.got) + self._bytes[at : at + count]
        return encode(DATA, session, self._next & _MASK, bytes(body))

    def take(self, body: bytes) -> None:
        """Understand a frame of the board's. Raise struct.error if it makes no sense."""
        number, taken, executed, place, count = struct.unpack_from("<IHHHB", body)
        if number != self.number:
            if self._known:
                self.lost = "another host uses what the program has opened"
                if not number:
                    self.lost = "the board was reset, or has forgotten this host"
            return  # else it is of a host before this one
        results = body[11 : 11 + count]
        if len(results) != count:
            raise ValueError(f"{count} results in {len(body)} bytes")
        first = not self.opened
        self.opened = self._known = True
        advance = taken - self._base & _MASK
        if 0 < advance <= len(self._bytes):
            del self._bytes[:advance]
            self._base += advance
            self._next = max(self._next, self._base)
            self._reached = max(self._reached, self._next)
            self._tried = self._clock()
            self._idle_tries = 0 if self._idle_tries < _TRIES else self._idle_tries + 1
            if self._idle_tries > _TRIES + _SMALL:
                self._idle_tries = _TRIES - 1  # it may have been an outage: try a large one
        if first:
            self._next = self._base  # what was on its way may be lost
        fresh = executed - self._executed & _MASK
        if 0 < fresh < _HALF:
            if fresh > count or fresh > len(self._flying):
                raise ValueError(f"{fresh} new results of {count}")
            self._executed += fresh
            for result in results[count - fresh :]:
                self._flying.popleft().answer(result)
        self._add(place, body[11 + count :])

    def _add(self, place: int, data: bytes) -> None:
        known = self._got - place & _MASK
        if known > len(data):
            self._confirmed = -1 if data else self._confirmed  # lost or known: say what is here
            return
        self._got += len(data) - known
        if known and data:
            self._confirmed = -1
        self._partial += data[known:]
        while len(self._partial) >= 4:
            index, what, size = struct.unpack_from("<BBH", self._partial)
            if len(self._partial) < 4 + size:
                break
            body = bytes(self._partial[4 : 4 + size])
            del self._partial[: 4 + size]
            self.records.append(Record(index, what & 7, what >> 3 & 7, bool(what & AGAIN), body))


__all__ = [
    "AGAIN",
    "CALL",
    "CANCEL",
    "CLOSED",
    "CLOSED_THERE",
    "END",
    "FIRST",
    "FULL",
    "GRANT",
    "MESSAGE",
    "NOT_OPEN",
    "OPENED",
    "RECEIVERS_MAX",
    "REJECTED",
    "REPLY",
    "REQUEST",
    "RESPONSE",
    "SEND",
    "WRONG",
    "Record",
    "Stream",
]
