"""`ringlane bridge` as a user runs it: both ways, and what may be wrong."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
import trustme
from brokers import KINDS, BrokerProcess, Subscriber, free_port, until
from conftest import PACKAGE, ROOT
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from process_wire import ProcessWire
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.command import cli
from ringlane_host.link import LinkError
from ringlane_host.mqtt.broker import Address
from ringlane_host.mqtt.downlink import understand
from ringlane_host.mqtt.topics import Topics, level

# Each command comes back by `adc`, one more; a call comes back with its last byte first.
MAIN = """
import asyncio
import ringlane.link, ringlane.remote
from ringlane import *

adc = PriorityChannel((8, 8, 8, 8, 8), slot_size=8, name="adc", tap=Recorder(256, head=8))
led = Channel(4, slot_size=4, senders=2, name="led")
rpc = RequestReplyChannel(4, name="rpc")
ringlane.remote.accept(led)
ringlane.remote.accept(rpc)

async def serve():
    buf = bytearray(32)
    while True:
        while m := rpc.recv_request(buf):
            rpc.send_response(m[1], bytes(reversed(buf[: m[0]])))
        await asyncio.sleep_ms(5)

async def main():
    asyncio.create_task(ringlane.link.serve())
    asyncio.create_task(serve())
    while True:
        m = led.recv_word()
        if m:
            adc.send_word(m[0] + 1, m[1])
            adc.recv_word()
        await asyncio.sleep_ms(5)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory, interpreter):
    """The port of a board that runs MAIN."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "lib").mkdir()
    (folder / "lib" / "ringlane").symlink_to(PACKAGE)
    (folder / "main.py").write_text(MAIN)
    with VirtualBoard(folder) as board:
        yield board.port


@contextmanager
def bridged(board, broker, *words):
    """Give a `ringlane bridge` that runs, a Popen; it does not outlive the test."""
    words = [board, f"mqtt://127.0.0.1:{broker.port}", *words]
    words += ["--mqtt", "5" if broker.five else "3.1.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ringlane_host.command.cli", "bridge", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def ringlane(capfd):
    """A function that runs `ringlane bridge` here; returns (its exit status, stdout, stderr)."""

    def run(*words):
        status = cli.main(["bridge", *map(str, words)])
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def fails(ringlane):
    """A function that returns the one line that a bridge says that fails."""

    def run(*words):
        status, out, err = ringlane(*words)
        assert status == 1 and not out, (out, err)
        (line,) = err.splitlines()
        return line

    return run


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("kind", KINDS[-1:])  # with MQTT 5 if it can be
def test_messages_and_calls_come_to_the_board_and_what_is_wrong_is_told(
    kind, raw, board, tmp_path
):
    topics = Topics("here")
    words = ["--name", "here", *(["--raw"] if raw else [])]
    with (
        BrokerProcess(kind, tmp_path) as broker,
        Subscriber(broker) as client,
        bridged(board, broker, *words) as process,
    ):
        until(lambda: client.of(topics.online)[-1:] == [True], what=process)

        def say(channel, payload, **properties):
            about = None
            if properties and broker.five:
                about = Properties(PacketTypes.PUBLISH)
                for name, value in properties.items():
                    setattr(about, name, value)
            client.client.publish(topics.of(channel) + "/set", payload, 2, properties=about)

        say("led", (5).to_bytes(4, "little") if raw else "5")
        say("led", b"-" * 5 if raw else '{"data": "2d2d2d2d2d"}')
        say("adc", b"\0\0\0\0" if raw else "0")
        say("nobody", b"\0\0\0\0" if raw else "0")
        call = b"abc" if raw else '{"data": "616263"}'
        say("rpc", call, ResponseTopic="answers", CorrelationData=b"\0\x07")
        say("rpc", b"-" * 99 if raw else json.dumps({"data": "2d" * 99}), ResponseTopic="answers")
        until(lambda: any(topic == topics.of("adc") for topic, *_ in client.got))
        (value,) = [payload for topic, payload, *_ in client.got if topic == topics.of("adc")]
        assert value == (6).to_bytes(4, "little") if raw else json.loads(value)["value"] == 6
        if broker.five:
            until(lambda: sum(topic == "answers" for topic, *_ in client.got) == 2)
            answers = [each for each in client.got if each[0] == "answers"]
            (good,) = (each for each in answers if hasattr(each[3], "CorrelationData"))
            assert good[3].CorrelationData == b"\0\x07"
            (bad,) = (each for each in answers if each is not good)
            if raw:
                assert good[1] == b"cba" and dict(good[3].UserProperty) == {"status": "0"}
                assert "message of 99 bytes is larger" in dict(bad[3].UserProperty)["error"]
            else:
                assert json.loads(good[1]) == {"status": 0, "data": "636261"}
                assert "message of 99 bytes is larger" in json.loads(bad[1])["error"]
        until(lambda: client.of(topics.ledger)[-1]["downlink"].get("received") == 6)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "adc: 1 sent = 1 delivered + 0 dropped\n" in out
        counts = {"received": 6, "sent": 1, "refused": 4 if broker.five else 5}
        counts |= {"answered": 1} if broker.five else {}
        assert client.of(topics.ledger)[-1]["downlink"] == counts
        for text in (
            "/led/set: message of 5 bytes is larger than a slot of 'led', 4",
            "/adc/set: channel 'adc' takes nothing from a host",
            "/nobody/set: no channel 'nobody' at",
            *([] if broker.five else ["/rpc/set: a call needs a response topic"]),
        ):
            assert text in err, err
        until(lambda: client.of(topics.online)[-1] is False)


@pytest.mark.parametrize("kind", KINDS[-1:])  # with MQTT 5 if it can be
def test_a_kept_message_is_not_sent_and_a_killed_bridge_is_gone(kind, board, tmp_path):
    words = ["--name", "x", "--prefix", "plant"]
    with BrokerProcess(kind, tmp_path) as broker, Subscriber(broker) as client:
        client.client.publish("plant/x/led/set", "5", 1, retain=True)
        with bridged(board, broker, *words) as process:
            until(lambda: client.of("plant/x/online")[-1:] == [True])
            said = process.stderr.readline() + process.stderr.readline()
            assert "led/set: the broker kept it, so it may be old" in said
        until(lambda: client.of("plant/x/online")[-1] is False)
        assert not client.of("plant/x/adc")


def test_what_a_broker_refuses_is_told(board, tmp_path, ringlane, fails, monkeypatch):
    with BrokerProcess("amqtt", tmp_path, user=("ada", "p@ss/1")) as broker:
        at = f"127.0.0.1:{broker.port}"
        refused = f"ringlane bridge: the broker at {at} refuses: it does not take that user name"
        assert fails(board, f"mqtt://ada:wrong@{at}", "--mqtt", "3.1.1").startswith(refused)
        assert fails(board, f"mqtt://{at}", "--mqtt", "3.1.1").startswith(refused)
        for url in (f"mqtt://ada:p%40ss%2F1@{at}", f"mqtt://ada@{at}"):
            status, _, err = ringlane(board, url, "--mqtt", "3.1.1", "--seconds", "0.1")
            assert status == 0 and f"the broker at {at} is there" in err
            monkeypatch.setenv("RINGLANE_MQTT_PASSWORD", "p@ss/1")


@pytest.fixture
def web():
    """The port of a server that speaks neither MQTT nor TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with suppress(OSError):
                while True:
                    client = server.accept()[0]
                    client.recv(999)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    client.close()

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)  # ends accept()


