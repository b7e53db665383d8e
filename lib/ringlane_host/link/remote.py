"""A board's channels, used from a computer, with asyncio.

    async with ringlane_host.remote("/dev/ttyACM0") as board:
        samples, motor = board.channel("samples"), board.channel("motor")
        status, reply = await motor.call(b"speed?", timeout_ms=500)
        async for message in samples:
            print(message.word)

What may be received: a copy of each message that went into a tapped channel, or all messages of a
channel that the program forwards. What may be sent: into channels that the program accepts for.
A board, a recording and a simulated board give the same object; README.md says what is promised.
"""

import asyncio
import errno
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeAlias

from ringlane.names import CLASS_NAMES

from . import LinkError, ProgramEnded
from .session import Wire

if TYPE_CHECKING:
    from .session import Followed, Item

_UNREAD_MAX = 100_000  # messages that nobody has received; tapped channels lose the oldest then
_FORWARDED = 64  # messages that a board may forward ahead
_REQUESTS = 8
_NORMAL = 2
_ATTACH_S = 10.0

Bytes: TypeAlias = bytes | bytearray | memoryview


class NotOpened(LinkError):
    """The program there has not opened the channel for that; nothing was sent."""


class NotDelivered(LinkError):
    """It was certainly not delivered."""


class OutcomeUnknown(LinkError):
    """It was on its way: it was delivered once, or will be, or never."""


@dataclass(frozen=True)
class Message:
    """A message of a channel.

    `data`: its bytes, of a tapped channel the first `head` of them; `size`: how many it had;
    `priority`: its class, 0 to 4; `us`: when it was sent, in microseconds of the board's clock;
    `latency_us`: how long it then waited for the link, None for a copy; `sender`: its number
    there, None if it was forwarded; `again`: a host before may have had it, too; `seconds`: when
    it was sent, as time.monotonic() here, None of a recording.
    """

    data: bytes
    size: int
    priority: int | None
    us: int | None
    latency_us: int | None = None
    sender: int | None = None
    again: bool = False
    seconds: float | None = None

    @property
    def whole(self) -> bool:
        """Whether `data` is all of it."""
        return len(self.data) == self.size

    @property
    def word(self) -> int:
        """Its 4 bytes as a signed number."""
        return int.from_bytes(self.data, "little", signed=True)


@dataclass
class Counters:
    """What became of a channel's messages, since board.channel(). They are exact.

    received    given to arecv
    unread      received, but given to nobody: too many waited, the oldest went
    missed      of a tapped channel: lost on the way
    overwritten the same: overwritten in the tap before the link came to them
    dropped     the same: the firmware's own sends that found no room
    rejected    the same: the firmware's own sends that were too large, or after close()
    again       forwarded, but a host before may have had them

    sent        queued at the board
    refused     found no room in their time; asend returned False
    closed      came after close(); asend returned False
    failed      certainly not delivered: NotDelivered, NotOpened
    unknown     OutcomeUnknown

    called      requests of this computer that were answered, and served by it
    timed_out   requests of this computer without an answer in time
    served      requests of the board that were answered here
    late        the same, but nobody waited any more
    """

    received: int = 0
    unread: int = 0
    missed: int = 0
    overwritten: int = 0
    dropped: int = 0
    rejected: int = 0
    again: int = 0
    sent: int = 0
    refused: int = 0
    closed: int = 0
    failed: int = 0
    unknown: int = 0
    called: int = 0
    timed_out: int = 0
    served: int = 0
    late: int = 0


@dataclass(frozen=True)
class About:
    """What is known of a channel there. `classes`: those in use, of a PriorityChannel."""

    name: str
    pattern: str
    slot_size: int
    tapped: bool = False
    accepts: bool = False
    forwards: bool = False
    classes: tuple[int, ...] = (0, 1, 2, 3, 4)

    @property
    def calls(self) -> bool:
        """Whether it is a RequestReplyChannel."""
        return self.pattern == "RequestReplyChannel"


