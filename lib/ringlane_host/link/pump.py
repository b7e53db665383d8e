"""The thread that keeps a link up for remote.py: it alone touches the session and the streams.

The event loop's side hands it functions by do(); it hands results back to the loop in batches.
"""

import asyncio
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from . import LinkError, ProgramEnded
from .frames import plain_number
from .remote import About, Message, NotDelivered, NotOpened, OutcomeUnknown
from .session import (
    ELSEWHERE,
    Channel,
    Events,
    Gone,
    Hello,
    Item,
    Session,
    Status,
    Text,
    Wire,
)
from .stream import (
    CALL,
    CANCEL,
    CLOSED,
    CLOSED_THERE,
    END,
    FIRST,
    FULL,
    GRANT,
    MESSAGE,
    NOT_OPEN,
    OPENED,
    RECEIVERS_MAX,
    REJECTED,
    REPLY,
    REQUEST,
    RESPONSE,
    SEND,
    Record,
    Stream,
)

if TYPE_CHECKING:
    from .remote import LiveBoard, LiveChannel

_POLL_S = 0.005
_RETRY_S = 0.02  # after a message found no room
_GRACE_S = 3.0  # for the answer to what was on its way when its time was over


@dataclass(eq=False)
class _Op:
    """A message or a call on its way to the board."""

    what: int
    body: bytes
    future: "asyncio.Future[int | None]"
    deadline: float | None
    answer: Callable[[int], object] = field(default=lambda result: None)

    def late(self, now: float, grace: float = 0.0) -> bool:
        """Whether its time is over."""
        return self.deadline is not None and now > self.deadline + grace


class _Lane:
    """Messages of one class of a channel: in order, also where the board refuses some."""

    def __init__(self, pump: "Pump", name: str) -> None:
        self.pump = pump
        self.name = name
        self.waiting: deque[_Op] = deque()
        self.flying: deque[_Op] = deque()
        self.refused: list[_Op] = []
        self.first = False  # the next one goes again
        self.retry_at = -1e9

    def turn(self, now: float) -> None:
        """Put on the stream what may go, and give up what is late."""
        stream = self.pump.stream
        index = self.pump.indices.get(self.name)
        if self.refused and not self.flying:
            self.waiting.extendleft(reversed(self.refused))
            self.refused.clear()
            self.first = True
            self.retry_at = now + _RETRY_S
        ready = self.pump.alive and stream is not None and stream.opened and index is not None
        while ready and self.waiting and not self.refused and now >= self.retry_at:
            assert stream is not None and index is not None
            if not stream.room or self.first and self.flying:
                break  # what is still on its way was refused, too, and goes before it
            op = self.waiting.popleft()
            op.answer = partial(self.answered, op)
            self.flying.append(op)
            stream.put(index, op.what | (FIRST if self.first else 0), op.body, op.answer)
            self.first = False
        # What has only to wait for others on the wire is tried once, however late.
        held_up = not ready or self.first or bool(self.refused)
        for each in [op for op in self.waiting if held_up and op.late(now)]:
            self.waiting.remove(each)
            if ready:
                self.pump.resolve(each.future, None)
            else:
                self.pump.fail(each.future, NotDelivered(f"{self.name!r}: no link to the board"))
        for each in self.flying:
            if each.late(now, _GRACE_S):
                text = f"{self.name!r}: the board does not answer; it may get it yet"
                self.pump.fail(each.future, OutcomeUnknown(text))

    def answered(self, op: _Op, result: int) -> None:
        """The board has told what became of it."""
        self.flying.remove(op)
        if op.future.done():
            return
        if result == FULL:
            if op.late(self.pump.clock()):
                self.pump.resolve(op.future, None)
                # What was on its way behind it was refused with it, and comes again.
                self.first = True
            else:
                self.refused.append(op)
        elif result <= RECEIVERS_MAX:
            self.pump.resolve(op.future, result)
        elif result in (CLOSED_THERE, REJECTED):
            self.pump.resolve(op.future, -1)
        elif result == NOT_OPEN:
            text = f"channel {self.name!r} is not open to a host"
            self.pump.fail(op.future, NotOpened(text))
        else:
            text = f"{self.name!r}: the board says that the message makes no sense"
            self.pump.fail(op.future, NotDelivered(text))

    def withdraw(self, op: _Op) -> None:
        """Nobody waits for it any more: it does not go if it has not gone."""
        if op in self.waiting:
            self.waiting.remove(op)
        elif op in self.refused:
            self.refused.remove(op)
            self.first = True
        elif op in self.flying and self.pump.stream is not None:
            if self.pump.stream.withdraw(op.answer):
                self.flying.remove(op)

    def lost(self, why: str, *, all_of_it: bool) -> None:
        """The stream is over: what had gone may have been delivered."""
        stream = self.pump.stream
        for op in self.flying:
            if stream is not None and stream.whereabouts(op.answer):
                self.pump.fail(op.future, OutcomeUnknown(f"{self.name!r}: {why}"))
            else:
                self.refused.append(op)  # it had not gone
        self.flying.clear()
        if all_of_it:
            for op in (*self.refused, *self.waiting):
                self.pump.fail(op.future, NotDelivered(f"{self.name!r}: {why}"))
            self.refused.clear()
            self.waiting.clear()


