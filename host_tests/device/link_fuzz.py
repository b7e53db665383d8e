"""What a hostile host may send to ringlane.link; CPython and MicroPython both run it."""

import gc
from binascii import crc32
from struct import pack_into

import ringlane.link as link
from ringlane import NORMAL, Channel, Recorder

_MESSAGES = 40


class Pipe:
    """A stream that has received `data` and keeps the last of what is written."""

    def __init__(self):
        self.data = b""
        self.written = 0

    def readinto(self, buf):
        count = min(len(buf), len(self.data))
        buf[:count] = self.data[:count]
        self.data = self.data[count:]
        return count

    def write(self, data):
        self.written += len(data)
        return len(data)


def frame(kind, session, body, version=1):
    """Return a frame of a host, as it goes over the wire."""
    raw = bytearray(300)
    size = 6 + len(body)
    pack_into("<BBHH", raw, 2, version, kind, session, 0)
    raw[8 : 8 + len(body)] = body
    pack_into("<I", raw, 2 + size, crc32(memoryview(raw)[2 : 2 + size]))
    wire = bytearray(600)
    count = link.escape(raw, link.stuff(raw, size + 4), wire)
    return bytes(wire[:count])


def run(rounds, seed=1):
    """Feed random bytes, damaged frames and whole ones; return (frames, damaged, bytes grown)."""
    recorder = Recorder(events=16, head=4)
    ch = Channel(4, slot_size=4, name="fuzzed", tap=recorder)
    pipe = Pipe()
    ours = link.Link(pipe)
    before = None
    whole = 0
    for number in range(rounds):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        kind, length = seed >> 16 & 7, seed >> 20 & 63
        body = bytes((seed >> (i % 23) & 0xFF) ^ (i * seed & 0xFF) for i in range(length))
        choice = seed >> 8 & 3
        if choice == 0:
            data = body
        else:
            data = frame(kind, seed & 1, body, 1 if choice < 3 else 1 + (seed & 3))
            whole += 1
        if choice == 2:
            spoilt = bytearray(data)
            spoilt[seed % len(spoilt)] ^= 1 << (seed >> 5 & 7)
            data = bytes(spoilt)
        pipe.data = data
        ch.send_word(ch.sent + ch.dropped, NORMAL)
        if number % 3 == 0:
            ch.recv_word()
        ours.turn()
        if number % 500 == 499:
            gc.collect()
            if before is None:
                before = gc.mem_alloc()
    gc.collect()
    return whole, ours.damaged, gc.mem_alloc() - (before or gc.mem_alloc()), pipe.written, ch