@dataclass(frozen=True)
class Request:
    """A request of the firmware's; `latency_us`: how long it waited for the link."""

    data: bytes
    latency_us: int
    _answer: Callable[[bytes, int], Awaitable[bool]] = field(repr=False)

    async def reply(self, data: Bytes = b"", status: int = 0) -> bool:
        """Answer it, once. False: the caller there does not wait any more.

        Raise ValueError if `data` is larger than a slot there or `status` not 0 to 255.
        """
        return await self._answer(bytes(data), status)


class RemoteChannel(ABC):
    """A channel there; board.channel(name) makes one.

    `about`: what is known of it; `counters`. Its coroutines are of the event loop that the board
    was opened in; any number of tasks may use them.
    """

    def __init__(self, about: About) -> None:
        self.about = about
        self.counters = Counters()
        self._unread: deque[tuple[Message, int]] = deque()
        self._wake = asyncio.Event()
        self._over = False  # no more will come
        self._error: Exception | None = None

    @property
    def name(self) -> str:
        """Its name there."""
        return self.about.name

    async def arecv(self, timeout_ms: int | None = None) -> Message | None | Literal[False]:
        """Wait for the next message. None: `timeout_ms` have passed. False: none will come.

        What one task receives another one does not. Raise NotOpened if the channel there has
        neither a tap nor is forwarded, LinkError when there is no board any more.
        """
        self._begin_to_receive()
        try:
            async with self._timeout(timeout_ms):
                while not self._unread:
                    if self._error is not None:
                        raise self._error
                    if self._over:
                        return False
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return None
        message, stream = self._unread.popleft()
        self._taken(stream)
        self.counters.received += 1
        return message

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message]:
        while message := await self.arecv():
            yield message

    async def asend(
        self, data: Bytes, priority: int = _NORMAL, timeout_ms: int | None = None
    ) -> int:
        """Send `data` into the channel there; wait for room.

        Return 1, of a MulticastChannel how many receivers will get it. 0: there was no room in
        `timeout_ms`, or the channel is closed; nothing was queued. Messages of one class arrive in
        the order of their calls. Raise ValueError for a message larger than a slot there or a
        class that is not in use, TypeError for what is no bytes, NotOpened, NotDelivered, and
        OutcomeUnknown if the board is lost at that moment.

        Cancelled: it is not sent if it was not on its way.
        """
        raw = self._checked(data)
        if self.about.calls:
            raise TypeError(f"{self.name!r} is a RequestReplyChannel: call() it")
        if not isinstance(priority, int) or not 0 <= priority <= 4:
            raise ValueError(f"{self.name!r}: class must be 0 to 4, not {priority!r}")
        if priority not in self.about.classes:
            raise ValueError(f"{self.name!r}: class {CLASS_NAMES[priority]} has capacity 0")
        return await self._send(raw, priority, timeout_ms)

    async def asend_word(
        self, value: int, priority: int = _NORMAL, timeout_ms: int | None = None
    ) -> int:
        """As asend, of the low 32 bits of an int."""
        return await self.asend((value & 0xFFFFFFFF).to_bytes(4, "little"), priority, timeout_ms)

    async def call(self, data: Bytes, timeout_ms: int | None = None) -> tuple[int, bytes]:
        """Call the RequestReplyChannel there: return (status, reply).

        Raise TimeoutError without a reply in `timeout_ms`: the request is cancelled, but may have
        been served; ConnectionResetError if the channel is closed; else as asend.
        """
        raw = self._checked(data)
        if not self.about.calls:
            raise TypeError(f"{self.name!r} is a {self.about.pattern}: asend() into it")
        try:
            async with self._timeout(timeout_ms):
                return await self._call(raw)
        except TimeoutError:
            self.counters.timed_out += 1
            text = f"{self.name!r}: no reply in {timeout_ms} ms"
            raise TimeoutError(errno.ETIMEDOUT, text) from None

    def requests(self) -> AsyncIterator[Request]:
        """Serve the RequestReplyChannel there: give the firmware's requests, in order.

        Whoever reads them answers each, in any order. Raise NotOpened if it is not forwarded.
        """
        raise NotOpened(f"{self.name!r}: a host cannot serve it")

    def _checked(self, data: Bytes) -> bytes:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"message must be bytes, not {type(data).__name__}")
        raw = bytes(data)
        if len(raw) > self.about.slot_size:
            raise ValueError(
                f"message of {len(raw)} bytes is larger than a slot of {self.name!r}, "
                f"{self.about.slot_size}"
            )
        return raw

    def _put(self, message: Message, stream: int = 0) -> None:
        # A message has come; of a forwarded channel, by that stream.
        if len(self._unread) >= _UNREAD_MAX:
            self._unread.popleft()
            self.counters.unread += 1
        self._unread.append((message, stream))
        self._wake.set()

    def _timeout(self, ms: int | None) -> AbstractAsyncContextManager[object]:
        # Raises TimeoutError in what it surrounds.
        return asyncio.timeout(None if ms is None else ms / 1e3)

    def _finish(self, error: Exception | None = None) -> None:
        self._over = True
        self._error = error
        self._wake.set()

    @abstractmethod
    def _begin_to_receive(self) -> None:
        """Let messages come; raise NotOpened if none can."""

    @abstractmethod
    def _taken(self, stream: int) -> None:
        """A message of that stream was given to somebody."""

    @abstractmethod
    async def _send(self, data: bytes, priority: int, timeout_ms: int | None) -> int:
        """As asend."""

    @abstractmethod
    async def _call(self, data: bytes) -> tuple[int, bytes]:
        """As call, without a time-out: cancelled then."""


