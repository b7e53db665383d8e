"""A tap under interrupts: on the simulated memory at every access, and on the emulated RP2040."""

from struct import unpack_from

import pytest
from ringlane import (
    HIGH,
    LOW,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    MulticastChannel,
    PriorityChannel,
    Recorder,
)
from ringlane.tap import DROPPED, MISSED, QUEUED, RECEIVED, TAKEN
from ringlane_host.explore import interrupts


def events_of(ring, raw):
    """Take all from the ring; return [(number of the event, the event's words)]."""
    found = []
    while count := ring.take(raw, 0):
        first = ring.taken - count
        found += [
            (first + each, unpack_from("<5I", raw, each * ring.stride)) for each in range(count)
        ]
    return found


def reader_is_interrupted(queued, sends):
    # A handler sends while the reader takes a sender's events, of which it keeps four.
    def scenario():
        recorder = Recorder(events=4, head=4)
        ch = Channel(32, slot_size=4, tap=recorder)
        ring = recorder.rings[1]
        raw, seen = bytearray(2 * ring.stride), []
        for _ in range(queued):
            ch.send_word(ch.sent, LOW)

        def read():
            seen.extend(events_of(ring, raw))

        def handler():
            for _ in range(sends):
                ch.send_word(ch.sent, LOW)

        def check():
            read()
            for number, words in seen:
                # A torn event would have the number of one message and the head of another.
                assert number == words[1] == words[4], seen
            numbers = [number for number, _ in seen]
            assert numbers == sorted(set(numbers)) and numbers[-1] == ch.sent - 1
            assert len(numbers) + ring.overwritten == ch.sent

        return read, handler, check

    return scenario


@pytest.mark.parametrize("queued", [1, 3, 4, 7])
@pytest.mark.parametrize("sends", [1, 2, 5])
def test_an_event_is_read_whole_or_counted_as_overwritten(queued, sends, visited):
    points = interrupts(reader_is_interrupted(queued, sends), merge=False).points
    assert points > 30
    visited(points=points)


def verbs_meet(interrupted, handler_sends):
    # Of a sender and a receiver one interrupts the other; each writes a ring of its own.
    def scenario():
        recorder = Recorder(events=16, head=4)
        ch = PriorityChannel(2, slot_size=4, tap=recorder)
        ch.send_word(7, LOW)
        outcomes, got, buf = [], [], bytearray(4)

        def send():
            outcomes.append(ch.send_word(8, HIGH))

        def recv():
            m = ch.recv(buf)
            got.append((m[1], buf[0]) if m else None)

        calls = {"send": send, "recv": recv}
        handler = send if handler_sends else recv

        def check():
            events = recorder.events()
            queued = [(e.priority, e.head[0]) for e in events if e.outcome == QUEUED]
            assert queued == [(LOW, 7)] + [(HIGH, 8)] * sum(outcomes)
            assert [e.outcome for e in events].count(DROPPED) == outcomes.count(False)
            received = [(e.priority, e.head[0]) for e in events if e.outcome == RECEIVED]
            assert received == [each for each in got if each]

        return calls[interrupted], handler, check

    return scenario


@pytest.mark.parametrize("interrupted, sends", [("send", False), ("recv", True)])
def test_each_end_notes_its_own_messages_whatever_interrupts_it(interrupted, sends, visited):
    points = interrupts(verbs_meet(interrupted, sends), merge=False).points
    assert points > 30
    visited(points=points)


