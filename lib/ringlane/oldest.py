"""Of several senders' messages the oldest: what a receiver reads next, where lanes compete.

Also where receivers come and go: what a lane holds for an earlier one is dropped here, unseen.
"""

import micropython
from micropython import const

#: words(cog.inFile) :#
_LANES = const(0)  # bytes from here to the receiver's first lane
_STRIDE = const(1)  # bytes of a slot
_RX_CLOCK = const(2)  # address of the clock's register, 0: call the clock's ticks()
_MASK = const(3)  # the clock's period - 1
_FENCED = const(8)  # 1: cores reorder, so a verb fences; see `Fences` in lanes.py
_EPOCH = const(9)  # messages of another one were for an earlier receiver of the row
_STALE_DROPPED = const(12)  # messages of another epoch, dropped unseen. Owner: receiver
_HEAD = const(0)  # messages queued since the start. Owner: producer; the consumer reads it
_TAIL = const(1)  # messages taken since the start. Owner: consumer; the producer reads it
_REST = const(2)  # bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark
_READ = const(6)  # bytes from here to the slot to read next. Owner: consumer
_FIRST = const(7)  # bytes from here to the first slot
_END = const(8)  # bytes from here past the last slot
_LANE_BYTES = const(56)
_META = const(0)  # size | class << 16 | epoch << 24
_TIME = const(1)  # the clock when it was sent
_STALE = const(1)  # in REST
_LAST = const(2)  # in REST
# stamped.


def make_next_lane(at, cold):
    """Return the next_lane of the receiver whose words are at the address `at`.

    It returns the bytes from them to the lane to read next, 0 if no message is queued: of the
    first row with a message, the oldest of its senders' messages; of equal stamps the first
    sender's. A stamp is taken for one of the last seven eighths of the clock's period, or of the
    next eighth.
    """

    @micropython.viper
    def next_lane() -> int:
        part = ptr32(int(at))
        lane = ptr32(int(part) + part[_LANES])
        chosen = 0
        left = -1  # bytes to the last lane of the row of the one chosen
        oldest = 0
        while left and lane[_REST] != _LAST:
            while lane[_HEAD] != lane[_TAIL]:
                if part[_FENCED]:
                    cold._fence()  # head before slot, as in recv
                slot = ptr32(int(lane) + lane[_READ])
                if lane[_REST] & _STALE and (slot[_META] >> 24 & 0xFF) != part[_EPOCH]:
                    # It was on its way to an earlier receiver.
                    part[_STALE_DROPPED] = part[_STALE_DROPPED] + 1
                    #: step("give back") :#
                    read = lane[_READ] + part[_STRIDE]
                    if not read - lane[_END]:
                        read = lane[_FIRST]
                    lane[_READ] = read
                    if part[_FENCED]:
                        cold._fence()
                    # Order: slot read before tail, so the producer cannot reuse it early.
                    lane[_TAIL] = lane[_TAIL] + 1
                    # stamped.
                else:
                    #: step("age") :#
                    stamp = slot[_TIME]
                    if part[_RX_CLOCK]:
                        now = ptr32(part[_RX_CLOCK])[0]
                    else:
                        now = int(cold._ticks())
                    # stamped.
                    now += part[_MASK] >> 3  # a stamp of send_at may be ahead of the clock
                    age = (now - stamp) & part[_MASK]
                    if not chosen:
                        left = (lane[_REST] & ~_STALE) + _LANE_BYTES
                    if not chosen or age > ((now - oldest) & part[_MASK]):
                        chosen = int(lane)
                        oldest = stamp
                    break
            lane = ptr32(int(lane) + _LANE_BYTES)
            if chosen:
                left -= _LANE_BYTES
        if chosen:
            chosen -= int(part)
        return chosen

    return next_lane