def test_a_certificate_is_checked(board, tmp_path, ringlane, fails, web):
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    for name in ("127.0.0.1", "another.host"):
        made = ca.issue_cert(name)
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")

    def broker_of(name):
        files = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        return BrokerProcess("amqtt", tmp_path, tls=files)

    with (
        broker_of("127.0.0.1") as broker,
        broker_of("another.host") as wrong,
    ):
        words = ["--mqtt", "3.1.1", "--seconds", "0.1"]
        trusted = ["--ca", tmp_path / "ca.pem"]
        status, _, err = ringlane(board, f"mqtts://127.0.0.1:{broker.port}", *words, *trusted)
        assert status == 0 and "is there" in err, err
        for port, given, said in (
            (broker.port, [], "its certificate is not to be trusted: unable to get local issuer"),
            (
                broker.port,
                ["--ca", tmp_path / "other.pem"],
                "its certificate is not to be trusted",
            ),
            (wrong.port, trusted, "certificate is not valid for '127.0.0.1'"),
            (web, trusted, "it speaks no TLS"),
        ):
            line = fails(board, f"mqtts://127.0.0.1:{port}", *words, *given)
            assert f"the broker at 127.0.0.1:{port}: " in line and said in line, line


def test_what_is_no_broker_or_not_there_is_told_and_waited_for(board, ringlane, web):
    for port in (free_port(), web):
        status, out, err = ringlane(board, f"mqtt://127.0.0.1:{port}", "--seconds", "0.5")
        assert status == 0 and f"no broker at 127.0.0.1:{port}: " in err, err
        assert "adc: 0 sent = 0 delivered" in out


