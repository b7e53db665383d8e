"""The bridge, from real MicroPython to real brokers, through lost connections and restarts."""

import time

import pytest
from brokers import KINDS, BrokerProcess, Proxy, Subscriber, free_port, until
from conftest import SOAK
from process_wire import ProcessWire
from ringlane_host.boards.virtual import micropython
from ringlane_host.link.session import Events, Session
from ringlane_host.mqtt.bridge import Bridge
from ringlane_host.mqtt.broker import Address, Broker
from ringlane_host.mqtt.buffer import Buffer
from ringlane_host.mqtt.topics import Topics

TOPICS = Topics("board 1")
ADC = "a/b +#%"
COUNT = 20_000 if SOAK else 600


@pytest.fixture(scope="module", params=KINDS)
def broker(request, tmp_path_factory):
    with BrokerProcess(request.param, tmp_path_factory.mktemp("broker")) as broker:
        yield broker


class Bridged:
    """A board, and a bridge from it to the port of a broker."""

    def __init__(self, broker, port, count, buffer=None, limit=64 << 20, events=256, **options):
        self.said = []
        self.told = set()  # the messages that came over the link
        self.wire = ProcessWire(
            micropython(), f"import bridged; bridged.main({count}, events={events})"
        )
        self.session = Session(self.wire, events=True, period_ms=100)
        self.buffer = Buffer(buffer, limit)
        self.broker = Broker(
            Address("127.0.0.1", port),
            "test",
            (TOPICS.online, b"false"),
            five=broker.five,
            delays=(0.1, 0.2),
        )
        self.bridge = Bridge(self.broker, self.buffer, TOPICS, say=self.said.append, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.wire.__exit__()
        self.broker.close()
        self.buffer.__exit__()

    def turn(self):
        items = self.session.poll(0.005)
        for each in items:
            if isinstance(each, Events) and each.sender == 0 and each.channel.name == ADC:
                self.told |= {int.from_bytes(event.head, "little") for event in each.events}
        self.bridge.take(items)
        self.bridge.turn()

    def run_until(self, true, patience=600.0 if SOAK else 60.0):
        end = time.monotonic() + patience
        while not true():
            assert time.monotonic() < end, (self.account(), self.said)
            self.turn()

    def account(self, channel=ADC):
        return self.bridge.ledger.of(channel)

    def end(self, timeout=10.0):
        self.bridge.close(timeout)
        self.wire.__exit__()


def numbers(subscriber, channel=ADC):
    """The messages that came, by number: how often each."""
    found = {}
    for each in subscriber.of(TOPICS.of(channel), retained=False):
        assert each["class"] == ("REALTIME", "HIGH", "NORMAL", "LOW", "BULK")[each["value"] % 5]
        found[each["value"]] = found.get(each["value"], 0) + 1
    return found


def test_every_message_comes_with_its_class_and_time_and_the_ledger_says_so(broker):
    count = 600
    with (
        Subscriber(broker) as subscriber,
        # The recorder keeps all, as this host may be busy elsewhere.
        Bridged(broker, broker.port, count, events=2048) as bridged,
    ):
        bridged.run_until(lambda: bridged.account().sent == count)
        until(lambda: subscriber.of(TOPICS.online)[-1] is True)
        bridged.end()
        until(lambda: subscriber.of(TOPICS.online)[-1] is False)
        until(lambda: len(numbers(subscriber)) == count)
        assert numbers(subscriber) == dict.fromkeys(range(count), 1)
        messages = subscriber.of("ringlane/board%201/a%2Fb%20%2B%23%25", retained=False)
        for each in messages:
            assert each["event"] == each["value"] and each["sender"] == 0
            assert bytes.fromhex(each["data"]) == each["value"].to_bytes(4, "little")
            assert abs(each["time"] - time.time()) < 60
        for qos in (0, 1):  # a broker may let one overtake the other
            came = [each["value"] for each in messages if (each["value"] % 5 <= 2) == qos]
            assert came == sorted(came)
        assert len({each["boot"] for each in messages}) == 1
        account = bridged.account()
        assert (account.sent, account.delivered, +account.dropped) == (count, count, {})
        until(lambda: subscriber.of(TOPICS.ledger)[-1]["channels"][ADC]["delivered"] == count)
        # The word is 4 bytes of 6; the recorder keeps 4.
        assert [each["data"] for each in subscriber.of(TOPICS.of("cut"))] == [b"fits".hex()]
        cut = bridged.account("cut")
        assert (cut.sent, cut.delivered, cut.balance) == (3, 1, 0)
        assert +cut.dropped == {"cut": 1, "rejected": 1}
        assert "cut: the recorder keeps 4 of 6 bytes of a message" in " ".join(bridged.said)
    # The newest of each channel is kept.
    with Subscriber(broker) as later:
        until(lambda: later.of(TOPICS.of(ADC)))
        until(lambda: later.of(TOPICS.ledger))
        assert {each["value"] for each in later.of(TOPICS.of(ADC))} == {count - 1}
        assert {*later.of(TOPICS.online)} == {False}
        assert all(retained for *_, retained, _ in later.got)


def exact(bridged, subscriber):
    """The ledger is right, by what the subscriber got."""
    account = bridged.account()
    until(lambda: len(numbers(subscriber)) >= account.delivered)
    got = numbers(subscriber)
    assert account.balance == 0 and account.waiting == 0
    missing = set(range(COUNT)) - set(got)
    known = sum(account.dropped.values()) - account.dropped["unconfirmed"]
    # Of QoS 0, what was on its way when a connection broke has come or not.
    assert known <= len(missing) <= known + account.dropped["unconfirmed"]
    assert len(bridged.told) == COUNT - account.dropped["overwritten"] - account.dropped["link"]
    assert not [each for each in missing & bridged.told if each % 5 <= 2], "lost, of QoS 1"
    assert not [each for each in got if each % 5 > 2 and got[each] > 1], "twice, of QoS 0"
    assert account.delivered == COUNT - sum(account.dropped.values())
    return missing


@pytest.mark.parametrize("seed", range(20) if SOAK else range(1))
def test_with_connections_that_break_qos_1_loses_nothing_and_the_rest_is_counted(
    broker, seed, visited
):
    with (
        Subscriber(broker) as subscriber,
        Proxy(broker.port, lossy=0.1, seed=seed) as proxy,
        Bridged(broker, proxy.port, COUNT) as bridged,
    ):
        bridged.run_until(lambda: bridged.account().sent == COUNT and proxy.cuts > 4)
        proxy.lossy = 0.0
        bridged.run_until(lambda: not bridged.buffer.count and not bridged.broker.unconfirmed)
        bridged.end()
        missing = exact(bridged, subscriber)
        assert bridged.broker.reconnects > 1
        visited(messages=COUNT, cuts=proxy.cuts, missing=len(missing) + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_of_the_broker_loses_nothing(kind, tmp_path):
    with (
        BrokerProcess(kind, tmp_path) as broker,
        Subscriber(broker) as subscriber,
        Proxy(broker.port) as proxy,
        Bridged(broker, proxy.port, COUNT) as bridged,
    ):
        bridged.run_until(lambda: bridged.account().delivered > COUNT // 6)
        proxy.open = False
        proxy.cut()
        bridged.run_until(lambda: not bridged.broker.connected)
        # What it has acknowledged is for it to deliver; then it dies.
        until(lambda: len(numbers(subscriber)) >= bridged.account().delivered)
        broker.stop()
        bridged.run_until(lambda: bridged.account().sent == COUNT)
        assert bridged.buffer.count > COUNT // 6
        broker.start()
        until(subscriber.subscribed.is_set)
        proxy.open = True
        bridged.run_until(lambda: not bridged.buffer.count and not bridged.broker.unconfirmed)
        bridged.end()
        exact(bridged, subscriber)
        assert f"no broker at 127.0.0.1:{proxy.port}: " in " ".join(bridged.said)


def test_what_waits_at_the_end_is_sent_by_the_next_bridge_or_counted(broker, tmp_path):
    kept = tmp_path / "kept"
    with Bridged(broker, free_port(), COUNT, kept) as away:
        away.run_until(lambda: away.account().sent == COUNT)
        away.end(0)
        assert away.account().waiting == away.buffer.count - 1 == COUNT
    with Subscriber(broker) as subscriber, Bridged(broker, broker.port, 0, kept) as bridged:
        assert bridged.account().earlier == COUNT
        bridged.run_until(lambda: not bridged.buffer.count and not bridged.broker.unconfirmed)
        bridged.end()
        until(lambda: len(numbers(subscriber)) == COUNT)
        assert numbers(subscriber) == dict.fromkeys(range(COUNT), 1)
        assert (
            str(bridged.account()) == f"0 sent + {COUNT} earlier = {COUNT} delivered + 0 dropped"
        )
    with Bridged(broker, free_port(), 100) as lost:
        lost.run_until(lambda: lost.account().sent == 100)
        lost.end(0)
        assert str(lost.account()) == "100 sent = 0 delivered + 100 dropped (100 unsent)"
    with Bridged(broker, free_port(), 600, limit=20_000) as full:
        full.run_until(lambda: full.account().sent == 600)
        full.end(0)
        account = full.account()
        assert account.dropped["buffer"] + account.dropped["unsent"] == 600 and not account.balance
        assert account.dropped["buffer"] > 400