def receivers_change(kind, option, full, in_the_send, at_once):
    # A send is interrupted by a receiver that makes place for another, at once or later, or the
    # other way round. A message on its way to the first is dropped unseen, and is no event of the
    # second.
    def scenario():
        recorder = Recorder(events=32, head=4)
        bus = kind(2, option, slot_size=4, max_receivers=1, tap=recorder)
        ends = [bus.add_receiver()]
        bus.send_word(6, LOW)
        bus.send_word(7, LOW)
        bus.send_word(8, LOW)  # full
        words, unseen = [], []
        if not full:
            words.append(ends[0].recv_word()[0])

        def send():
            bus.send_word(9, HIGH)

        def change():
            unseen.append(ends[0].close())
            if at_once:
                reopen()

        def reopen():
            ends.append(bus.add_receiver())
            m = ends[1].recv_word()
            if m:
                words.append(m[0])

        def check():
            if not at_once:
                reopen()
            bus.send_word(10, LOW)
            unseen.append(ends[1].skip())
            bus.send_word(11, LOW)
            while m := ends[1].recv_word():
                words.append(m[0])
            events = recorder.events()
            mine = [e for e in events if e.receiver == 0]
            received = [int.from_bytes(e.head, "little") for e in mine if e.outcome == RECEIVED]
            assert received == words, (received, words)
            assert sum(e.figure for e in mine if e.outcome == TAKEN) == sum(unseen)
            missed = sum(e.figure for e in mine if e.outcome == MISSED)
            assert missed == sum(each.dropped for each in ends if kind is MulticastChannel)
            sent = [e.outcome for e in events if e.receiver is None]
            assert len(sent) == 6 and sent.count(DROPPED) >= 1
            numbers = [e.number for e in events if e.outcome == QUEUED]
            assert numbers == list(range(len(numbers)))
            heads = [e.head[0] for e in events if e.receiver is None]
            assert heads == [6, 7, 8, 9, 10, 11], heads

        return (send, change, check) if in_the_send else (change, send, check)

    return scenario


@pytest.mark.parametrize("in_the_send, at_once", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind, option", [(MulticastChannel, 2), (AnycastChannel, ROUND_ROBIN)])
def test_a_receiver_notes_nothing_of_the_one_before(
    kind, option, full, in_the_send, at_once, visited
):
    scenario = receivers_change(kind, option, full, in_the_send, at_once)
    points = interrupts(scenario, merge=False).points
    assert points > 30
    visited(points=points)


def test_a_channel_without_a_tap_has_the_plain_verbs(micropython):
    printed = micropython(
        "import sys\nfrom ringlane import LOW, PriorityChannel\n"
        "ch = PriorityChannel(2, name='plain')\nch.send(b'x', LOW)\n"
        "print(len(ch), 'ringlane.tap' in sys.modules, ch._tap)\n"
    )
    assert printed == "1 False None\n"


ON_CHIP = """
import machine, time
from ringlane import HIGH, Channel, Recorder
from ringlane.tap import QUEUED, RECEIVED, DROPPED

recorder = Recorder(events=8, head=4)
ch = Channel(4, slot_size=4, tap=recorder)

def on_tick(timer):
    ch.send_word(ch.sent + ch.dropped, HIGH)

def main():
    numbers, got, received, dropped = [], [], [], 0
    timer = machine.Timer(freq=500, hard=True, callback=on_tick)
    for turn in range(30):
        if turn % 3:
            while True:
                m = ch.recv_word()
                if not m:
                    break
                got.append(m[0])
        for e in recorder.events():
            word = int.from_bytes(e.head, "little")
            if e.outcome == QUEUED:
                numbers.append((e.number, word))
            elif e.outcome == RECEIVED:
                received.append(word)
            else:
                dropped += 1
    timer.deinit()
    for e in recorder.events():
        if e.outcome == QUEUED:
            numbers.append((e.number, int.from_bytes(e.head, "little")))
        elif e.outcome == RECEIVED:
            received.append(int.from_bytes(e.head, "little"))
        else:
            dropped += 1
    order = sorted(set(numbers)) == numbers
    print(order, set(received) <= set(got), len(numbers) + len(received) + dropped
          + recorder.overwritten, ch.sent + ch.dropped + len(got), recorder.overwritten)

main()
"""


def test_a_hard_timer_on_an_emulated_rp2040_writes_events_without_memory(pico, visited):
    pico.reset()
    in_order, known, noted, happened, overwritten = pico.exec(ON_CHIP).split()
    assert in_order == known == "True"
    assert int(noted) == int(happened)
    visited(events=int(noted), overwritten=int(overwritten))
