"""A session with a board that runs ringlane.link: attach, follow, count what is missing.

    with open_wire("/dev/ttyACM0") as wire, Session(wire, events=True) as session:
        session.attach()
        while True:
            for each in session.poll(0.1):
                match each:
                    case Events():
                        ...

What is missing is known exactly, by the numbers that the board gives: frames by the number in
each, a ring's events by that of the first in each frame, beside where this host's events begin and
how many the board overwrote.
"""

import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from . import LinkError, ProgramEnded
from .frames import (
    ASK,
    ASK_TABLE,
    ATTACH,
    BYE,
    CHANNEL,
    EVENTS,
    GONE,
    HELLO,
    SNAPSHOT,
    STATUS,
    STRAY_MAX,
    STREAM,
    TIME,
    VERSION,
    Damaged,
    Frame,
    Splitter,
    encode,
    plain_number,
)
from .stream import Stream

OUTCOMES = ("queued", "dropped", "rejected", "received", "taken", "missed")
RECEIVER = 255  # in place of a sender's number
ELSEWHERE = "another host has this board's events, which go to one at a time: end that one first"
US_MASK = (1 << 30) - 1  # the board's microseconds wrap there

# Before a frame that attaches. No link minds it, a prompt takes it for a comment and echoes it.
_LONG_S = 8.0  # to wait for an answer without a word
_KNOCK = b"#ringlane"
_WINDOW = 64  # frames that the board may send ahead
_GRANT_EVERY = 16
_AGAIN_S = 0.5  # between attempts to attach
_SILENCE_S = 2.5  # longer than any period: the board was reset, or is gone
_ASK_S = 1.0
_ANSWER_S = 0.25  # else it was lost
_FIRST_ASKS_S = 0.1
_FIRST_ASKS = 5
_DRIFT = 100e-6  # of two crystals, at most
_HELD_MAX = 1000
_TRIES_MAX = 20
_SERVES = "it must run `asyncio.create_task(ringlane.link.serve())`, with ringlane on the board"
_WANTS_EVENTS, _GOES_ON = 1, 2  # in the flags of ATTACH
_EVENTS_HEADER = 20
_CHANNEL_HEADER = 23
_ROW = struct.Struct("<10sHHHIIIIH8s")
_UNKNOWN_32, _UNKNOWN_16 = 0xFFFFFFFF, 0xFFFF

End = tuple[str, int | None, int | None]  # channel, sender, receiver: as in Events


class Wire(Protocol):
    """What carries the bytes.

    careful_s: 0, or for how long a frame may be on its way before the next: over a console that
    mpremote's mounted folder shares. There a board that waits for a file passes over up to 29
    bytes that are not for it, so one frame, and no more.
    """

    name: str
    careful_s: float

    def read(self, timeout: float) -> bytes:
        """Return what has come, b"" if nothing does in `timeout` seconds."""

    def write(self, data: bytes) -> None:
        """Send all of it."""


@dataclass(frozen=True)
class Hello:
    """The board is there: its number of this start, and what it runs."""

    boot: int
    ringlane: str
    micropython: str
    machine: str
    again: bool  # it is another start than before: the board was reset


@dataclass(frozen=True)
class Text:
    """What the program printed."""

    data: bytes


@dataclass(frozen=True)
class Channel:
    """A named channel of the board."""

    name: str
    pattern: str
    slot_size: int
    senders: int
    tapped: bool
    measured: bool
    hz: int  # of its clock
    mask: int  # its clock's period - 1
    default_clock: bool
    accepts: bool = False  # a host may send into it, or call
    forwards: bool = False  # its messages go to a host, or a host serves


@dataclass(frozen=True)
class Row:
    """A line of a channel: a class, a receiver, or all of it ("-"). None: not counted there."""

    label: str
    capacity: int
    queued: int
    high_water: int | None
    sent: int
    received: int
    dropped: int | None
    rejected: int | None
    last: bytes | None  # the first 8 bytes of the newest message
    last_size: int | None


