"""What a hostile host may send to ringlane.link; CPython and MicroPython both run it."""

import gc
from binascii import crc32
from struct import pack, pack_into

import ringlane.link as link
import ringlane.remote as remote
from ringlane import NORMAL, Channel, Recorder, RequestReplyChannel

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


def frame(kind, session, body, number=0, version=link.VERSION):
    """Return a frame of a host, as it goes over the wire."""
    raw = bytearray(300)
    size = 6 + len(body)
    pack_into("<BBHH", raw, 2, version, kind, session, number)
    raw[8 : 8 + len(body)] = body
    pack_into("<I", raw, 2 + size, crc32(memoryview(raw)[2 : 2 + size]))
    wire = bytearray(600)
    count = link.escape(raw, link.stuff(raw, size + 4), wire)
    return bytes(wire[:count])


def run(rounds, seed=1):
    """Feed random bytes, damaged frames and whole ones.

    Return (frames, damaged, bytes grown, bytes written, the channel).
    """
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
            data = frame(kind, seed & 1, body, 0, link.VERSION + (seed & 3 if choice > 2 else 0))
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


def run_desk(rounds, seed=1):
    """Send an attached host's frames with whatever in their records.

    Return (messages that were taken, refused, bytes grown, how often it had to begin again). Raise
    AssertionError if what is not opened changes.
    """
    pipe = Pipe()
    ours = link.Link(pipe)
    desk = remote._desk
    inbox = Channel(4, slot_size=16, name="inbox")
    rpc = RequestReplyChannel(4, slot_size=16, name="rpc")
    aside = Channel(4, slot_size=16, name="aside")
    remote.accept(inbox, inbox)
    remote.forward(inbox)  # what a host has sent it may get back
    remote.accept(rpc)
    remote.forward(rpc)
    pipe.data = frame(1, 7, b"\xff\x7f\xe8\x03\0")
    begun = 0
    before = None
    buf = bytearray(16)
    for number in range(rounds):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        if desk._link is None or not seed >> 8 & 0x7F:
            begun += 1
            pipe.data += frame(2, 7, pack("<HI", 0x7FFF + ours._number & 0xFFFF, 1))
            pipe.data += frame(0x20, 7, pack("<IH", begun, 0))
        elif seed >> 8 & 0xF:
            size = seed >> 20 & 31
            told = size if seed >> 12 & 63 else seed >> 14 & 0xFFFF
            # SEND, CALL, CANCEL, REPLY, GRANT or none, of any class, to one that may be there.
            what = (seed >> 10 & 7) % 6 | seed >> 13 & 0x78
            record = pack("<BBH", (seed >> 9 & 7) % 3, what, told)
            record += bytes((seed >> i % 20 & 0xFF) for i in range(size))
            acked = pack(
                "<H", desk._base + desk._next & 0xFFFF if seed & 0x10000000 else seed & 255
            )
            pipe.data += frame(0x21, 7, acked + record, desk._accepted)
        else:
            pipe.data += frame(0x21, 7, bytes(seed >> 16 & 63), seed & 0xFFFF)
        ours.turn()
        if number % 5 == 0:
            rpc.send_request(b"what?")
        if number % 7 == 0:
            m = rpc.recv_request(buf)
            if m:
                rpc.send_response(m[1], b"that")
        if number % 3 == 0:
            inbox.recv(buf)
        assert not aside.sent and not aside.rejected
        assert desk._used <= len(desk._out) and inbox.rejected == 0
        if number % 500 == 499:
            gc.collect()
            if before is None:
                before = gc.mem_alloc()
    gc.collect()
    return desk.taken, desk.refused, gc.mem_alloc() - (before or gc.mem_alloc()), begun