class RemoteBoard(ABC):
    """What remote() gives: an asynchronous context manager.

    `name`: what and where it is.
    """

    name = ""

    def __init__(self) -> None:
        self._channels: dict[str, RemoteChannel] = {}

    async def __aenter__(self) -> "RemoteBoard":
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    @property
    @abstractmethod
    def channels(self) -> dict[str, About]:
        """What channels there are, by name."""

    def channel(self, name: str) -> RemoteChannel:
        """Return the channel of that name, the same one each time.

        Raise LinkError, which names those that there are, if there is none.
        """
        if name not in self._channels:
            there = self.channels
            if name not in there:
                names = ", ".join(sorted(there)) or "none with a name"
                raise LinkError(f"no channel {name!r} at {self.name}; there are {names}")
            self._channels[name] = self._make(there[name])
        return self._channels[name]

    @abstractmethod
    def _make(self, about: About) -> RemoteChannel: ...

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...


def remote(
    target: str | Path,
    *files: str | Path,
    uf2: str | Path | None = None,
    text: Callable[[str], object] | None = None,
) -> RemoteBoard:
    """Return the board at `target`, to be entered by `async with`, for its channels.

    `target`: a port where a program runs that serves ringlane.link; or, with `files`, the program
    and what it imports, also "virtual" or "rp2040", with its firmware `uf2`: it is started there,
    and ends with this. Or a recording, OUT.mcap, whose messages can be received. `text(str)` is
    called with what the program prints.

    Entering raises LinkError, with what to do, if there is no board, no program that answers, or
    another version of the link; FileNotFoundError for a file that is not there.
    """
    if str(target).endswith(".mcap"):
        from .played import RecordedBoard

        return RecordedBoard(Path(target))
    from . import need

    need("cobs", "serial")
    from .wires import open_wire, patience_s

    paths = tuple(map(Path, files))
    firmware = None if uf2 is None else str(uf2)
    wire = partial(open_wire, str(target), firmware, paths)
    return LiveBoard(str(target), wire, patience_s(str(target), paths), text)


# -- a board that runs