def test_channels_that_are_not_there_or_have_no_tap_are_told(board, ringlane):
    at = "mqtt://127.0.0.1:1"
    for name, said in (
        ("adx", "no channel 'adx' on that board; there are adc, led, rpc"),
        ("led", "channel 'led' has no tap: make it with tap=ringlane.Recorder()"),
    ):
        status, _, err = ringlane(board, at, "--channel", "adc", "--channel", name)
        assert status == 1 and err.splitlines()[-1] == f"ringlane bridge: {said}"


@pytest.mark.skipif("mosquitto" not in KINDS, reason="no mosquitto, which can refuse")
def test_what_the_broker_refuses_is_counted_and_told(board, tmp_path):
    may = (
        "read #",
        "write ringlane/x/online",
        "write ringlane/x/ledger",
        "write ringlane/x/led/set",
    )
    (tmp_path / "rules").write_text("".join(f"topic {each}\n" for each in may))
    with (
        BrokerProcess("mosquitto", tmp_path, rules=tmp_path / "rules") as broker,
        Subscriber(broker) as client,
        bridged(board, broker, "--name", "x") as process,
    ):
        until(lambda: client.of("ringlane/x/online")[-1:] == [True])
        client.client.publish("ringlane/x/led/set", "5", 1)
        until(lambda: '"dropped": {"refused": 1}' in json.dumps(client.of("ringlane/x/ledger")))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert "adc: 1 sent = 0 delivered + 1 dropped (1 refused)\n" in out
        assert "adc: the broker refuses it: Not authorized" in err


FORWARDS = """
import asyncio
import ringlane.link, ringlane.remote
from ringlane import *

out = Channel(8, slot_size=4, name="out")
ringlane.remote.forward(out)

async def main():
    asyncio.create_task(ringlane.link.serve())
    for n in range(100_000):
        await out.asend(n.to_bytes(4, "little"), n % 5)

asyncio.run(main())
"""


