"""Calls from one core to the other: `await rpc.call(...)`, its time limit and the times it took.

Core 1 has a motor to itself and answers requests; core 0 runs asyncio and asks. A request is an
order and a number, a reply a number. One call is not answered in time: it raises, the program
handles it, and the late answer is rejected, so that it is never taken for that of a newer call.

Wiring   none; put your motor into Motor.
Run      .venv/bin/python firmware/examples/run.py rpc [--target /dev/ttyACM0]
         To keep it: mpremote cp board.py rpc.py : with ringlane in :/lib, and in main.py
             import rpc
             rpc.main()
Prints   the time-out and what the channel says of it, then the median, 99th percentile and
         maximum of a call, in microseconds.
"""

import asyncio
import errno
import struct
import time

from board import PATIENCE_MS, Failed, SecondCore, expect
from ringlane import RequestReplyChannel

_REQUEST = "<Bi"
_REPLY = "<i"
_MOVE = 1
_JAM = 2
_LIMIT_MS = 50


class Motor:
    """What core 1 does: Motor.answer is called with each request and returns the reply."""

    def __init__(self):
        self.position = 0
        self.jams = 0  # Owner: this core
        self.repairs = 0  # Owner: the other
        self._reply = bytearray(struct.calcsize(_REPLY))

    def answer(self, request):
        """Move by a number of steps, or jam; reply with the position."""
        order, steps = struct.unpack(_REQUEST, request)
        if order == _MOVE:
            self.position += steps
        elif order == _JAM:
            self.jams += 1
            while self.repairs < self.jams:
                time.sleep_ms(1)
        else:
            return 1  # a status: it has no reply to that
        struct.pack_into(_REPLY, self._reply, 0, self.position)
        return self._reply


async def ask(rpc, order, steps, limit_ms):
    """Return the position that the motor replies with. Raises Failed, or OSError(ETIMEDOUT)."""
    reply = bytearray(rpc.slot_size)
    size, status, _ = await rpc.call(struct.pack(_REQUEST, order, steps), reply, limit_ms)
    if status:
        raise Failed("the motor does not know order %d" % order)
    expect("bytes of a reply", size, struct.calcsize(_REPLY))
    return struct.unpack_from(_REPLY, reply)[0]


async def drive(rpc, motor, calls):
    """Move to and fro, `calls` times, with one call on the way that is not answered in time."""
    position = 0
    for number in range(calls):
        steps = number % 7 - 3
        position += steps
        expect("position", await ask(rpc, _MOVE, steps, PATIENCE_MS), position)
        if number == calls // 2:
            try:
                await ask(rpc, _JAM, 0, _LIMIT_MS)
            except OSError as error:
                if error.errno != errno.ETIMEDOUT:
                    raise
                print("time-out: %s" % error)
            else:
                raise Failed("a motor that is jammed has answered")
            motor.repairs += 1
    try:
        await ask(rpc, 99, 0, PATIENCE_MS)
    except Failed as error:
        print("rejected:  %s" % error)
    else:
        raise Failed("the motor knows what it cannot know")


def main(calls=500):
    """Make `calls` calls. Raises Failed unless each got its own reply, and one a time-out."""
    rpc = RequestReplyChannel(4, slot_size=struct.calcsize(_REQUEST), name="motor")
    motor = Motor()

    def serve():
        rpc.serve_wait(motor.answer)

    core = SecondCore(serve)
    try:
        asyncio.run(drive(rpc, motor, calls))
    finally:
        motor.repairs += 1
        rpc.close()
        rpc.notify()  # core 1 waits: this wakes it, and it ends
        core.join()
    stats = rpc.stats()
    expect("calls answered", (stats.count, rpc.pending), (calls + 1, 0))
    expect("late replies", rpc.late, motor.jams)  # 0 if it was so busy that it never saw the order
    print(rpc)
    print(
        "a call took p50 %d, p99 %d, at most %d us"
        % (
            rpc.clock.us(stats.p50_latency),
            rpc.clock.us(stats.p99_latency),
            rpc.clock.us(stats.max_latency),
        )
    )