class LiveBoard(RemoteBoard):
    """A board over a link: see remote(). A thread keeps the link up.

    `resets`: how often the board was reset meanwhile. `error`: None, or why there is no board any
    more. `watch`: None, or what the link's thread calls with all that the session brings.
    `followed`: None, or how far a link before this one has come.
    """

    watch: "Callable[[list[Item]], object] | None" = None
    followed: "Followed | None" = None

    def __init__(
        self,
        name: str,
        wire: Callable[[], AbstractContextManager[Wire]],
        attach_s: float = _ATTACH_S,
        text: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__()
        from .pump import Pump  # which imports this

        self.name = name
        self.resets = 0
        self._text = text
        self._about: dict[str, About] = {}
        self._calls: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._last_call = 0
        self._error: Exception | None = None
        self._pump = Pump(self, wire, attach_s)

    @property
    def channels(self) -> dict[str, About]:
        """See RemoteBoard."""
        return dict(self._about)

    @property
    def error(self) -> Exception | None:
        """See LiveBoard."""
        return self._error

    async def _open(self) -> None:
        await self._pump.begin()

    async def _close(self) -> None:
        await self._pump.end()
        self.lost(LinkError(f"the link to {self.name} is closed"))

    def _make(self, about: About) -> "LiveChannel":
        return LiveChannel(self, about)

    # What the pump tells, in the event loop.

    def learn(self, about: dict[str, About]) -> None:
        """These are the channels of the board now."""
        self._about = about
        for name, channel in self._channels.items():
            if name in about:
                channel.about = about[name]
            elif not channel.about.forwards:  # else its end comes in order, behind its messages
                channel._finish()

    def lost(self, error: Exception) -> None:
        """There is no board any more."""
        self._error = error
        ended = isinstance(error, ProgramEnded) and not error.error
        for channel in self._channels.values():
            channel._finish(None if ended else error)
        self.forget_calls(str(error))

    def forget_calls(self, why: str) -> None:
        """The board does not know the calls any more that were on their way."""
        for future in self._calls.values():
            if not future.done():
                future.set_exception(OutcomeUnknown(f"no reply: {why}"))

    def printed(self, text: str) -> None:
        """The program has printed that."""
        if self._text is not None:
            self._text(text)

    def replied(self, number: int, status: int, data: bytes) -> None:
        """A reply to a call has come."""
        future = self._calls.get(number)
        if future is not None and not future.done():
            future.set_result((status, data))


class LiveChannel(RemoteChannel):
    """A channel of a LiveBoard."""

    def __init__(self, board: LiveBoard, about: About) -> None:
        super().__init__(about)
        self._board = board
        self._pump = board._pump
        self._receives = False
        self._stream = 0  # the one that messages come by
        self._limit = self._consumed = 0  # of that stream
        self._asked: deque[tuple[Request, int]] = deque()
        if board._error is not None:
            self._finish(board._error)
        if about.tapped and not about.forwards:
            self._pump.do(lambda: self._pump.listen(self))

    # What the pump tells.

    def came(self, messages: list[Message], stream: int) -> None:
        """Messages have come, of a forwarded channel by that stream."""
        for each in messages:
            self.counters.again += each.again
            # What came a second time was granted to the host before.
            self._put(each, 0 if each.again else stream)

    def missed(self, missed: int, overwritten: int, dropped: int, rejected: int) -> None:
        """So many did not come."""
        self.counters.missed += missed
        self.counters.overwritten += overwritten
        self.counters.dropped += dropped
        self.counters.rejected += rejected

    def requested(self, id: int, latency_us: int, data: bytes, stream: int) -> None:
        """A request has come."""

        async def answer(reply: bytes, status: int) -> bool:
            return await self._reply(id, stream, reply, status)

        self._asked.append((Request(data, latency_us, answer), stream))
        self._wake.set()

    def begins(self, stream: int) -> None:
        """Another stream has begun; what is granted is of one stream."""
        self._stream = stream
        self._limit = self._consumed = 0
        self._grant()

    # Receiving

    def _begin_to_receive(self) -> None:
        about = self.about
        if about.calls:
            raise TypeError(f"{self.name!r} is a RequestReplyChannel: call() it, or requests()")
        if about.forwards:
            self._start()
        elif not about.tapped and not self._over:
            raise NotOpened(
                f"channel {self.name!r} can be received from if the program makes it with "
                f"tap=ringlane.Recorder(), or calls ringlane.remote.forward()"
            )

    def _start(self) -> None:
        if not self._receives:
            self._receives = True
            self._pump.do(lambda: self._pump.receive(self))

    def _taken(self, stream: int) -> None:
        if stream and stream == self._stream:
            self._consumed += 1
            self._grant()

    def _grant(self) -> None:
        most = _REQUESTS if self.about.calls else _FORWARDED
        if self._receives and self._limit - self._consumed <= most // 2:
            self._limit = self._consumed + most
            limit, stream = self._limit, self._stream
            self._pump.do(lambda: self._pump.grant(self.name, limit, stream))

    # Sending

    async def _send(self, data: bytes, priority: int, timeout_ms: int | None) -> int:
        if not self.about.accepts:
            raise NotOpened(
                f"channel {self.name!r} takes nothing from a host: the program has to call "
                f"ringlane.remote.accept()"
            )
        return await self._counted(self._pump.send(self.about, priority, data, timeout_ms))

    async def _counted(self, sending: Awaitable[int | None]) -> int:
        try:
            result = await sending
        except OutcomeUnknown:
            self.counters.unknown += 1
            raise
        except LinkError:
            self.counters.failed += 1
            raise
        if result is None:
            self.counters.refused += 1
        elif result < 0:
            self.counters.closed += 1
        else:
            self.counters.sent += 1
        return max(0, result or 0)

    # Calls

    async def _call(self, data: bytes) -> tuple[int, bytes]:
        if not self.about.accepts:
            raise NotOpened(
                f"channel {self.name!r} takes no calls from a host: the program has to call "
                f"ringlane.remote.accept()"
            )
        board = self._board
        if len(board._calls) >= 0x8000:
            raise NotDelivered(f"{len(board._calls)} calls have no reply yet")
        number = board._last_call
        while number in board._calls:
            number = number + 1 & 0xFFFF
        board._last_call = number + 1 & 0xFFFF
        future = asyncio.get_running_loop().create_future()
        board._calls[number] = future
        try:
            result = await self._pump.call(self.name, number, data)
            if result is not None and result < 0:
                raise ConnectionResetError(errno.ECONNRESET, f"{self.name!r} is closed")
            status, reply = await future
            self.counters.called += 1
            return status, reply
        except OutcomeUnknown:
            self.counters.unknown += 1
            raise
        except LinkError:
            self.counters.failed += 1
            raise
        finally:
            del board._calls[number]
            if not future.done():
                self._pump.do(lambda: self._pump.cancel(self.name, number))

    def requests(self) -> AsyncIterator[Request]:
        """See RemoteChannel."""
        if not self.about.calls:
            raise TypeError(f"{self.name!r} is a {self.about.pattern}: it has no requests")
        if not self.about.forwards:
            raise NotOpened(
                f"channel {self.name!r} is not served by a host: the program has to call "
                f"ringlane.remote.forward()"
            )
        return self._requests()

    async def _requests(self) -> AsyncIterator[Request]:
        self._start()
        while True:
            while not self._asked:
                if self._error is not None:
                    raise self._error
                if self._over:
                    return
                self._wake.clear()
                await self._wake.wait()
            request, stream = self._asked.popleft()
            self._taken(stream)
            yield request

    async def _reply(self, id: int, stream: int, data: bytes, status: int) -> bool:
        raw = self._checked(data)
        if not isinstance(status, int) or not 0 <= status <= 255:
            raise ValueError(f"status must be 0 to 255, not {status!r}")
        body = struct.pack("<IB", id, status) + raw
        done = bool(await self._pump.reply(self.name, body, stream))
        self.counters.served += done
        self.counters.late += not done
        return done


__all__ = [
    "About",
    "Counters",
    "LiveBoard",
    "Message",
    "NotDelivered",
    "NotOpened",
    "OutcomeUnknown",
    "RemoteBoard",
    "RemoteChannel",
    "Request",
    "remote",
]
