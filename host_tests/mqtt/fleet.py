"""A fleet: many boards, a bridge for each, one broker; lost bytes, resets, and a broker that dies.

fleet.py --boards 40 --seconds 30 [--rate 25] [--broker mosquitto] [--calm]

A board is a MicroPython process that serves a real link; the bridges are those of `ringlane
bridge`, all in this process. A subscriber checks what comes: each message once, or QoS 1 at least
once, and as many as the ledgers say. --calm: nothing is lost or reset, for figures.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import SHUT_RDWR

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from brokers import KINDS, BrokerProcess, Subscriber, until  # noqa: E402
from process_wire import ProcessWire  # noqa: E402
from ringlane_host.boards.virtual import micropython  # noqa: E402
from ringlane_host.link.session import Session  # noqa: E402
from ringlane_host.mqtt.bridge import Bridge  # noqa: E402
from ringlane_host.mqtt.broker import Address, Broker  # noqa: E402
from ringlane_host.mqtt.buffer import Buffer  # noqa: E402
from ringlane_host.mqtt.ledger import WHERE  # noqa: E402
from ringlane_host.mqtt.topics import Topics  # noqa: E402

QOS_1 = ("HIGH", "NORMAL")


class FleetError(Exception):
    """A message got away without a count, or came twice."""


class LossyWire:
    """A board's wire on which a chunk of bytes is lost now and then; reset() starts it anew."""

    careful_s = 0.0

    def __init__(self, name, rate, lossy, seed):
        self.name = name
        self._program = f"import fleet_board; fleet_board.main({rate})"
        self._lossy = lossy
        self._random = random.Random(seed)
        self._wire = self._start()

    def _start(self):
        return ProcessWire(micropython(), self._program)

    def read(self, timeout):
        data = self._wire.read(timeout)
        return b"" if data and self._random.random() < self._lossy else data

    def write(self, data):
        self._wire.write(data)

    def reset(self):
        self._wire.__exit__()
        self._wire = self._start()

    def close(self):
        self._wire.__exit__()


class Member:
    """A board of the fleet, its link and its bridge."""

    def __init__(self, number, broker, rate, lossy):
        self.topics = Topics(f"board{number:03}", "fleet")
        self.wire = LossyWire(self.topics.board, rate, lossy, number)
        self.session = Session(self.wire, events=True, period_ms=1000)
        self.buffer = Buffer()
        self.broker = Broker(
            Address("127.0.0.1", broker.port),
            self.topics.board,
            (self.topics.online, b"false"),
            five=broker.five,
            delays=(0.2, 1.0),
        )
        self.bridge = Bridge(self.broker, self.buffer, self.topics, say=lambda text: None)
        self._resets = 0

    def turn(self, publish=True):
        items = self.session.poll(0)
        self.bridge.take(items)
        if publish:
            self.bridge.turn()
        return bool(items)

    def reset(self):
        """The board begins anew."""
        self._resets = self.bridge.ledger.resets + 1
        self.wire.reset()

    @property
    def back(self):
        """The bridge has seen the newest reset."""
        return self.bridge.ledger.resets >= self._resets

    def cut(self):
        """The connection to the broker breaks."""
        socket = self.broker._client.socket()
        if socket is not None:
            with suppress(OSError):
                socket.shutdown(SHUT_RDWR)

    @property
    def account(self):
        return self.bridge.ledger.of("data")

    def close(self):
        self.wire.close()
        self.broker.close()
        self.buffer.__exit__()


@dataclass
class Came:
    """What the subscriber got."""

    times: Counter = field(default_factory=Counter)  # by (board, boot, number of the event)
    qos_1: set = field(default_factory=set)
    late_ms: list = field(default_factory=list)  # from the board's send to here

    def take(self, topic, payload, retained, _properties):
        if topic.endswith("/data") and not retained:
            now, said = time.time(), json.loads(payload)
            key = topic.split("/")[1], said["boot"], said["event"]
            self.times[key] += 1
            if said["class"] in QOS_1:
                self.qos_1.add(key)
            if "time" in said:
                self.late_ms.append((now - said["time"]) * 1000)


