"""Broker: the connection with an MQTT broker, and what it has taken.

MQTT 5, or 3.1.1 with a broker that has no more. A thread of paho-mqtt's connects, also again and
again, and what happens there comes out of poll(): everything else here is one thread's.

A broker acknowledges QoS 1. It does not acknowledge QoS 0; but it takes what comes over one
connection in order, so an acknowledgment of a later message on it says that the earlier ones have
come, too.
"""

import os
import queue
import re
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..link import LinkError

PASSWORD = "RINGLANE_MQTT_PASSWORD"  # of the environment, which other users do not see
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "mqtt://[USER[:PASSWORD]@]HOST[:PORT], or mqtts://"
_ACKNOWLEDGED_MAX = 100  # messages of QoS 1 on their way
UNCONFIRMED_MAX = 1000  # messages of QoS 0 on their way
_CONNECT_S = 5.0
_SHORT_S, _SHORT_MAX = 5.0, 3  # so short a connection, and so many
_ANSWER_S = 3.0  # after that MQTT 3.1.1 is tried: some brokers do not answer a client of MQTT 5
# By what a broker refuses a client for good, as paho names it.
_FOR_GOOD = {
    "Bad user name or password": "it does not take that user name and password",
    "Not authorized": "it does not take that user name and password, or asks for one",
    "Client identifier not valid": "it does not take the client's name",
    "Banned": "it has banned this client",
    "Bad authentication method": "it wants another way of authentication",
}


@dataclass(frozen=True)
class Address:
    """Where a broker is. `tls`: its certificate is checked, by the authorities of the file `ca`
    or those that this computer trusts.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str, ca: Path | None = None) -> "Address":
        """Return the address of a URL. Raise LinkError that says what is wrong with it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise LinkError(f"{url!r} is no broker's address: {error}; it is {_FORM}") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise LinkError(f"{url!r} is no broker's address: it is {_FORM}")
        if parts.path.strip("/") or parts.query or parts.fragment:
            extra = parts._replace(scheme="", netloc="").geturl()
            raise LinkError(f"a broker's address ends with its port, so what is {extra!r}?")
        tls = parts.scheme == "mqtts"
        if ca is not None:
            if not tls:
                raise LinkError(f"--ca is for mqtts://, not for {parts.scheme}://")
            if not ca.is_file():
                raise LinkError(f"no file {ca}")
            try:
                ssl.create_default_context(cafile=str(ca))
            except ssl.SSLError:
                raise LinkError(f"{ca} has no certificate in PEM form") from None
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else os.environ.get(PASSWORD)
        if parts.password and user is None:
            raise LinkError("a broker's address has a password, but no user")
        return cls(parts.hostname, port or _PORTS[parts.scheme], user, password, tls, ca)


@dataclass(frozen=True)
class Connected:
    """The broker is there."""


@dataclass(frozen=True)
class Lost:
    """It is not, or no more. `unconfirmed`: the tokens of QoS 0 of which nobody knows."""

    reason: str
    unconfirmed: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Taken:
    """It has them: the messages with these tokens."""

    tokens: tuple[Any, ...]


@dataclass(frozen=True)
class Refused:
    """It has refused the message with this token."""

    token: Any
    reason: str


@dataclass(frozen=True)
class Received:
    """Somebody sent this. `reply_to`: the topic for an answer, with `correlation`; "": none.

    `retained`: not now, but the broker kept it. `about`: its user properties.
    """

    topic: str
    payload: bytes
    retained: bool
    reply_to: str
    correlation: bytes | None
    about: dict[str, str]


News = Connected | Lost | Taken | Refused | Received


@dataclass(frozen=True)
class _Flying:
    order: int
    token: Any


