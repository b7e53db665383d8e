"""Request-reply on the simulated memory: what interleavings.py does not come to."""

import ringlane
from ringlane.lanes import store
from ringlane.words import load
from ringlane_host.explore import interrupts
from ringlane_host.simulate import memory, viper


def test_a_full_lane_of_one_entry_keeps_generations_apart_as_they_start_anew():
    # The entry is used 255 times and more, across the end of its generations, and nobody reads.
    def scenario():
        ch = ringlane.RequestReplyChannel(255, 1)
        entry = load(ch._table, 1) >> 2
        store(ch._table, entry, 1 << 29 | 0x1FFE90 << 8)
        for _ in range(255):
            assert ch.cancel(ch.send_request(b"-"))
        seen = []

        def handler():
            buf = bytearray(1)
            while (m := ch.recv_request(buf)) is not None:
                seen.append((m[1], bytes(buf)))

        def check():
            handler()
            assert all(data == b"+" for _, data in seen), "a cancelled request came alive"
            assert len(seen) == ch.pending <= 1, (seen, ch)

        return lambda: ch.send_request(b"+"), handler, check

    assert interrupts(scenario, merge=False).points > 8


def test_latencies_are_by_the_clocks_register():
    @viper
    def ticks() -> int:
        return 7777  # it stands still

    register = memory.device(0x40058000, 4)
    clock = ringlane.Clock("test", 1000, ticks, register=0x40058000)
    ch = ringlane.RequestReplyChannel(2, 4, clock=clock)
    buf = bytearray(4)
    register[:] = (100).to_bytes(4, "little")
    id = ch.send_request(b"x")
    register[:] = (130).to_bytes(4, "little")
    assert ch.recv_request(buf)[2] == 30
    ch.send_response(id, b"y")
    register[:] = (145).to_bytes(4, "little")
    assert ch.recv_response(id, buf)[2] == 45