@dataclass(frozen=True)
class Snapshot:
    """A channel's figures at one moment: `us` and `seconds` as of Event, `ticks` of its clock.

    `first`: which of its rows is the first here; a channel of many comes in several.
    """

    channel: Channel
    us: int
    seconds: float
    ticks: int
    rows: tuple[Row, ...]
    latency: tuple[int, int, int, int, int] | None  # count, average, p50, p99, max, in ticks
    first: int = 0


@dataclass(frozen=True)
class Status:
    """The board itself; `us` as of Event."""

    us: int
    heap_free: int
    skipped: int  # snapshots that were not sent in time
    damaged: int  # frames from the host that did not come whole
    elsewhere: bool  # the events that this host wants go to another one
    untold: int  # channels that are not told: a link tells 64


@dataclass(frozen=True)
class Event:
    """What a verb did with a message; see ringlane.tap.

    When: `us`, the board's microseconds, which do not wrap; `seconds`, by the host's clock, as
    well as it was known when the event came.
    """

    outcome: str
    sender: int
    priority: int | None
    size: int
    number: int
    us: int
    seconds: float
    figure: int
    head: bytes


@dataclass(frozen=True)
class Events:
    """Events of one end of a channel, in order. `sender` is None for a receiver's.

    `receiver`: its id, 0 where there is one only, None for a sender's.
    Before the first, `overwritten` events were overwritten on the board since the last of this
    end, and `lost` were lost on the way.
    """

    channel: Channel
    sender: int | None
    receiver: int | None
    first: int
    events: tuple[Event, ...]
    overwritten: int
    lost: int


@dataclass(frozen=True)
class Gone:
    """The program has ended its side."""


Item = Hello | Text | Channel | Snapshot | Status | Events | Gone | Damaged


@dataclass
class BoardClock:
    """Maps the board's microseconds to the host's seconds, with a bound of the error."""

    best: tuple[float, float, float] | None = None  # (rtt, host time in the middle, board's µs)
    _us: int = 0  # the newest, unwrapped
    _samples: list[tuple[float, float, int]] = field(default_factory=list)

    def unwrapped(self, us: int) -> int:
        """Return microseconds that do not wrap, for `us` within 9 minutes of the newest."""
        half = (US_MASK + 1) // 2
        return self._us + ((us - self._us + half) & US_MASK) - half

    def add(self, sent: float, got: float, us: int) -> None:
        """Note that the board read `us` between those two moments of the host."""
        self._us = self.unwrapped(us) if self._samples else us
        self._samples = [*self._samples[-59:], (got - sent, (got + sent) / 2, self._us)]
        self.best = min(self._samples, key=lambda each: each[0] / 2 + (got - each[1]) * _DRIFT)

    def at(self, us: int) -> tuple[float, float]:
        """Return (host's seconds, the most by which that is wrong) of the board's `us`."""
        if self.best is None:
            raise LinkError("the board's clock is not known yet")
        rtt, middle, then = self.best
        seconds = middle + (self.unwrapped(us) - then) / 1e6
        return seconds, rtt / 2 + abs(seconds - middle) * _DRIFT


@dataclass
class Followed:
    """How far a host has followed a board's events, for a session that goes on from there."""

    boot: int | None = None
    # Of an end: its ring, where this host's events begin in it, the next one, and how many were
    # overwritten since.
    rings: dict[End, tuple[int, int, int, int]] = field(default_factory=dict)


@dataclass
class Counts:
    """What the link itself has seen."""

    frames: int = 0
    frames_lost: int = 0
    frames_doubled: int = 0
    damaged: int = 0
    events: int = 0
    events_lost: int = 0
    events_overwritten: int = 0
    resets: int = 0


