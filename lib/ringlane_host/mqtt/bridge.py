"""Bridge: what a board's tapped channels carry, to a broker."""

import itertools
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from ringlane.names import CLASS_NAMES

from ..link.recording import lane_of
from ..link.remote import Message as Forwarded
from ..link.session import ELSEWHERE, Channel, Event, Events, Gone, Hello, Item, Status
from .broker import UNCONFIRMED_MAX, Broker, Connected, Lost, Received, Refused, Taken
from .buffer import Buffer, Message
from .ledger import (
    BOARD_FULL,
    BOARD_REJECTED,
    BROKER,
    BUFFER,
    CUT,
    UNCONFIRMED,
    UNSENT,
    Ledger,
)
from .topics import Topics

_NORMAL = 2
QOS_1 = _NORMAL  # this class and the more urgent ones
_LEDGER_S = 2.0  # between two of them
_SILENCE_S = 3.0  # since the last word of the board: it is not there
_ONLINE, _LEDGER = "online", "ledger"  # tokens of the bridge's own messages


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bridge:
    """Bridge(broker, buffer, topics): call take() with what a session brings, and turn() often.

    channels: only those; () is all that are tapped. qos_1: the least urgent class, 0 to 4, whose
    messages go with QoS 1; -1: none do. retain: whether the broker keeps each channel's newest.
    raw: payloads are the messages' bytes, instead of JSON. `ledger` has what became of everything.
    """

    def __init__(
        self,
        broker: Broker,
        buffer: Buffer,
        topics: Topics,
        *,
        channels: Iterable[str] = (),
        qos_1: int = QOS_1,
        retain: bool = True,
        raw: bool = False,
        say: Callable[[str], object] = _say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger = Ledger()
        self.online = False  # the board is there
        self.channels: dict[str, Channel] = {}  # of the board
        self.received: deque[tuple[str, Received]] = deque()  # for channels, to be taken out
        self._broker = broker
        self._buffer = buffer
        self._topics = topics
        self._only = frozenset(channels)
        self._qos_1 = qos_1
        self._retain = retain
        self._raw = raw
        self.say = say
        self._clock = clock
        self._wall = time.time() - time.monotonic()
        self._boot = 0
        self._heard = -1e9
        self._told_cut: set[str] = set()
        self._told_elsewhere = False
        self._lost: str | None = None  # why the broker is away, once said
        self._online_told: bool | None = None
        self._ledger_told = ""
        self._ledger_at = -1e9
        self._flying_ledger = False
        for name, count in buffer.left.items():
            self.ledger.of(name).earlier = self.ledger.of(name).waiting = count

    @property
    def busy(self) -> bool:
        """Something waits for the broker, and it is there."""
        return bool(self._buffer.count) and self._broker.connected

    @property
    def without_broker(self) -> bool:
        """The broker has been found not to be there."""
        return self._lost is not None

    # -- from the board

    def take(self, items: Iterable[Item]) -> None:
        """Take what a session has brought."""
        messages: list[Message] = []
        for each in items:
            match each:
                case Hello():
                    self.ledger.begin(each.boot)
                    self._boot = each.boot
                    if each.again:
                        self.say("the board was reset")
                    self._is_there()
                case Channel():
                    self.channels[each.name] = each
                case Status():
                    self._is_there()
                    if each.elsewhere and not self._told_elsewhere:
                        self.say(ELSEWHERE)
                    self._told_elsewhere = each.elsewhere
                case Gone():
                    self._heard = -1e9
                case Events() if each.sender is not None and self.wanted(each.channel.name):
                    self.ledger.told(each)
                    messages += self._messages(each)
        self._put(messages)

    def _put(self, messages: list[Message]) -> None:
        if messages:
            for message in messages:
                self.ledger.of(message.channel).waiting += 1
            self._drop(self._buffer.add(messages), BUFFER)
            if self._buffer.trouble:
                self.say(f"the buffer takes no more: {self._buffer.trouble}")
                self._buffer.trouble = ""

    def wanted(self, channel: str) -> bool:
        """Whether that channel is to be published."""
        return not self._only or channel in self._only

    def _is_there(self) -> None:
        self._heard = self._clock()

    def _messages(self, batch: Events) -> Iterable[Message]:
        name = batch.channel.name
        account = self.ledger.of(name)
        for place, each in enumerate(batch.events):
            if each.outcome == "dropped":
                account.dropped[BOARD_FULL] += 1
            elif each.outcome != "queued":
                account.dropped[BOARD_REJECTED] += 1
            elif len(each.head) < each.size:
                account.dropped[CUT] += 1
                if name not in self._told_cut:
                    self._told_cut.add(name)
                    self.say(
                        f"{name}: the recorder keeps {len(each.head)} of {each.size} bytes of a "
                        f"message; Recorder(head={-(-each.size // 4) * 4}) would keep all"
                    )
            else:
                yield self._message(batch, place, each)

    def _message(self, batch: Events, place: int, event: Event) -> Message:
        about: dict[str, Any] = {
            "boot": self._boot,
            "sender": batch.sender,
            "event": batch.first + place,
            "time": round(self._wall + event.seconds, 4),
        }
        if event.priority is None:
            about["lane"] = lane_of(batch.channel, event)  # of a RequestReplyChannel
        return self._made(batch.channel.name, event.priority, event.head, about)

    def forwarded(self, name: str, message: Forwarded) -> None:
        """Take a message that the program there gives to its host, and to nobody else."""
        about: dict[str, Any] = {"boot": self._boot}
        if message.seconds is not None:
            about["time"] = round(self._wall + message.seconds, 4)
        if message.again:
            about["again"] = True
        self.ledger.of(name).sent += 1
        self._put([self._made(name, message.priority, message.data, about)])

    def _made(
        self, name: str, priority: int | None, data: bytes, about: dict[str, Any]
    ) -> Message:
        if priority is None:
            priority = _NORMAL
        else:
            about["class"] = CLASS_NAMES[priority]
        if self._raw:
            payload = data
            noted = json.dumps({key: str(value) for key, value in about.items()})
        else:
            value = {}
            if len(data) == 4:
                value["value"] = int.from_bytes(data, "little", signed=True)
            payload = json.dumps({**value, "data": data.hex(), **about}).encode()
            noted = ""
        qos = int(priority <= self._qos_1)
        return Message(name, qos, self._topics.of(name), payload, noted)

    # -- to the broker

    def turn(self) -> None:
        """Send what waits, as much as may be on its way, and learn what was taken."""
        for news in self._broker.poll():
            match news:
                case Connected():
                    self.say(f"the broker at {self._broker.address} is there")
                    self._lost = None
                    self._online_told = None  # it may have published the will
                    self._ledger_told = ""  # and may have lost what it kept
                case Lost():
                    self._was_lost(news)
                case Taken():
                    self._taken(news.tokens)
                case Refused() if isinstance(news.token, tuple):
                    self._settle([news.token], BROKER)
                    self.say(f"{news.token[1].channel}: the broker refuses it: {news.reason}")
                case Refused():
                    self.say(f"the broker refuses the bridge's own message: {news.reason}")
                    self._flying_ledger &= news.token != _LEDGER
                case Received():
                    # Some brokers send what was kept also where the filter does not match.
                    channel = self._topics.channel_of(news.topic)
                    if channel is not None and news.retained:
                        self.refuse(news, "the broker kept it, so it may be old: it is not sent")
                    elif channel is not None:
                        self.received.append((channel, news))
        if self.online != (self._clock() - self._heard < _SILENCE_S):
            self.online = not self.online
        if not self._broker.full and self._online_told != self.online:
            self._online_told = self.online
            state = b"true" if self.online else b"false"
            self._broker.publish(self._topics.online, state, 1, _ONLINE)
        self._send()
        self._tell_ledger(self._clock() - self._ledger_at >= _LEDGER_S)

    def refuse(self, received: Received, why: str) -> None:
        """Count a message for the board that is not sent to it."""
        self.ledger.downlink["received"] += 1
        self.ledger.downlink["refused"] += 1
        self.say(f"{received.topic}: {why}")

    def _was_lost(self, news: Lost) -> None:
        if news.reason != self._lost:
            self._lost = news.reason
            self.say(
                f"no broker at {self._broker.address}: {news.reason}; messages wait in the "
                "buffer, and it is tried again"
            )
        self._drop(Counter(each.channel for _, each in news.unconfirmed), UNCONFIRMED)

    def _taken(self, tokens: Iterable[Any]) -> None:
        mine = [each for each in tokens if isinstance(each, tuple)]
        if _LEDGER in tokens:
            self._flying_ledger = False
        for _, message in mine:
            account = self.ledger.of(message.channel)
            account.waiting -= 1
            account.delivered += 1
        self._buffer.done(each for each in mine if each[1].qos)

    def _settle(self, rows: list[tuple[int, Message]], where: str) -> None:
        self._drop(Counter(each.channel for _, each in rows), where)
        self._buffer.done(each for each in rows if each[1].qos)

    def _drop(self, counts: Counter[str], where: str) -> None:
        for name, count in counts.items():
            account = self.ledger.of(name)
            account.waiting -= count
            account.dropped[where] += count

    def _send(self) -> None:
        while not self._broker.full:
            rows = self._buffer.following()
            published = list(itertools.takewhile(self._publish, rows))
            # What is of QoS 0 is sent once.
            self._buffer.done(each for each in published if not each[1].qos)
            if not rows or len(published) < len(rows):
                return

    def _publish(self, row: tuple[int, Message]) -> bool:
        number, message = row
        done = not self._broker.full and self._broker.publish(
            message.topic,
            message.payload,
            message.qos,
            row,
            retain=self._retain,
            about=json.loads(message.about) if message.about else None,
        )
        if done:
            self._buffer.passed(number)
        return done

    def _tell_ledger(self, due: bool) -> None:
        # What is of QoS 0 is known to have come when something after it is acknowledged.
        due |= self._broker.unconfirmed > UNCONFIRMED_MAX // 2
        if not due or self._flying_ledger or not self._broker.connected:
            return
        told = json.dumps(self.ledger.as_json())
        if told == self._ledger_told and not self._broker.unconfirmed:
            return
        if self._broker.publish(self._topics.ledger, told.encode(), 1, _LEDGER):
            self._ledger_told = told
            self._ledger_at = self._clock()
            self._flying_ledger = True

    def close(self, timeout: float) -> None:
        """Send what waits, for `timeout` seconds at most, and the last ledger."""
        self._heard = -1e9  # nobody listens to the board any more
        end = self._clock() + timeout
        self.turn()
        while self._clock() < end and (
            self._buffer.count or self._broker.unconfirmed or self._broker.flying
        ):
            self._tell_ledger(bool(self._broker.unconfirmed))
            time.sleep(0.005)
            self.turn()
        unknown, kept = self._broker.give_up(), self._buffer.path is not None
        rows = [each for each in unknown if isinstance(each, tuple)]
        # What is of QoS 1 is in the buffer still, and a file of it is kept.
        rows = [each for each in rows if not (kept and each[1].qos)]
        self._drop(Counter(each.channel for _, each in rows), UNCONFIRMED)
        if not kept:
            for account in self.ledger.accounts.values():
                account.dropped[UNSENT] += account.waiting
                account.waiting = 0
        self._flying_ledger = False
        self._tell_ledger(True)
        end = self._clock() + 1
        while self._flying_ledger and self._broker.connected and self._clock() < end:
            self._taken([t for n in self._broker.poll() if isinstance(n, Taken) for t in n.tokens])
            time.sleep(0.005)


__all__ = ["QOS_1", "Bridge"]