class Pump:
    """Keeps the link of `board` up. begin(), end() and the sends are the event loop's."""

    def __init__(
        self,
        board: "LiveBoard",
        wire: Callable[[], AbstractContextManager[Wire]],
        attach_s: float,
    ) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self.number: Callable[[int], int] = plain_number
        self.stream: Stream | None = None
        self.indices: dict[str, int] = {}  # of what is opened
        self._board = board
        self._wire = wire
        self._attach_s = attach_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Future[None] | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"link to {board.name}", daemon=True
        )
        self._stop = threading.Event()
        self._ended: Exception | None = None
        self._commands: deque[Callable[[], object]] = deque()
        self._batch: list[Callable[[], object]] = []
        self._replies: set[asyncio.Future[int | None]] = set()
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._listeners: dict[str, LiveChannel] = {}  # of tapped channels
        self._receivers: dict[str, LiveChannel] = {}  # of forwarded ones
        self._names: dict[int, str] = {}
        self._classes: dict[str, tuple[int, ...]] = {}
        self._told: dict[str, About] | None = None
        self._all_opened = False
        self.alive = False
        self._early: dict[str, list[Record]] = {}
        self._nameless: dict[int, list[Record]] = {}  # until the board tells their channel
        self._table: dict[str, Channel] = {}
        self._session: Session | None = None

    # -- in the event loop

    async def begin(self) -> None:
        """Start the thread, and wait until the board's channels are known."""
        self._loop = asyncio.get_running_loop()
        self._ready = self._loop.create_future()
        self._start()
        try:
            await asyncio.shield(self._ready)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Say goodbye, and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _start(self) -> None:
        self._thread.start()

    def do(self, function: Callable[[], object]) -> None:
        """Let the thread call it."""
        self._commands.append(function)

    async def send(
        self, about: About, level: int, data: bytes, timeout_ms: int | None
    ) -> int | None:
        """Send a message: how many get it; None: no room; -1: closed. Raise as asend."""
        name = about.name
        lane = level if about.pattern == "PriorityChannel" else 0
        return await self._go((name, lane), SEND | level << 3, data, timeout_ms)

    async def call(self, name: str, number: int, data: bytes) -> int | None:
        """Send a request."""
        return await self._go((name, 0), CALL, struct.pack("<H", number) + data, None)

    async def _go(
        self, key: tuple[str, int], what: int, body: bytes, timeout_ms: int | None
    ) -> int | None:
        assert self._loop is not None
        if self._ended is not None:
            raise NotDelivered(f"{key[0]!r}: {self._ended}")
        deadline = None if timeout_ms is None else self.clock() + timeout_ms / 1e3
        op = _Op(what, body, self._loop.create_future(), deadline)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes.setdefault(key, _Lane(self, key[0]))
        self.do(partial(lane.waiting.append, op))
        try:
            return await op.future
        except asyncio.CancelledError:
            self.do(partial(lane.withdraw, op))
            raise

    async def reply(self, name: str, body: bytes, stream: int) -> bool:
        """Answer a request that came by that stream; False: nobody waits for it."""
        assert self._loop is not None
        future: asyncio.Future[int | None] = self._loop.create_future()

        def put() -> None:
            if self._ended is not None:
                self.fail(future, NotDelivered(f"no reply was sent: {self._ended}"))
            elif self.stream is None or self.stream.number != stream:
                self.resolve(future, 0)  # of a program before this one
            else:
                self._replies.add(future)
                self.stream.put(self.indices[name], REPLY, body, partial(self._replied, future))

        if self._ended is not None:
            raise NotDelivered(f"no reply was sent: {self._ended}")
        self.do(put)
        return await future == 1

    # -- in the thread

    def listen(self, channel: "LiveChannel") -> None:
        """Give it the events of its tap."""
        self._listeners[channel.name] = channel

    def receive(self, channel: "LiveChannel") -> None:
        """Give it what the board forwards."""
        self._receivers[channel.name] = channel
        for record in self._early.pop(channel.name, ()):
            self._record(record)
        if self.stream is not None and channel.name in self.indices:
            self._later(partial(channel.begins, self.stream.number))

    def grant(self, name: str, limit: int, stream: int) -> None:
        """Let the board forward so many of that channel, since the stream's start."""
        if self.stream is not None and self.stream.number == stream and name in self.indices:
            body = struct.pack("<H", limit & 0xFFFF)
            self.stream.put(self.indices[name], GRANT, body, _ignore)

    def cancel(self, name: str, number: int) -> None:
        """Cancel a call."""
        if self.stream is not None and name in self.indices:
            self.stream.put(self.indices[name], CANCEL, struct.pack("<H", number), _ignore)

    def resolve(self, future: "asyncio.Future[int | None]", result: int | None) -> None:
        """Let the loop know a result."""
        self._later(partial(_set, future, result))

    def fail(self, future: "asyncio.Future[int | None]", error: Exception) -> None:
        """Let the loop know an error."""
        self._later(partial(_set_error, future, error))

    def _replied(self, future: "asyncio.Future[int | None]", result: int) -> None:
        self._replies.discard(future)
        self.resolve(future, result)

    def _lose(self, why: str, *, all_of_it: bool) -> None:
        # The stream is over, or all is.
        for lane in list(self._lanes.values()):
            lane.lost(why, all_of_it=all_of_it)
        for future in self._replies:
            self.fail(future, OutcomeUnknown(f"no word of the reply: {why}"))
        self._replies.clear()
        self._later(partial(self._board.forget_calls, why))

    def _later(self, function: Callable[[], object]) -> None:
        self._batch.append(function)

    def _run(self) -> None:
        error: Exception = LinkError("the link is closed")
        try:
            followed = self._board.followed
            with self._wire() as wire, Session(wire, events=True, followed=followed) as session:
                session.attach(self._attach_s)
                begin = self.clock()
                while not self._stop.is_set():
                    self._turn(session)
                    if self._told is None and self.clock() > begin + self._attach_s:
                        raise LinkError(f"{wire.name}: the board does not tell its channels")
        except Exception as caught:  # whatever it is, somebody waits for the end
            error = caught
        self._finish(error)

    def _finish(self, error: Exception) -> None:
        self._ended = error
        for command in list(self._commands):
            command()
        self._lose(str(error), all_of_it=True)
        self._later(partial(self._board.lost, error))
        self._later(partial(self._tell_ready, error))
        self._deliver()

    def _turn(self, session: Session) -> None:
        self._session = session
        while self._commands:
            self._commands.popleft()()
        items = session.poll(_POLL_S)
        if self._board.watch is not None:
            self._board.watch(items)
        for each in items:
            self._understand(each)
        self._look_at_table(session)
        if self.stream is not None:
            while self.stream.records:
                self._record(self.stream.records.popleft())
            if self.stream.lost:
                self._lose_stream(session)
        self.alive = session.alive
        now = self.clock()
        for lane in list(self._lanes.values()):
            lane.turn(now)
        self._deliver()

    def _deliver(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(_call_all, batch)
            except RuntimeError:  # the loop is closed: nobody waits
                self._stop.set()

    def _understand(self, item: Item) -> None:
        match item:
            case Hello(again=True):
                self._later(partial(_count_reset, self._board))
            case Status(elsewhere=True):
                for listener in self._listeners.values():
                    error = NotOpened(f"channel {listener.name!r}: {ELSEWHERE}")
                    self._later(partial(listener._finish, error))
                self._listeners.clear()
            case Text():
                self._later(partial(self._board.printed, item.data.decode("utf-8", "replace")))
            case Events():
                self._events(item)
            case Gone():
                raise ProgramEnded(self._board.name, "")

    def _events(self, batch: Events) -> None:
        channel = self._listeners.get(batch.channel.name)
        if channel is None or batch.sender is None or channel.about.forwards:
            return
        kinds = [each.outcome for each in batch.events]
        dropped, rejected = kinds.count("dropped"), kinds.count("rejected")
        if batch.lost or batch.overwritten or dropped or rejected:
            self._later(partial(channel.missed, batch.lost, batch.overwritten, dropped, rejected))
        messages = [
            Message(
                each.head,
                each.size,
                each.priority,
                each.us,
                None,
                each.sender,
                seconds=each.seconds,
            )
            for each in batch.events
            if each.outcome == "queued"
        ]
        if messages:
            self._later(partial(channel.came, messages, 0))

    def _look_at_table(self, session: Session) -> None:
        table = session.table
        if table is None:
            return
        if self.stream is None and any(each.accepts or each.forwards for each in table.values()):
            self.stream = session.stream = Stream(self.clock, self.number)
        if self.stream is not None and not self._all_opened:
            return
        self._table = table
        about = {name: self._about(each) for name, each in table.items()}
        if about != self._told:
            self._told = about
            self._later(partial(self._board.learn, about))
            self._later(partial(self._tell_ready, None))

    def _about(self, channel: Channel) -> About:
        return About(
            channel.name,
            channel.pattern,
            channel.slot_size,
            channel.tapped,
            channel.accepts,
            channel.forwards,
            self._classes.get(channel.name, (0, 1, 2, 3, 4)),
        )

    @property
    def _number(self) -> int:
        return self.stream.number if self.stream is not None else 0

    def _tell_ready(self, error: Exception | None) -> None:
        if self._ready is not None and not self._ready.done():
            if error is None:
                self._ready.set_result(None)
            else:
                self._ready.set_exception(error)

    def _lose_stream(self, session: Session) -> None:
        assert self.stream is not None
        why = self.stream.lost
        if "another host" in why:
            raise LinkError(why)
        self._lose(why, all_of_it=False)
        self.stream = session.stream = Stream(self.clock, self.number)
        self.indices.clear()
        self._names.clear()
        self._all_opened = False

    def _record(self, record: Record) -> None:
        if record.kind == OPENED:
            flags, classes, _ = struct.unpack_from("<BBH", record.body)
            pattern, _, name = record.body[4:].decode("utf-8", "replace").partition(";")
            self._names[record.index] = name
            self.indices[name] = record.index
            self._classes[name] = tuple(level for level in range(5) if classes >> level & 1)
            for each in self._nameless.pop(record.index, ()):
                self._record(each)
            channel = self._receivers.get(name)
            if channel is not None and self.stream is not None:
                self._later(partial(channel.begins, self.stream.number))
            return
        if record.kind == END:
            self._all_opened = True
            return
        if record.kind == RESPONSE:
            number, status, _ = struct.unpack_from("<HBI", record.body)
            self._later(partial(self._board.replied, number, status, record.body[7:]))
            return
        if record.index not in self._names:  # what a host before has not confirmed comes first
            self._nameless.setdefault(record.index, []).append(record)
            return
        name = self._names[record.index]
        channel = self._receivers.get(name)
        if channel is None:  # what the board has sent again before anybody asked here
            self._early.setdefault(name, []).append(record)
            return
        if record.kind == CLOSED:
            self._later(channel._finish)
        elif record.kind in (MESSAGE, REQUEST):
            first, latency = struct.unpack_from("<II", record.body)
            data = record.body[8:]
            about = self._table.get(channel.name)
            hz = about.hz if about else 1_000_000
            latency_us = latency * 1_000_000 // hz
            if record.kind == REQUEST:
                self._later(partial(channel.requested, first, latency_us, data, self._number))
                return
            us = seconds = None
            if about and self._session:
                us = self._session.us(about, first)
                seconds, _ = self._session.board_clock.at(us)
            message = Message(
                data, len(data), record.level, us, latency_us, None, record.again, seconds
            )
            self._later(partial(channel.came, [message], self._number))


def _call_all(batch: list[Callable[[], object]]) -> None:
    for each in batch:
        each()


def _ignore(result: int) -> None:
    pass


def _set(future: "asyncio.Future[int | None]", result: int | None) -> None:
    if not future.done():
        future.set_result(result)


def _set_error(future: "asyncio.Future[int | None]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _count_reset(board: "LiveBoard") -> None:
    board.resets += 1


__all__ = ["Pump"]
