"""The buffer and the ledger: what makes room, what is kept, and what is told of it."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringlane_host.link import LinkError
from ringlane_host.link.session import Channel, Event, Events, Hello, Status
from ringlane_host.mqtt.bridge import Bridge
from ringlane_host.mqtt.broker import Received
from ringlane_host.mqtt.buffer import Buffer, Message
from ringlane_host.mqtt.downlink import Downlink
from ringlane_host.mqtt.ledger import LINK, OVERWRITTEN, Ledger
from ringlane_host.mqtt.topics import Topics

LIMIT = 20_000


def message(number, qos, size=300):
    return Message(f"ch{qos}", qos, "t", number.to_bytes(4, "little") + bytes(size), "")


def numbers(buffer):
    """What is left, oldest first."""
    found = []
    while rows := buffer.following():
        for number, each in rows:
            found.append(int.from_bytes(each.payload[:4], "little"))
            buffer.passed(number)
    return found


def test_the_oldest_of_qos_0_make_room_then_the_oldest_of_qos_1():
    with Buffer(limit=LIMIT) as buffer:
        each = message(0, 0).bytes
        room = LIMIT // each
        for number in range(room):
            assert not buffer.add([message(number, number % 2)])
        assert buffer.add([message(room, 1)]) == {"ch0": 1}
        assert buffer.bytes <= LIMIT and buffer.count == room
        assert buffer.add(message(n, 1) for n in range(100, 100 + room)) == {
            "ch0": room - room // 2 - 1,
            "ch1": room - (room - room // 2 - 1),
        }
        assert numbers(buffer) == [*range(100, 100 + room)]


def test_what_is_on_its_way_makes_no_room():
    with Buffer(limit=LIMIT) as buffer:
        buffer.add(message(n, 1) for n in range(10))
        flying = buffer.following()[:5]
        buffer.passed(flying[-1][0])
        dropped = buffer.add(message(n, 1) for n in range(10, 100))
        assert dropped["ch1"] == 100 - buffer.count
        buffer.done(flying)
        left = numbers(buffer)
        assert left == [*range(100 - len(left), 100)] and left[0] > 10


@given(st.lists(st.tuples(st.sampled_from("aaap"), st.integers(0, 1), st.integers(0, 9000))))
@settings(deadline=None, max_examples=30)
def test_whatever_comes_and_goes_nothing_is_lost_without_a_count(steps):
    with Buffer(limit=LIMIT) as buffer:
        added, dropped, done = Counter(), Counter(), Counter()
        for step, qos, size in steps:
            if step == "a":
                dropped += buffer.add([message(7, qos, size)])
                added[f"ch{qos}"] += 1
            elif rows := buffer.following():
                buffer.passed(rows[0][0])
                buffer.done(rows[:1])
                done[rows[0][1].channel] += 1
            rows = buffer.following()
            assert buffer.bytes == sum(each.bytes for _, each in rows) <= LIMIT
            assert buffer.count == len(rows)
            assert added - dropped - done == Counter(each.channel for _, each in rows)


CRASHES = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_buffer import message
from ringlane_host.mqtt.buffer import Buffer
buffer = Buffer(Path({path!r}))
buffer.add(message(n, 1) for n in range(50))
buffer.done(buffer.following()[:10])
os._exit(9)
"""


def test_a_file_is_whole_after_a_crash_and_the_next_bridge_has_it(tmp_path):
    path = tmp_path / "kept"
    code = CRASHES.format(path=str(path), here=str(__file__).rpartition("/")[0])
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with Buffer(path) as buffer:
        assert buffer.left == {"ch1": 40}
        with pytest.raises(LinkError, match="kept: another bridge has it open"):
            Buffer(path)
        assert numbers(buffer) == [*range(10, 50)]
        buffer.done(())
    size = path.stat().st_size
    with Buffer(path, limit=LIMIT) as buffer:
        for turn in range(50):
            buffer.add(message(n, 1) for n in range(turn * 40, turn * 40 + 40))
    assert path.stat().st_size <= max(size, 2 * LIMIT)


