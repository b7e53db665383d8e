"""`ringlane bridge`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..link import LinkError, ProgramEnded
from ..link.commands import ATTACH_S, START_S
from ..link.session import Session
from ..link.wires import open_wire
from .bridge import QOS_1, Bridge
from .broker import Address, Broker
from .buffer import Buffer
from .topics import Topics

_TURN_S = 0.05
_BUSY_TURN_S = 0.005
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
    will = topics.online, b"false"
    with (
        Buffer(options.buffer, options.limit) as buffer,
        Broker(address, f"{options.prefix}-{topics.board}", will, five=options.five) as broker,
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
            _Run(bridge, options).follow(target, uf2, files)
        except KeyboardInterrupt:
            pass
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
        time.sleep(0.01)


class _WrongChannel(LinkError):
    """Another try does not help."""


class _Run:
    def __init__(self, bridge: Bridge, options: Options) -> None:
        self._bridge = bridge
        self._options = options
        self._begin = time.monotonic()
        self._attached = False

    def _goes_on(self) -> bool:
        seconds = self._options.seconds
        return seconds is None or time.monotonic() - self._begin < seconds

    def follow(self, target: str, uf2: str | None, files: tuple[Path, ...]) -> None:
        """Follow the board, and what comes to that port when it was away."""
        while self._goes_on():
            try:
                with open_wire(target, uf2, files) as wire, Session(wire, events=True) as session:
                    if not self._attached:
                        session.attach(START_S if files else ATTACH_S)
                        self._attached = True
                        self._begin = time.monotonic()
                    while self._goes_on():
                        self._turn(session)
            except ProgramEnded as ended:
                if ended.error:
                    raise
                return
            except _WrongChannel:
                raise
            except LinkError as error:
                if not self._attached or files:
                    raise
                self._bridge.say(f"{error}; it is tried again")
                self._idle()

    def _turn(self, session: Session) -> None:
        self._bridge.take(session.poll(_BUSY_TURN_S if self._bridge.busy else _TURN_S), session)
        self._bridge.turn()
        if time.monotonic() - self._begin > _TABLE_S:
            self._check()

    def _check(self) -> None:
        known = self._bridge.channels
        if not known:
            return
        for name in self._options.channels:
            if name not in known:
                there = ", ".join(sorted(known))
                raise _WrongChannel(f"no channel {name!r} on that board; there are {there}")
            if not known[name].tapped:
                raise _WrongChannel(
                    f"channel {name!r} has no tap: make it with tap=ringlane.Recorder()"
                )
        if not any(each.tapped for each in known.values()):
            raise _WrongChannel(
                "no channel there has a tap: make one with tap=ringlane.Recorder()"
            )

    def _idle(self) -> None:
        end = time.monotonic() + _AGAIN_S
        while time.monotonic() < end and self._goes_on():
            self._bridge.turn()
            time.sleep(_TURN_S)


__all__ = ["Options", "run_bridge"]