def test_what_is_forwarded_is_published_and_the_next_bridge_goes_on_where_one_ended(
    tmp_path, ringlane
):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ringlane").symlink_to(PACKAGE)
    (tmp_path / "main.py").write_text(FORWARDS)
    with (
        VirtualBoard(tmp_path) as board,
        BrokerProcess(KINDS[-1], tmp_path) as broker,
        Subscriber(broker) as client,
    ):
        words = [board.port, f"mqtt://127.0.0.1:{broker.port}", "--name", "x", "--seconds", "0.5"]
        words += ["--mqtt", "5" if broker.five else "3.1.1"]
        reached, total = [], 0
        for _ in range(3):
            status, out, err = ringlane(*words)
            count = re.search(r"out: (\S+) sent = \1 delivered \+ 0 ", out)
            assert status == 0 and count, (out, err)
            total += int(count[1].replace(",", ""))
            until(lambda: len(client.of("ringlane/x/out", retained=False)) >= total)  # noqa: B023
            came = client.of("ringlane/x/out", retained=False)
            reached.append(max(each["value"] for each in came))
            assert {each["value"] for each in came} == set(range(reached[-1] + 1))
        assert 0 < reached[0] < reached[1] < reached[2]
    classes = "REALTIME", "HIGH", "NORMAL", "LOW", "BULK"
    assert all(each["class"] == classes[each["value"] % 5] for each in came)
    assert all(abs(each["time"] - time.time()) < 100 for each in came)


OVER_TCP = """
from ringlane import *

ch = Channel(8, slot_size=4, name="samples", tap=Recorder(64, head=4))

async def main():
    asyncio.create_task(serve_at({port}))
    while True:
        ch.send_word(ch.sent, HIGH)
        ch.recv_word()
        await asyncio.sleep_ms(20)

asyncio.run(main())
"""


def networked(port):
    """A program that serves its link at that TCP port, as the guide does."""
    guide = (PACKAGE.parent / "ringlane_host" / "mqtt" / "README.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", guide, re.M | re.S)
    return code + OVER_TCP.format(port=port)


def test_a_board_with_a_network_serves_one_bridge_after_the_other(tmp_path, interpreter, ringlane):
    port = free_port()
    with (
        BrokerProcess(KINDS[-1], tmp_path) as broker,
        Subscriber(broker) as client,
        ProcessWire(interpreter, networked(port)),
    ):
        until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        for _ in range(2):
            at = f"mqtt://127.0.0.1:{broker.port}"
            words = ["--mqtt", "5" if broker.five else "3.1.1", "--seconds", "0.5", "--name", "x"]
            status, out, err = ringlane(f"socket://127.0.0.1:{port}", at, *words)
            assert status == 0, err
            sent, delivered = re.findall(r"samples: (\d+) sent = (\d+) delivered \+ 0", out)[0]
            assert int(sent) == int(delivered) > 0
        assert client.of("ringlane/x/samples")[0]["class"] == "HIGH"