class Session:
    """The host's side of a link over `wire`. A context manager: it says goodbye at the end.

    `events`: whether taps' events are wanted. `period_ms`: between snapshots. `followed`: where
    the session before has ended, so that what was missed since is counted, too. `clock` and
    `number`: the time in seconds, and random numbers as of plain_number(); for a simulation.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        events: bool = False,
        period_ms: int = 500,
        followed: Followed | None = None,
        clock: Callable[[], float] = time.monotonic,
        number: Callable[[int], int] = plain_number,
    ) -> None:
        self._early: list[Item] = []  # what came while it attached
        self.hello: Hello | None = None
        self.stream: Stream | None = None  # for what the program opens, if anybody uses it
        self.board_clock = BoardClock()
        self.counts = Counts()
        self._wire = wire
        self._events = events
        self._followed = followed or Followed()
        self._period_ms = period_ms
        self._clock = clock
        self._number = number
        self._splitter = Splitter()
        self._session = -1
        self._tries: dict[int, float] = {}  # sessions, when each was tried
        self._attached = False
        self._tried = self._heard = self._told = self._asked_table = -1e9
        self._asked: tuple[int, float] | None = None  # what is not answered: token, when
        self._asks = 0  # that were answered
        self._started = clock()
        self._expected = 0
        self._granted = 0
        self._edition = -1
        self._table: dict[int, Channel] = {}
        self._channels = -1  # that the board has; -1: not known
        self._clocks: dict[str, tuple[int, int]] = {}  # of a channel: µs and ticks at one moment
        self._held: list[Frame] = []
        self._text = b""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, so that the board need not wait for this host."""
        if self._attached:
            self._attached = False
            try:
                self._send(BYE)
            except (OSError, LinkError):
                pass  # the wire is down, which ends it too

    def attach(self, timeout: float = 5.0) -> Hello:
        """Wait for the board's answer. Raise LinkError with a reason if there is none.

        If it takes long, stderr says what is waited for.
        """
        begin = self._clock()
        deadline = begin + timeout
        told = timeout <= _LONG_S
        while self.hello is None:
            if not told and self._clock() > begin + _LONG_S:
                told = True
                text = f"waiting up to {timeout:.0f} s for the program's ringlane.link"
                print(text, file=sys.stderr, flush=True)
            if self._clock() > deadline or self._at_prompt():
                raise LinkError(f"no link at {self._wire.name}: {self._why_not()}")
            try:
                self._early += self._poll(0.05)
            except ProgramEnded as ended:
                if ended.error:
                    raise
                raise LinkError(
                    f"no link at {self._wire.name}: the program has ended; {_SERVES}"
                ) from None
        return self.hello

    def _why_not(self) -> str:
        if self._at_prompt():
            self._wire.write(b"\x03")  # so that its line is empty again
            return "the board shows its prompt, so no program runs; give the program's FILE"
        if self.counts.damaged:
            return "what comes from there is neither text nor this link's"
        return f"no program there answers; {_SERVES}"

    def _at_prompt(self) -> bool:
        # A prompt echoes what is typed, so nothing is typed there again.
        line = self._text.rpartition(b"\n")[2]
        return line.startswith(b">>>") or _KNOCK in line

    @property
    def ends(self) -> dict[End, int]:
        """How many events there were up to now, by (channel, sender, receiver), as in Events."""
        return {end: following for end, (_, _, following, _) in self._followed.rings.items()}

    def us(self, channel: Channel, ticks: int) -> int:
        """Return the board's microseconds, which do not wrap, for those ticks of the channel."""
        if channel.default_clock:
            return self.board_clock.unwrapped(ticks)
        us, then = self._clocks[channel.name]
        half = (channel.mask + 1) // 2
        since = ((ticks - then + half) & channel.mask) - half
        return us + since * 1_000_000 // channel.hz

    @property
    def alive(self) -> bool:
        """Whether the board is attached, and was heard of late."""
        silence = self._clock() - self._heard
        return self._attached and silence < max(_SILENCE_S, 2 * self._wire.careful_s)

    @property
    def table(self) -> dict[str, Channel] | None:
        """The board's channels by name, None until all are known."""
        if len(self._table) != self._channels:
            return None
        return {each.name: each for each in self._table.values()}

    def poll(self, timeout: float) -> list[Item]:
        """Return what has come, after `timeout` seconds at the latest; keep the link up."""
        early, self._early = self._early, []
        return early or self._poll(timeout)

    def _poll(self, timeout: float) -> list[Item]:
        self._keep_up()
        found: list[Item] = []
        for each in self._splitter.feed(self._wire.read(timeout)):
            if isinstance(each, bytes):
                self._text = (self._text + each)[-400:]
                found.append(Text(each))
            elif isinstance(each, Damaged):
                self.counts.damaged += 1
                found.append(each)
            else:
                self._take(each, found)
        return found

    def _keep_up(self) -> None:
        now = self._clock()
        if self._at_prompt():
            if self._attached:
                self._attached = False
                self._wire.write(b"\x03")  # a prompt's line is empty then
            return
        careful = self._wire.careful_s
        if self.alive:
            used = _WINDOW - ((self._granted - self._expected) & 0xFFFF)
            often = _FIRST_ASKS_S if self._asks < _FIRST_ASKS else _ASK_S
            if self._asked is not None:
                due = now - self._asked[1] > max(_ANSWER_S, careful)
            else:
                due = now - self._told > often or used >= _GRANT_EVERY
            if self.stream is not None:
                due = self._stream_out(self.stream, due)
            if due:
                self._ask()
        elif now - self._tried > max(_AGAIN_S, careful):
            self._tried = now
            flags = _WANTS_EVENTS if self._events else 0
            if self._followed.boot is not None:
                flags |= _GOES_ON
            body = struct.pack("<HHB", _WINDOW, self._period_ms, flags)
            frame = b" " * 99
            while len(frame) > STRAY_MAX:
                session = self._number(2)
                frame = encode(ATTACH, session, 0, body)
            self._tries[session] = now
            if len(self._tries) > _TRIES_MAX:
                del self._tries[next(iter(self._tries))]
            self._wire.write(frame if careful else _KNOCK + frame)

    def _stream_out(self, stream: Stream, due: bool) -> bool:
        # Write what the stream has to send now; return whether an ask is due, which confirms, too.
        careful = self._wire.careful_s
        if careful and (self._asked is not None or due or not stream.overdue(careful)):
            return due and stream.overdue(careful)  # one frame on its way, of either kind
        while (frame := stream.frame(self._session, careful)) is not None:
            self._wire.write(frame)
            if careful:
                return False
        return due or stream.wants_to_confirm and self._asked is None

    def _ask(self) -> None:
        # For the time, with credit: one frame does both, as only one may be on its way.
        self._granted = (self._expected + _WINDOW) & 0xFFFF
        frame = b" " * 99
        while len(frame) > STRAY_MAX:
            token = self._number(4)
            body = struct.pack("<HI", self._granted, token)
            if self.stream is not None:
                body += struct.pack("<H", self.stream.got)
            frame = encode(ASK, self._session, self._number(2), body)
        self._asked = token, self._clock()
        self._wire.write(frame)

    def _send(self, kind: int) -> None:
        self._wire.write(encode(kind, self._session, 0, b""))

    def _take(self, frame: Frame, found: list[Item]) -> None:
        if frame.kind == HELLO and frame.session in self._tries:
            # Only now, as until then the board goes on with the session before.
            self._session = frame.session
            self._expected = frame.number
            self._granted = _WINDOW
            self._asked, self._asks = None, 0
        if frame.session != self._session:
            return  # for a host before this one
        if frame.version != VERSION:
            if frame.kind == HELLO:
                said = frame.body[4:].decode("utf-8", "replace").split(";")[0]
                raise LinkError(
                    f"the board at {self._wire.name} has ringlane {said}, whose link is version "
                    f"{frame.version}; this one is version {VERSION}: `ringlane install` it again"
                )
            return
        ahead = (frame.number - self._expected) & 0xFFFF
        if ahead >= 0x8000:
            self.counts.frames_doubled += 1
            return
        self.counts.frames += 1
        self.counts.frames_lost += ahead
        self._expected = (frame.number + 1) & 0xFFFF
        self._heard = self._clock()
        self._attached = True
        self._text = b""
        try:
            self._understand(frame, found)
        except (struct.error, IndexError, ValueError) as error:
            raise LinkError(f"the board sent a frame that makes no sense: {error}") from error

    def _understand(self, frame: Frame, found: list[Item]) -> None:
        body = frame.body
        if frame.kind == HELLO:
            found.append(self._hello(body, frame.session))
        elif frame.kind == TIME:
            token, us = struct.unpack("<II", body)
            if self._asked is not None and token == self._asked[0]:
                self._told = self._clock()
                self.board_clock.add(self._asked[1], self._told, us)
                self._asked = None
                self._asks += 1
        elif frame.kind == STATUS:
            us, free, skipped, damaged, flags, untold = struct.unpack("<IIIIBH", body)
            us = self.board_clock.unwrapped(us)
            found.append(Status(us, free, skipped, damaged, bool(flags & 1), untold))
        elif frame.kind == CHANNEL:
            self._channel(body, found)
        elif frame.kind in (SNAPSHOT, EVENTS):
            if body[0] == self._edition and body[1] in self._table:
                found.append(
                    self._snapshot(body) if frame.kind == SNAPSHOT else self._event_batch(body)
                )
            else:
                self._held = [*self._held[1 - _HELD_MAX :], frame]
                if self._clock() - self._asked_table > 0.2:
                    self._asked_table = self._clock()
                    self._send(ASK_TABLE)
        elif frame.kind == STREAM:
            if self.stream is not None:
                self.stream.take(body)
        elif frame.kind == GONE:
            self._attached = False
            self._tried = self._clock() + 1.0  # a moment for whatever comes after
            found.append(Gone())

    def _hello(self, body: bytes, session: int) -> Hello:
        boot = struct.unpack_from("<I", body)[0]
        said, _, us = body[4:].decode("utf-8", "replace").rpartition(";")
        texts = [*said.split(";", 2), "", ""]
        again = self.hello is not None and self.hello.boot != boot
        if again:
            self.counts.resets += 1
            self.board_clock = BoardClock()
        if boot != self._followed.boot:
            self._followed.boot = boot
            self._followed.rings.clear()
        self.board_clock.add(self._tries[session], self._clock(), int(us))
        self._edition = self._channels = -1
        self._table.clear()
        self._held.clear()
        if self.stream is not None:
            self.stream.begin()
        self._attached = True
        self.hello = Hello(boot, texts[0], texts[1], texts[2], again)
        return self.hello

    def _channel(self, body: bytes, found: list[Item]) -> None:
        if len(body) == 3:  # there is none
            self._edition, self._channels = body[0], 0
            self._table.clear()
            return
        edition, index, count, flags, senders, slot_size, hz, mask, us, ticks = struct.unpack_from(
            "<BBBBBHIIII", body
        )
        if edition != self._edition:
            self._edition = edition
            self._table.clear()
            self._channels = count
        text = body[_CHANNEL_HEADER:].decode("utf-8", "replace")
        pattern, _, name = text.partition(";")
        self._clocks[name] = self.board_clock.unwrapped(us), ticks
        channel = Channel(
            name,
            pattern,
            slot_size,
            senders,
            bool(flags & 1),
            bool(flags & 2),
            hz,
            mask,
            bool(flags & 4),
            bool(flags & 8),
            bool(flags & 16),
        )
        self._table[index] = channel
        found.append(channel)
        held, self._held = self._held, []
        for each in held:
            if each.body[0] == edition:  # of an older table they would be of other channels
                self._understand(each, found)

    def _snapshot(self, body: bytes) -> Snapshot:
        _, index, first, count, us, ticks, *latency = struct.unpack_from("<BBBBIIIIIII", body)
        channel = self._table[index]
        us = self.board_clock.unwrapped(us)
        self._clocks[channel.name] = us, ticks
        rows = []
        for number in range(count):
            label, capacity, queued, high, sent, received, dropped, rejected, size, last = (
                _ROW.unpack_from(body, 32 + number * _ROW.size)
            )
            rows.append(
                Row(
                    label.rstrip(b"\0").decode("utf-8", "replace"),
                    capacity,
                    queued,
                    None if high == _UNKNOWN_16 else high,
                    sent,
                    received,
                    None if dropped == _UNKNOWN_32 else dropped,
                    None if rejected == _UNKNOWN_32 else rejected,
                    None if size == _UNKNOWN_16 else last[: min(size, 8)],
                    None if size == _UNKNOWN_16 else size,
                )
            )
        return Snapshot(
            channel,
            us,
            self.board_clock.at(us)[0],
            ticks,
            tuple(rows),
            tuple(latency) if latency[0] else None,
            first,
        )

    def _event_batch(self, body: bytes) -> Events:
        _, index, number, stride, start, first, overwritten, count, receiver, ring = (
            struct.unpack_from("<BBBBIIIBBH", body)
        )
        sender = None if number == RECEIVER else number
        of = receiver if sender is None else None
        channel = self._table[index]
        begin = _EVENTS_HEADER
        if not channel.default_clock:
            us, ticks = struct.unpack_from("<II", body, begin)
            self._clocks[channel.name] = self.board_clock.unwrapped(us), ticks
            begin += 8
        if not 16 <= stride or len(body) != begin + count * stride:
            raise ValueError(f"{count} events of {stride} bytes in {len(body)}")
        end = channel.name, sender, of
        expected, before = start, 0
        if end in self._followed.rings:
            known, began, following, earlier = self._followed.rings[end]
            if known == ring:  # else it is another channel of the same name
                expected = following
                if began == start:  # else another host has begun since
                    before = earlier
        missing = (first - expected) & US_MASK
        fresh = (overwritten - before) & US_MASK
        raws = [body[at : at + stride] for at in range(begin, len(body), stride)]
        events = tuple(map(self._event, raws, self._times(channel, raws)))
        self._followed.rings[end] = ring, start, (first + count) & US_MASK, overwritten
        self.counts.events += count
        self.counts.events_overwritten += fresh
        self.counts.events_lost += missing - fresh
        return Events(channel, sender, of, first, events, fresh, missing - fresh)

    def _times(self, channel: Channel, raws: list[bytes]) -> list[int]:
        # Their microseconds. A clock may wrap several times a second, so each one's ticks are
        # counted back from those of the next one, the last one's from the clock's in the frame.
        all_ticks = [struct.unpack_from("<I", raw)[0] for raw in raws]
        if channel.default_clock:
            return [self.board_clock.unwrapped(ticks) for ticks in all_ticks]
        us, behind = self._clocks[channel.name]
        early = (channel.mask + 1) // 8  # for one that was sent with a time of its own
        ago, found = 0, []
        for ticks in reversed(all_ticks):
            ago += ((behind - ticks + early) & channel.mask) - early
            behind = ticks
            found.append(us - ago * 1_000_000 // channel.hz)
        return found[::-1]

    def _event(self, raw: bytes, us: int) -> Event:
        _, number, what, figure = struct.unpack_from("<IIII", raw)
        size, priority, outcome = what & 0xFFFF, what >> 16 & 7, what >> 20 & 7
        return Event(
            OUTCOMES[outcome],
            what >> 24,
            None if priority == 7 else priority,
            size,
            number,
            us,
            self.board_clock.at(us)[0],
            figure,
            raw[16 : 16 + size],
        )


__all__ = [
    "ELSEWHERE",
    "BoardClock",
    "Channel",
    "Counts",
    "Event",
    "Events",
    "Followed",
    "Gone",
    "Hello",
    "Item",
    "Row",
    "Session",
    "Snapshot",
    "Status",
    "Text",
    "Wire",
]
