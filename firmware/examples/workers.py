"""A pool of workers on both cores: jobs to whoever has the least to do, and results back.

An AnycastChannel gives each job to one of its receivers, here one on each core. The results come
back through a Channel with a sender for each core, since a sender belongs to one context. Whoever
sends to the other core calls notify(): nothing else wakes a core of an RP2040 that waits.

Needs    two cores, which an emulated Pico has not; on an ESP32 the second is a thread.
Prints   how many jobs each core did, and the primes that they have found together.
"""

import _thread
import asyncio
import struct

import ringlane.waiting  # noqa: F401  before a second core could be importing it too
from ringlane import LEAST_LOADED, NORMAL, AnycastChannel, Channel

BELOW = 5000
SPAN = 100  # numbers that a job looks at
COUNT = BELOW // SPAN
RESULT = "<IHH"  # the job, the primes among its numbers, the core that did it

jobs = AnycastChannel(2, LEAST_LOADED, slot_size=4, max_receivers=2, name="jobs")
# Room for every result: a worker never finds it full.
results = Channel(COUNT, slot_size=struct.calcsize(RESULT), senders=2, name="results")


def count_primes(first, end):
    """Return how many primes there are in first..end-1: the work."""
    count = 0
    for number in range(max(first, 2), end):
        factor = 2
        while factor * factor <= number and number % factor:
            factor += 1
        count += factor * factor > number
    return count


class Worker:
    """Worker(end, sender, core): does the jobs of one receiver."""

    def __init__(self, end, sender, core):
        self._end = end
        self._sender = sender
        self._core = core
        self._job = bytearray(4)
        self._result = bytearray(struct.calcsize(RESULT))

    def _do(self):
        first = struct.unpack("<I", self._job)[0]
        primes = count_primes(first, first + SPAN)
        struct.pack_into(RESULT, self._result, 0, first, primes, self._core)
        self._sender.send(self._result, NORMAL)
        results.notify()

    async def work(self):
        """Work as a task, until the jobs are over."""
        while await self._end.arecv(self._job):
            self._do()
            await asyncio.sleep_ms(0)  # the other tasks of this core want their turn

    def work_alone(self):
        """The same without asyncio, on a core that has nothing else to do."""
        while self._end.recv_wait(self._job):
            self._do()


async def give():
    """Give out the jobs, as fast as there is room for them."""
    for number in range(COUNT):
        await jobs.asend(struct.pack("<I", number * SPAN), NORMAL)
        jobs.notify()


async def main():
    """Give, work on this core, and collect."""
    here = Worker(jobs.add_receiver(core=0), results, 0)
    there = Worker(jobs.add_receiver(core=1), results.add_sender(), 1)
    _thread.stack_size(16384)  # an rp2's usual 4096 are little for what waits
    _thread.start_new_thread(there.work_alone, ())
    tasks = [asyncio.create_task(here.work()), asyncio.create_task(give())]
    buf = bytearray(results.slot_size)
    primes = 0
    done = [0, 0]
    for _ in range(COUNT):
        await results.arecv(buf)
        _, found, core = struct.unpack(RESULT, buf)
        primes += found
        done[core] += 1
    jobs.close()  # ends the workers, here ...
    jobs.notify()  # ... and there
    await asyncio.gather(*tasks)
    print("%d jobs: core 0 did %d, core 1 %d" % (COUNT, done[0], done[1]))
    print("%d primes below %d" % (primes, BELOW))


asyncio.run(main())