def test_a_board_that_is_reset_is_found_again(tmp_path, interpreter):
    port = free_port()
    program = networked(port)
    with (
        BrokerProcess(KINDS[-1], tmp_path) as broker,
        Subscriber(broker) as client,
        ExitStack() as stack,
    ):
        board = ProcessWire(interpreter, program)
        stack.callback(board.__exit__)
        process = stack.enter_context(bridged(f"socket://127.0.0.1:{port}", broker, "--name", "x"))
        until(lambda: client.of("ringlane/x/samples"))
        board.__exit__()
        until(lambda: client.of("ringlane/x/online")[-1] is False)
        stack.enter_context(ProcessWire(interpreter, program))
        until(lambda: client.of("ringlane/x/online")[-1] is True)
        until(lambda: len({each["boot"] for each in client.of("ringlane/x/samples")}) == 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert "resets of the board: 1;" in out
        assert re.search(r"^samples: \d+ sent = \d+ delivered", out, re.M), (out, err)


def test_another_client_of_the_same_name_is_thought_of(board, tmp_path):
    with (
        BrokerProcess(KINDS[-1], tmp_path) as broker,
        Subscriber(broker) as client,
        bridged(board, broker, "--name", "x") as process,
    ):
        until(lambda: client.of("ringlane/x/online")[-1:] == [True])
        with Subscriber(broker, name="ringlane-x"):
            for line in process.stderr:
                if "is there another bridge of the name 'ringlane-x'?" in line:
                    break
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_commands_of_the_readme_run(board, tmp_path, ringlane, monkeypatch):
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = ca.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "README.md").read_text().partition("## More than one board: MQTT\n")[2]
    commands = re.findall(r"^    ringlane bridge (.*)$", section.partition("\n## ")[0], re.M)
    assert len(commands) == 2
    with (
        BrokerProcess("amqtt", tmp_path) as plain,
        BrokerProcess("amqtt", tmp_path, tls=("server.pem", "key.pem")) as tls,
    ):
        for command in commands:
            for old, new in {
                "/dev/ttyACM0": board,
                "localhost": f"127.0.0.1:{plain.port}",
                "broker.example": f"127.0.0.1:{tls.port}",
            }.items():
                command = command.replace(old, new)
            words = [*command.split(), "--mqtt", "3.1.1", "--seconds", "0.1"]
            status, _, err = ringlane(*words)
            assert status == 0 and "is there" in err, err
    assert (tmp_path / "press1.buffer").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost", "'localhost' is no broker's address: it is mqtt://"),
        ("http://localhost", "'http://localhost' is no broker's address"),
        ("mqtt://", "'mqtt://' is no broker's address"),
        ("mqtt://h:99999", "Port out of range"),
        ("mqtt://h:x", "Port could not be cast"),
        ("mqtt://h/topic", "a broker's address ends with its port, so what is '/topic'"),
        ("mqtt://:secret@h", "has a password, but no user"),
    ],
)
def test_an_address_that_is_none_is_told(url, said):
    with pytest.raises(LinkError, match=re.escape(said)):
        Address.parse(url)


def test_options_that_make_no_sense_are_told(tmp_path, fails):
    (tmp_path / "empty.pem").write_text("no certificate")
    (tmp_path / "other").write_text("of another program, " * 99)
    url = "mqtt://127.0.0.1:1"
    for words, said in (
        ([url, "--ca", tmp_path / "empty.pem"], "--ca is for mqtts://, not for mqtt://"),
        (["mqtts://h", "--ca", tmp_path / "no.pem"], "no file"),
        (["mqtts://h", "--ca", tmp_path / "empty.pem"], "has no certificate in PEM form"),
        ([url, "--prefix", "a/#"], "a prefix is one or several levels without + and #, not 'a/#'"),
        ([url, "--buffer", tmp_path / "other"], "other: it is another program's file"),
        ([url, "--buffer", tmp_path], "cannot use the buffer"),
        ([url, "--buffer-mb", "0.001"], "a buffer has at least 10,000 bytes, not 1,000"),
    ):
        line = fails("/dev/ttyACM77", *words)
        assert said in line, line
    assert (tmp_path / "other").read_text().startswith("of another program")


@pytest.mark.parametrize("name", ["a", "online", "ledger", "%", "a/b", "+#", "ä ö", "%2F", "\n"])
def test_a_channel_s_name_is_one_level_and_comes_back(name):
    one = level(name)
    assert not set(one) & set("/+# \n") and one not in ("online", "ledger")
    assert Topics("b").channel_of(f"ringlane/b/{one}/set") == name


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b"5", (b"\5\0\0\0", 2)),
        (b'{"value": -1, "class": "REALTIME"}', (b"\xff" * 4, 0)),
        (b'{"data": ""}', (b"", 2)),
        (b"on", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b"true", None),
        (b"1.5", None),
        (b'{"value": 4294967296}', None),
        (b'{"value": 1, "data": "00"}', None),
        (b'{"data": "0"}', None),
        (b'{"data": 5}', None),
        (b'{"value": 1, "class": "URGENT"}', None),
        (b'{"value": 1, "class": []}', None),
    ],
)
def test_a_message_in_json_is_understood_or_refused_in_a_sentence(payload, found):
    if found:
        assert understand(payload) == found
    else:
        with pytest.raises(LinkError, match="is no message: it is|, not |hexadecimal"):
            understand(payload)
