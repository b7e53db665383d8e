"""`ringlane bridge`."""

import asyncio
import queue
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..link import LinkError, ProgramEnded
from ..link.remote import LiveBoard, RemoteBoard, remote
from ..link.session import Followed, Item
from .bridge import QOS_1, Bridge
from .broker import Address, Broker
from .buffer import Buffer
from .downlink import Downlink
from .topics import Topics

_TURN_S = 0.01
_BUSY_TURN_S = 0.002
_TABLE_S = 3.0  # for the board to tell its channels
_BROKER_S = 6.0  # for the broker to say whether it takes this client
_LAST_S = 5.0
_AGAIN_S = 2.0  # before a port is opened again


@dataclass(frozen=True)
class Options:
    """What `ringlane bridge` may be told, see its --help."""

    ca: Path | None = None
    name: str | None = None
    prefix: str = "ringlane"
    channels: Sequence[str] = ()
    qos_1: int = QOS_1
    retain: bool = True
    raw: bool = False
    buffer: Path | None = None
    limit: int = 64 << 20
    five: bool = True
    seconds: float | None = None


def run_bridge(
    target: str, uf2: str | None, files: tuple[Path, ...], url: str, options: Options
) -> None:
    """Bridge until Ctrl-C, the program's end or `seconds`; print what became of every message."""
    address = Address.parse(url, options.ca)
    topics = Topics(options.name or target.rstrip("/").rpartition("/")[2], options.prefix)
    with (
        Buffer(options.buffer, options.limit) as buffer,
        Broker(
            address,
            f"{options.prefix}-{topics.board}",
            (topics.online, b"false"),
            topics=[topics.sets],
            five=options.five,
        ) as broker,
    ):
        bridge = Bridge(
            broker,
            buffer,
            topics,
            channels=options.channels,
            qos_1=options.qos_1,
            retain=options.retain,
            raw=options.raw,
        )
        _await_broker(bridge, broker)
        try:
            asyncio.run(_Run(bridge, broker, options).run(target, uf2, files))
        finally:
            bridge.close(_LAST_S)
            for line in bridge.ledger.lines():
                print(line)
            waiting = sum(each.waiting for each in bridge.ledger.accounts.values())
            if waiting:
                print(f"the next bridge with --buffer {buffer.path} sends what waits")


def _await_broker(bridge: Bridge, broker: Broker) -> None:
    # What is wrong for good is said before anything begins.
    end = time.monotonic() + _BROKER_S
    while not broker.connected and not bridge.without_broker and time.monotonic() < end:
        bridge.turn()
        time.sleep(_TURN_S)


class _WrongChannel(LinkError):
    """Another try does not help."""


class _Run:
    def __init__(self, bridge: Bridge, broker: Broker, options: Options) -> None:
        self._bridge = bridge
        self._broker = broker
        self._options = options
        self._begin: float | None = None  # when the board was there at first
        self._stopped = False
        self._downlink: Downlink | None = None
        self._followed = Followed()

    async def run(self, target: str, uf2: str | None, files: tuple[Path, ...]) -> None:
        """Bridge, as run_bridge says."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # on Windows: there KeyboardInterrupt ends it
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(each, self._stop)
        tasks = [
            asyncio.create_task(self._turns()),
            asyncio.create_task(self._follow(target, uf2, files)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._stop()
        tasks[1].cancel()  # it may wait for a board
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _stop(self) -> None:
        self._stopped = True

    def _goes_on(self) -> bool:
        seconds = self._options.seconds
        if seconds is not None and self._begin is not None:
            self._stopped |= time.monotonic() - self._begin > seconds
        return not self._stopped

    async def _turns(self) -> None:
        while self._goes_on():
            self._bridge.turn()
            while self._bridge.received:
                channel, received = self._bridge.received.popleft()
                if self._downlink is not None:
                    self._downlink.take(channel, received)
                else:
                    self._bridge.refuse(received, "the board is not there")
            await asyncio.sleep(_BUSY_TURN_S if self._bridge.busy else _TURN_S)

    async def _follow(self, target: str, uf2: str | None, files: tuple[Path, ...]) -> None:
        # The board, and what comes to that port when it was away.
        while self._goes_on():
            try:
                await self._board(remote(target, *files, uf2=uf2))
            except _WrongChannel:
                raise
            except LinkError as error:
                if files and isinstance(error, ProgramEnded) and not error.error:
                    return
                if self._begin is None or files:
                    raise
                self._bridge.say(f"{error}; it is tried again")
                await asyncio.sleep(_AGAIN_S)

    async def _board(self, board: RemoteBoard) -> None:
        if not isinstance(board, LiveBoard):
            raise LinkError(f"a bridge is from a board, and {board.name} is a recording")
        news: queue.SimpleQueue[list[Item]] = queue.SimpleQueue()
        board.watch = news.put
        board.followed = self._followed

        def take() -> None:
            while not news.empty():
                self._bridge.take(news.get())

        carried: dict[str, asyncio.Task[None]] = {}
        async with board:
            self._begin = self._begin or time.monotonic()
            self._downlink = Downlink(
                board,
                self._broker,
                self._bridge.ledger,
                raw=self._options.raw,
                say=self._bridge.say,
            )
            try:
                while self._goes_on() and board.error is None:
                    take()
                    self._check(board)
                    for name, about in board.channels.items():
                        # What is tapped, too, comes as events.
                        mine = about.forwards and not about.tapped and not about.calls
                        if mine and name not in carried and self._bridge.wanted(name):
                            carried[name] = asyncio.create_task(self._carry(board, name))
                    await asyncio.sleep(_TURN_S)
                error = board.error
                await self._downlink.close()
            finally:
                self._downlink = None
        await asyncio.gather(*carried.values())  # they take what came until the link was closed
        take()
        if error is not None:
            raise error

    async def _carry(self, board: LiveBoard, name: str) -> None:
        with suppress(LinkError):  # which ends the whole session
            async for message in board.channel(name):
                self._bridge.forwarded(name, message)

    def _check(self, board: LiveBoard) -> None:
        assert self._begin is not None
        known = board.channels
        if not known or time.monotonic() - self._begin < _TABLE_S:
            return
        for name in self._options.channels:
            if name not in known:
                there = ", ".join(sorted(known))
                raise _WrongChannel(f"no channel {name!r} on that board; there are {there}")
            if not (known[name].tapped or known[name].forwards):
                raise _WrongChannel(
                    f"channel {name!r} has no tap: make it with tap=ringlane.Recorder()"
                )
        if not any(each.tapped or each.accepts or each.forwards for each in known.values()):
            raise _WrongChannel(
                "no channel there has a tap, or is open to a host: make one with "
                "tap=ringlane.Recorder()"
            )


__all__ = ["Options", "run_bridge"]
