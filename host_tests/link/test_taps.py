"""A tap under interrupts: on the simulated memory at every access, and on the emulated RP2040."""

from struct import unpack_from

import pytest
from ringlane import HIGH, LOW, Channel, PriorityChannel, Recorder
from ringlane.tap import DROPPED, QUEUED, RECEIVED
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
