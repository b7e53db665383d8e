"""Real brokers, a proxy that cuts connections to them, and a subscriber."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

HERE = Path(__file__).resolve().parent
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
KINDS = ("amqtt", *(["mosquitto"] if MOSQUITTO else []))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(true, patience=60.0, what=""):
    """Wait until true() is; fail if it does not become so."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, what or true
        time.sleep(0.01)


class BrokerProcess:
    """A broker on a port of its own; `five`: it has MQTT 5. A context manager.

    user: (name, password) that amqtt asks for. tls: (certificate, key), files, of amqtt. rules:
    mosquitto's file of who may do what.
    """

    def __init__(self, kind, folder, user=None, tls=None, rules=None):
        self.kind = kind
        self.five = kind == "mosquitto"
        self.port = free_port()
        self._folder = folder
        self._user = user
        self._tls = tls
        self._rules = rules
        self._process = None
        self.start()

    def start(self):
        words = self._amqtt() if self.kind == "amqtt" else self._mosquitto()
        self._process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, what=f"{self.kind} does not start")

    def _answers(self):
        assert self._process.poll() is None
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def _amqtt(self):
        words = [sys.executable, HERE / "amqtt_broker.py", str(self.port)]
        if self._user:
            words.append(":".join(self._user))
        return words + list(self._tls or ())

    def _mosquitto(self):
        lines = [
            f"listener {self.port} 127.0.0.1",
            "max_queued_messages 0",
            "allow_anonymous true",
        ]
        if self._rules:
            lines += [
                "user root",
                f"acl_file {self._rules}",
            ]  # whom the file belongs to, in a test
        (self._folder / "mosquitto.conf").write_text("\n".join(lines))
        return [MOSQUITTO, "-c", self._folder / "mosquitto.conf"]

    @property
    def cpu(self):
        """Seconds of a processor that it has taken since its start."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self._process.kill()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


class Proxy:
    """Between a client and a broker's port; a context manager. `open`: whether it lets anybody in.

    cut(): every connection breaks. lossy: of so many chunks of bytes the connection breaks in the
    middle, of 0 to 1.
    """

    def __init__(self, port, lossy=0.0, seed=1):
        self.open = True
        self.lossy = lossy
        self.cuts = 0
        self._to = port
        self._random = random.Random(seed)
        self._pairs = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self._server.accept()[0]
                if not self.open:
                    client.close()
                    continue
                broker = socket.create_connection(("127.0.0.1", self._to))
            except ConnectionRefusedError:
                client.close()
                continue
            except OSError:
                return
            self._pairs.append((client, broker))
            for a, b in ((client, broker), (broker, client)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, source, to):
        with suppress(OSError):
            while data := source.recv(512):
                if self._random.random() < self.lossy:
                    self.cuts += 1
                    to.sendall(data[: self._random.randrange(len(data))])
                    break
                to.sendall(data)
        for each in (source, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self):
        self.cuts += 1
        for each in sum(self._pairs, ()):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._server.close()
        self.cut()


class Subscriber:
    """Gets everything below `topic`: `got`, as (topic, payload, retained, properties).

    A context manager. take: a function that gets each instead. name: the client's.
    """

    def __init__(self, broker, topic="#", take=None, name=""):
        version = MQTTProtocolVersion.MQTTv5 if broker.five else MQTTProtocolVersion.MQTTv311
        self.got = []
        self._take = take
        self.subscribed = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=version)
        self.client.reconnect_delay_set(0.1, 0.2)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_disconnect = lambda *_: self.subscribed.clear()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        assert self.subscribed.wait(10)

    def _on_message(self, _client, _data, message):
        what = message.topic, message.payload, message.retain, message.properties
        if self._take:
            self._take(*what)
        else:
            self.got.append(what)

    def of(self, topic, retained=True):
        """The payloads that came to a topic, from JSON; or those only that were new then."""
        return [
            json.loads(payload)
            for name, payload, kept, _ in list(self.got)
            if name == topic and (retained or not kept)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.disconnect()
        self.client.loop_stop()