def run(boards, seconds, rate, kind=None, calm=False, out=print):
    """Run a fleet; return what it found, by name. Raises FleetError."""
    kind = kind or KINDS[-1]
    lossy = 0.0 if calm else 0.002
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringlane-")))
        broker = stack.enter_context(BrokerProcess(kind, folder))
        came = Came()
        subscriber = stack.enter_context(Subscriber(broker, take=came.take))
        members = [Member(n, broker, rate, lossy) for n in range(boards)]
        for each in members:
            stack.callback(each.close)
        _turn_until(members, lambda: all(each.session.hello for each in members))
        out(f"{boards} boards are there, {rate} messages a second each, {kind}")
        cpu, broker_cpu, begin = time.process_time(), broker.cpu, time.monotonic()
        happened = Counter()
        dice = random.Random(boards)
        steps = () if calm else ("restart", *["reset"] * boards, *["cut"] * 4 * boards)
        due = [begin + seconds * (n + 1) / (len(steps) + 1) for n in range(len(steps))]
        plan = sorted(zip(due, dice.sample(steps, len(steps)), strict=True))
        while time.monotonic() < begin + seconds:
            _turn_all(members)
            if plan and time.monotonic() > plan[0][0]:
                _, what = plan.pop(0)
                happened[what] += 1
                if what == "restart":
                    _restart(members, broker, subscriber, came)
                else:
                    member = dice.choice(members)
                    member.reset() if what == "reset" else member.cut()
        _turn_until(members, lambda: all(each.back for each in members))
        cpu, took = time.process_time() - cpu, time.monotonic() - begin
        broker_cpu = broker.cpu - broker_cpu if calm else None  # of one start
        for each in members:
            each.bridge.turn()
        for each in members:
            each.bridge.close(10)
        return _reckon(members, came, happened, took, cpu, broker_cpu)


def _turn_all(members, publish=True):
    came = [each.turn(publish) for each in members]
    if not any(came):
        time.sleep(0.002)


def _turn_for(members, seconds, publish=True):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _turn_all(members, publish)


def _turn_until(members, true, patience=120):
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            raise FleetError("the boards do not come up")
        _turn_all(members)


def _restart(members, broker, subscriber, came):
    # What it has acknowledged is for the broker to deliver, so it dies only then; and what it
    # takes before the subscriber is back would come to nobody.
    seen = -1
    while seen != len(came.times):
        seen = len(came.times)
        _turn_for(members, 0.5, publish=False)
    broker.stop()
    _turn_for(members, 1.0, publish=False)
    broker.start()
    while not subscriber.subscribed.is_set():
        _turn_all(members, publish=False)


def _reckon(members, came, happened, took, cpu, broker_cpu):
    total = Counter()
    dropped = Counter()
    for each in members:
        account = each.account
        if account.balance or account.waiting:
            raise FleetError(f"{each.topics.board}: the ledger does not close: {account}")
        total["sent"] += account.sent
        total["delivered"] += account.delivered
        total["resets"] += each.bridge.ledger.resets
        dropped += account.dropped
    until(lambda: len(came.times) >= total["delivered"], what="delivered, but not received")
    more = len(came.times) - total["delivered"]
    if more > dropped["unconfirmed"]:
        raise FleetError(f"{more} more came than the ledgers say: {dropped}")
    doubled = [key for key, times in came.times.items() if times > 1 and key not in came.qos_1]
    if doubled:
        raise FleetError(f"of QoS 0, but they came twice: {doubled[:5]}")
    late = sorted(came.late_ms)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "boards": len(members),
        "seconds": round(took, 1),
        "sent": total["sent"],
        "delivered": total["delivered"],
        "dropped": {where: dropped[where] for where in WHERE if dropped[where]},
        "came": len(came.times),
        "came again": sum(came.times.values()) - len(came.times),
        "messages a second": round(total["delivered"] / took),
        "bridges' cpu, us a message": round(cpu * 1e6 / max(1, total["delivered"])),
        "broker's cpu, us a message": broker_cpu
        and round(broker_cpu * 1e6 / max(1, total["delivered"])),
        "late, ms": {
            name: round(late[int((len(late) - 1) * part)], 1)
            for name, part in (("p50", 0.5), ("p99", 0.99))
            if late
        },
        "resets": total["resets"],
        "broken connections": happened["cut"],
        "memory, MB": round(memory / 1024),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=int, default=25, help="messages a second of each board")
    parser.add_argument("--broker", choices=KINDS)
    parser.add_argument("--calm", action="store_true", help="nothing is lost or reset")
    options = parser.parse_args()
    if options.boards < 1 or not 1 <= options.rate <= 1000 or options.seconds <= 0:
        parser.error("1 board, 1 to 1,000 messages a second, and some seconds at the least")
    try:
        found = run(options.boards, options.seconds, options.rate, options.broker, options.calm)
    except FleetError as error:
        sys.exit(f"fleet: {error}")
    for name, value in found.items():
        if value is None:
            continue
        print(f"{name:28} {value:,}" if isinstance(value, int) else f"{name:28} {value}")
    dropped = sum(found["dropped"].values())
    print(f"{found['sent']:,} sent = {found['delivered']:,} delivered + {dropped:,} dropped")
    for where in found["dropped"]:
        print(f"  {where}: {WHERE[where]}")


if __name__ == "__main__":
    main()