class Broker:
    """Broker(address, name, will): a client of that name. A context manager.

    will: (topic, payload), which the broker publishes, retained, when this client is gone.
    topics: what it subscribes to, filters. five: whether MQTT 5 is tried. delays: seconds before
    it connects again, the first and the longest. keep_alive: seconds; after up to twice that a
    broker that says nothing is lost.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        will: tuple[str, bytes],
        *,
        topics: Sequence[str] = (),
        five: bool = True,
        delays: tuple[float, float] = (1.0, 30.0),
        keep_alive: int = 20,
    ) -> None:
        self.address = address
        self.connected = False
        self.reconnects = 0
        self._name = name
        self._will = will
        self._topics = topics
        self._delays = delays
        self._keep_alive = keep_alive
        self._news: queue.SimpleQueue[Callable[[], News | None]] = queue.SimpleQueue()
        self._order = 0  # of the message published last
        self._flying: dict[int, _Flying] = {}  # of QoS 1, by the packet's number
        self._unconfirmed: deque[_Flying] = deque()  # of QoS 0
        self._most = _ACKNOWLEDGED_MAX
        self._ever = False  # it was connected once
        self._refusal = ""
        self._since = 0.0  # when it was connected
        self._short = 0  # connections in a row that broke at once
        self._five = five
        self._opened: float | None = None  # when there was a connection that is not answered yet
        self._client = self._start()

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self) -> Any:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        version = MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311
        client: Any = mqtt.Client(CallbackAPIVersion.VERSION2, self._name, protocol=version)
        if self.address.user is not None:
            client.username_pw_set(self.address.user, self.address.password)
        if self.address.tls:
            ca = self.address.ca
            client.tls_set_context(ssl.create_default_context(cafile=ca and str(ca)))
        client.will_set(*self._will, qos=1, retain=True)
        client.reconnect_delay_set(*self._delays)
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages_set(_ACKNOWLEDGED_MAX)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.connect_async(self.address.host, self.address.port, keepalive=self._keep_alive)
        client.loop_start()
        return client

    # -- in paho's thread: they only say what happened

    def _on_socket_open(self, client: Any, _data: Any, _socket: Any) -> None:
        now = time.monotonic()
        self._news.put(lambda: self._was_opened(client, now))

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, about: Any) -> None:
        if reason.is_failure:
            said = str(reason)
            self._news.put(lambda: self._was_refused(client, said))
            return
        most = min(_ACKNOWLEDGED_MAX, getattr(about, "ReceiveMaximum", _ACKNOWLEDGED_MAX))
        for each in self._topics:
            client.subscribe(each, qos=2)
        self._news.put(lambda: self._was_connected(most))

    def _on_connect_fail(self, client: Any, _data: Any) -> None:
        # paho calls this while it handles the exception, and passes it to nobody.
        error = sys.exception()
        self._news.put(lambda: self._could_not(client, error))

    def _on_disconnect(self, client: Any, _data: Any, _flags: Any, reason: Any, _: Any) -> None:
        said = str(reason)
        self._news.put(lambda: self._was_lost(client, said))

    def _on_publish(self, _client: Any, _data: Any, packet: int, reason: Any, _: Any) -> None:
        said = str(reason) if reason.is_failure else ""
        self._news.put(lambda: self._was_taken(packet, said))

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        about = message.properties
        received = Received(
            message.topic,
            message.payload,
            bool(message.retain),
            getattr(about, "ResponseTopic", ""),
            getattr(about, "CorrelationData", None),
            dict(getattr(about, "UserProperty", ())),
        )
        self._news.put(lambda: received)

    # -- in the thread of whoever polls

    def poll(self) -> list[News]:
        """Return what has happened. Raise LinkError if the broker refuses this client for good.

        Once it was connected nothing is for good: a broker may be set up anew meanwhile.
        """
        found: list[News] = []
        if self._opened is not None and time.monotonic() - self._opened > _ANSWER_S:
            self._try_older()
        while True:
            try:
                news = self._news.get_nowait()()
            except queue.Empty:
                return found
            if news is not None:
                found.append(news)

    def _try_older(self) -> None:
        self._opened = None
        if self._five and not self._ever:
            self._five = False
            client, self._client = self._client, None
            self._stop(client)
            self._client = self._start()

    def _was_opened(self, client: Any, now: float) -> None:
        if client is self._client:
            self._opened = now

    def _was_connected(self, most: int) -> News:
        self.reconnects += self._ever
        self.connected = self._ever = True
        self._since = time.monotonic()
        self._refusal = ""
        self._opened = None
        self._most = most
        return Connected()

    def _was_refused(self, client: Any, said: str) -> News | None:
        if client is not self._client:
            return None
        self._opened = None
        if said == "Unsupported protocol version" and self._five and not self._ever:
            self._try_older()
            return None
        self._refusal = _FOR_GOOD.get(said, said.lower())
        if said in _FOR_GOOD and not self._ever:
            raise LinkError(f"the broker at {self.address} refuses: {self._refusal}")
        return None  # the connection ends now, which says so

    def _could_not(self, client: Any, error: BaseException | None) -> News | None:
        if client is not self._client:
            return None
        if isinstance(error, ssl.SSLCertVerificationError):
            said = f"its certificate is not to be trusted: {error.verify_message}"
            if not self._ever:
                raise LinkError(f"the broker at {self.address}: {said}")
        elif isinstance(error, ssl.SSLError):
            said = f"it speaks no TLS: {error.reason or error}"
            if not self._ever:
                raise LinkError(f"the broker at {self.address}: {said}")
        else:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            said = re.sub(r"^_ssl\.c:\d+: The", "the TLS", said)
        return Lost(said)

    def _was_lost(self, client: Any, said: str) -> News | None:
        if client is not self._client:
            return None
        if self._opened is not None and self._five and not self._ever:
            self._try_older()
            return None
        self._opened = None
        if self.connected:
            short = time.monotonic() - self._since < _SHORT_S
            self._short = self._short + 1 if short else 0
        self.connected = False
        said = self._refusal or said.lower()
        if self._short >= _SHORT_MAX:  # each of two clients of one name has the other thrown out
            said += f", each time at once; is there another bridge of the name {self._name!r}?"
        unconfirmed = tuple(each.token for each in self._unconfirmed)
        self._unconfirmed.clear()
        return Lost(said, unconfirmed)

    def _was_taken(self, packet: int, refused: str) -> News | None:
        flying = self._flying.pop(packet, None)
        if flying is None:
            return None  # of QoS 0: it was written
        tokens = []
        while self._unconfirmed and self._unconfirmed[0].order < flying.order:
            tokens.append(self._unconfirmed.popleft().token)
        if refused:
            if tokens:
                self._news.put(lambda: Taken(tuple(tokens)))
            return Refused(flying.token, refused)
        return Taken((*tokens, flying.token))

    @property
    def full(self) -> bool:
        """As many messages are on their way as may be, or the broker is not there."""
        return (
            not self.connected
            or len(self._flying) >= self._most
            or len(self._unconfirmed) >= UNCONFIRMED_MAX
        )

    @property
    def unconfirmed(self) -> int:
        """How many messages of QoS 0 the broker has not yet been heard to have."""
        return len(self._unconfirmed)

    @property
    def flying(self) -> int:
        """How many messages of QoS 1 are on their way."""
        return len(self._flying)

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        token: Any,
        *,
        retain: bool = True,
        about: dict[str, str] | None = None,
        correlation: bytes | None = None,
    ) -> bool:
        """Send a message; return False, and nothing is sent, if that is not possible now.

        Later poll() says of its `token` whether it was taken: of QoS 1 in any case, also after
        connections that broke. `about`: user properties, for MQTT 5.
        """
        from paho.mqtt.enums import MQTTErrorCode
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = None
        if self._five and (about or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)
            if about:
                properties.UserProperty = list(about.items())
            if correlation is not None:
                properties.CorrelationData = correlation
        info = self._client.publish(topic, payload, qos, retain, properties)
        # Without a connection paho keeps what is of QoS 1, for the next one.
        keeps = info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN and qos
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS and not keeps:
            return False
        self._order += 1
        flying = _Flying(self._order, token)
        if qos:
            self._flying[info.mid] = flying
        else:
            self._unconfirmed.append(flying)
        return True

    def give_up(self) -> list[Any]:
        """Forget what is on its way; return the tokens: nobody knows whether it has come."""
        forgotten = [each.token for each in (*self._unconfirmed, *self._flying.values())]
        self._unconfirmed.clear()
        self._flying.clear()
        return forgotten

    def close(self) -> None:
        """Take leave, so that the broker publishes no will."""
        self._stop(self._client)

    def _stop(self, client: Any) -> None:
        client.disconnect()
        # It waits for the thread, which may be connecting to a host that does not answer.
        stop = threading.Thread(target=client.loop_stop, daemon=True)
        stop.start()
        stop.join(_CONNECT_S)


__all__ = [
    "PASSWORD",
    "UNCONFIRMED_MAX",
    "Address",
    "Broker",
    "Connected",
    "Lost",
    "News",
    "Received",
    "Refused",
    "Taken",
]