def test_on_a_full_disk_the_new_ones_are_counted_and_the_old_ones_are_there(tmp_path):
    with Buffer(tmp_path / "kept") as buffer:
        buffer.add(message(n, 1) for n in range(10))
        pages = buffer._data.execute("PRAGMA page_count").fetchone()[0]
        buffer._data.execute(f"PRAGMA max_page_count = {pages + 1}")
        dropped = Counter()
        for number in range(10, 100):
            dropped += buffer.add([message(number, 1)])
        assert "full" in buffer.trouble
        left = numbers(buffer)
        assert left[:10] == [*range(10)] and len(left) + dropped["ch1"] == 100 and len(left) < 90
        assert buffer.count == len(left)


CHANNEL = Channel("a", "Channel", 4, 1, True, False, 1_000_000, 0xFFFFFFFF, True)
EVENT = Event("queued", 0, 2, 4, 0, 0, 0.0, 0, b"0000")


def batch(first, count, overwritten=0, lost=0, sender=0):
    return Events(CHANNEL, sender, None, first, (EVENT,) * count, overwritten, lost)


def test_the_ledger_counts_what_is_missing_before_events_as_sent():
    ledger = Ledger()
    ledger.begin(1)
    account = ledger.of("a")
    ledger.told(batch(100, 5))
    ledger.told(batch(110, 2, overwritten=3, lost=2))
    assert (account.sent, account.dropped) == (12, {OVERWRITTEN: 3, LINK: 2})
    ledger.begin(1)  # the link was away
    ledger.begin(2)
    assert ledger.resets == 1
    account.delivered = 7
    assert account.balance == 0 and "12 sent = 7 delivered + 5 dropped" in str(account)
    account.delivered = 6
    assert account.balance == 1 and "12 sent != 6 delivered" in str(account)


def test_a_request_and_a_reply_have_their_lane_and_no_class():
    rpc = replace(CHANNEL, pattern="RequestReplyChannel")
    calls = [
        Events(rpc, sender, None, 7, (replace(EVENT, sender=sender, priority=None),), 0, 0)
        for sender in (0, 1)
    ]
    with Buffer() as buffer:
        bridge = Bridge(None, buffer, Topics("b"))
        bridge.take([Hello(5, "", "", "", False), *calls, batch(9, 1)])
        sent = [(each.qos, json.loads(each.payload)) for _, each in buffer.following()]
    assert all(abs(each.pop("time") - time.time() + time.monotonic()) < 60 for _, each in sent)
    same = {"value": 0x30303030, "data": "30303030", "boot": 5}
    assert sent == [
        (1, {**same, "lane": "request", "sender": 0, "event": 7}),
        (1, {**same, "lane": "reply", "sender": 1, "event": 7}),
        (1, {**same, "class": "NORMAL", "sender": 0, "event": 9}),
    ]


def test_of_what_waits_for_the_board_the_1001st_is_refused_and_counted():
    said = []

    async def use():
        room = asyncio.Event()

        class Full:
            about = SimpleNamespace(calls=False)

            async def asend(self, data, priority, timeout_ms):
                await room.wait()
                return 1

        board = SimpleNamespace(channel=lambda name: Full())
        ledger = Ledger()
        downlink = Downlink(board, None, ledger, raw=True, say=said.append)
        for number in range(1001):
            downlink.take("led", Received(f"led/{number}", b"x", False, "", None, {}))
        await asyncio.sleep(0)
        room.set()
        await downlink.close()
        return ledger.downlink

    assert asyncio.run(use()) == {"received": 1001, "sent": 1000, "refused": 1}
    assert said == ["led/1000: 1,000 messages wait for the board"]


def test_the_bridge_says_once_that_another_host_has_the_events():
    said = []
    states = [Status(0, 0, 0, 0, elsewhere, 0) for elsewhere in (False, True, True, False)]
    with Buffer() as buffer:
        Bridge(None, buffer, Topics("b"), say=said.append).take(states)
    assert len(said) == 1 and "another host has this board's events" in said[0]
