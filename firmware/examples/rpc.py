"""Calls from one core to the other: `await rpc.call(...)`, its time limit and the times it took.

Core 1 has a motor to itself and answers requests; core 0 runs asyncio and asks. A request is an
order and a number, a reply the position. One call is not answered in time: it raises, the program
handles it, and the late answer is rejected, so that it is never taken for that of a newer call.

Needs    two cores, which an emulated Pico has not; on an ESP32 the second is a thread. Put your
         motor into Motor.
Prints   the time-out, the status of an order that the motor does not know, then the median, 99th
         percentile and maximum of a call, in microseconds.
"""

import _thread
import asyncio
import struct
import time

import ringlane.waiting  # noqa: F401  before a second core could be importing it too
from ringlane import RequestReplyChannel

REQUEST = "<Bi"  # the order, and by how many steps
MOVE, HOME, DANCE = 1, 2, 3
LIMIT_MS = 100
CALLS = 200

rpc = RequestReplyChannel(4, slot_size=struct.calcsize(REQUEST), name="motor")


class Motor:
    """What core 1 has: Motor.answer is called with each request and returns the reply."""

    def __init__(self):
        self._position = 0
        self._reply = bytearray(4)

    def answer(self, request):
        """Move by a number of steps, or home; reply with the position."""
        order, steps = struct.unpack(REQUEST, request)
        if order == MOVE:
            self._position += steps
        elif order == HOME:
            time.sleep_ms(3 * LIMIT_MS)  # it takes its time
            self._position = 0
        else:
            return 1  # a status: there is no reply to that
        struct.pack_into("<i", self._reply, 0, self._position)
        return self._reply


def second_core():
    """Answer until the channel is closed."""
    rpc.serve_wait(Motor().answer)


async def ask(order, steps, limit_ms=10 * LIMIT_MS):
    """Return (status, position). Raises OSError if no reply comes in time."""
    reply = bytearray(rpc.slot_size)
    _, status, _ = await rpc.call(struct.pack(REQUEST, order, steps), reply, limit_ms)
    return status, struct.unpack_from("<i", reply)[0]


async def main():
    """Move to and fro."""
    _thread.stack_size(16384)  # an rp2's usual 4096 are little for what waits
    _thread.start_new_thread(second_core, ())
    position = 0
    for number in range(CALLS):
        _, position = await ask(MOVE, number % 7 - 3)
    print("position %d" % position)
    try:
        await ask(HOME, 0, LIMIT_MS)
    except OSError as error:
        print("time-out: %s" % error)
    _, position = await ask(MOVE, 5)
    status, _ = await ask(DANCE, 0)
    print("then at %d; an order to dance has status %d" % (position, status))
    stats = rpc.stats()
    us = rpc.clock.us
    print("%d calls, %d late" % (stats.count, rpc.late))
    print(
        "a call took p50 %d, p99 %d, at most %d us"
        % (us(stats.p50_latency), us(stats.p99_latency), us(stats.max_latency))
    )
    rpc.close()
    rpc.notify()  # core 1 waits: this wakes it, and it ends


asyncio.run(main())
