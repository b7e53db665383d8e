"""Downlink: messages for a board's channels, from an MQTT broker.

What comes to `.../CHANNEL/set` is sent into a channel that the program accepts for; of a
RequestReplyChannel it is a call, and the reply goes to the response topic of MQTT 5 with the
correlation data of the request.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from ringlane.names import CLASS_NAMES

from ..link import LinkError
from ..link.remote import OutcomeUnknown, RemoteBoard, RemoteChannel
from .broker import Broker, Received
from .ledger import Ledger

_PATIENCE_MS = 5000  # for room in the channel, or for a reply
_FORM = 'a word as 5 or {"value": 5}, or bytes as {"data": "0a0b"}, each also with "class"'
_NORMAL = 2
_WAITING_MAX = 1000  # messages for the board


class _Wrong(LinkError):
    """What came makes no sense."""


def understand(payload: bytes) -> tuple[bytes, int]:
    """Return (bytes, class) of a message in JSON. Raise LinkError that says what it is to be."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        raise _Wrong(f"{payload[:60]!r} is no message: it is {_FORM}") from None
    if isinstance(said, int) and not isinstance(said, bool):
        said = {"value": said}
    if not isinstance(said, dict) or ("value" in said) == ("data" in said):
        raise _Wrong(f"{payload[:60]!r} is no message: it is {_FORM}")
    name = said.get("class", CLASS_NAMES[_NORMAL])
    if name not in CLASS_NAMES:
        raise _Wrong(f"class is {', '.join(CLASS_NAMES)}, not {name!r}")
    if "data" in said:
        try:
            data = bytes.fromhex(said["data"])
        except (ValueError, TypeError):
            raise _Wrong(f"data is hexadecimal digits, not {said['data']!r}") from None
    else:
        value = said["value"]
        if type(value) is not int or not -(1 << 31) <= value < 1 << 32:
            raise _Wrong(f"value is an int of 32 bits, not {value!r}")
        data = (value & 0xFFFFFFFF).to_bytes(4, "little")
    return data, CLASS_NAMES.index(name)


class Downlink:
    """Downlink(board, broker, ledger): take() what was received; its tasks send it on.

    raw: payloads are the messages' bytes, of the class that a user property `class` names.
    """

    def __init__(
        self,
        board: RemoteBoard,
        broker: Broker,
        ledger: Ledger,
        *,
        raw: bool,
        say: Callable[[str], object],
    ) -> None:
        self._board = board
        self._broker = broker
        self._ledger = ledger
        self._raw = raw
        self._say = say
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, name: str, received: Received) -> None:
        """Send a message on to the channel of that name; they arrive in this order."""
        room = len(self._tasks) < _WAITING_MAX
        task = asyncio.create_task(self._send(name, received, room))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is on its way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE_MS / 1e3)

    async def _send(self, name: str, received: Received, room: bool) -> None:
        count = self._ledger.downlink
        count["received"] += 1
        try:
            if not room:
                raise _Wrong(f"{_WAITING_MAX:,} messages wait for the board")
            channel = self._board.channel(name)
            if channel.about.calls:
                await self._call(channel, received)
            elif await self._into(channel, received):
                count["sent"] += 1
            else:
                count["full"] += 1
                self._say(f"{received.topic}: no room in {name!r} for {_PATIENCE_MS / 1e3:.0f} s")
        except (LinkError, ValueError, TypeError, TimeoutError, ConnectionError) as error:
            count["unknown" if isinstance(error, OutcomeUnknown) else "refused"] += 1
            text = getattr(error, "strerror", None) or str(error)
            self._say(f"{received.topic}: {text}")
            self._reply(received, {"error": text}, b"")

    async def _into(self, channel: RemoteChannel, received: Received) -> int:
        data, priority = self._message(received)
        return await channel.asend(data, priority, timeout_ms=_PATIENCE_MS)

    def _message(self, received: Received) -> tuple[bytes, int]:
        if not self._raw:
            return understand(received.payload)
        name = received.about.get("class", CLASS_NAMES[_NORMAL])
        if name not in CLASS_NAMES:
            raise _Wrong(f"class is {', '.join(CLASS_NAMES)}, not {name!r}")
        return received.payload, CLASS_NAMES.index(name)

    async def _call(self, channel: RemoteChannel, received: Received) -> None:
        if not received.reply_to:
            raise _Wrong("a call needs a response topic, which MQTT 5 has")
        data, _ = self._message(received)
        status, reply = await channel.call(data, timeout_ms=_PATIENCE_MS)
        self._ledger.downlink["answered"] += 1
        about: dict[str, Any] = {"status": status}
        if not self._raw:
            if len(reply) == 4:
                about["value"] = int.from_bytes(reply, "little", signed=True)
            about["data"] = reply.hex()
        self._reply(received, about, reply)

    def _reply(self, received: Received, about: dict[str, Any], data: bytes) -> None:
        if not received.reply_to:
            return
        if self._raw:
            noted = {key: str(value) for key, value in about.items()}
        else:
            noted, data = {}, json.dumps(about).encode()
        sent = self._broker.publish(
            received.reply_to,
            data,
            1,
            "reply",
            retain=False,
            about=noted,
            correlation=received.correlation,
        )
        if not sent:
            self._say(f"{received.topic}: the broker takes no reply to {received.reply_to}")


__all__ = ["Downlink", "understand"]
