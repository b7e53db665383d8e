"""A pool of workers on both cores: jobs to whoever has the least to do, results back and checked.

An AnycastChannel gives each job to one of its receivers, here one on each core. The results come
back through a Channel with a sender for each core, since a sender belongs to one context. Whoever
sends to the other core calls notify(): nothing else wakes a core of an RP2040 that waits.

Wiring   none.
Run      .venv/bin/python firmware/examples/run.py workers [--target /dev/ttyACM0]
         To keep it: mpremote cp board.py workers.py : with ringlane in :/lib, and in main.py
             import workers
             workers.main()
Prints   how many jobs each core did, and the primes that they have found together.
"""

import asyncio
import struct

from board import PATIENCE_MS, Failed, SecondCore, expect
from ringlane import LEAST_LOADED, NORMAL, AnycastChannel, Channel

_SPAN = 100  # numbers that a job looks at
_JOB = "<I"  # the first of them
_RESULT = "<IHH"  # the job, the primes among its numbers, the core that did it
_PRIMES = {1000: 168, 2000: 303, 5000: 669, 10000: 1229}  # how many there are below


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
    """Worker(jobs, results, sender, core): does the jobs of one receiver."""

    def __init__(self, jobs, results, sender, core):
        self._jobs = jobs
        self._results = results
        self._sender = sender
        self._core = core
        self._job = bytearray(struct.calcsize(_JOB))
        self._result = bytearray(struct.calcsize(_RESULT))

    def _do(self):
        first = struct.unpack(_JOB, self._job)[0]
        primes = count_primes(first, first + _SPAN)
        struct.pack_into(_RESULT, self._result, 0, first, primes, self._core)
        self._sender.send(self._result, NORMAL)
        self._results.notify()

    async def work(self):
        """Work as a task, until the jobs are over."""
        while await self._jobs.arecv(self._job):
            self._do()
            await asyncio.sleep_ms(0)  # the other tasks of this core want their turn

    def work_alone(self):
        """The same without asyncio, on a core that has nothing else to do."""
        while self._jobs.recv_wait(self._job):
            self._do()


async def give(jobs, count):
    """Give out the jobs, as fast as there is room for them."""
    job = bytearray(struct.calcsize(_JOB))
    for number in range(count):
        struct.pack_into(_JOB, job, 0, number * _SPAN)
        if not await jobs.asend(job, NORMAL, PATIENCE_MS):
            raise Failed("no worker takes job %d" % number)
        jobs.notify()


async def collect(results, count):
    """Take a result of every job; return the primes, and the jobs that each core did."""
    buf = bytearray(struct.calcsize(_RESULT))
    primes = 0
    done = bytearray(count)
    by_core = [0, 0]
    for number in range(count):
        if not await results.arecv(buf, PATIENCE_MS):
            raise Failed("%d of %d results came" % (number, count))
        first, found, core = struct.unpack(_RESULT, buf)
        if done[first // _SPAN]:
            raise Failed("the job that begins with %d was done twice" % first)
        done[first // _SPAN] = 1
        primes += found
        by_core[core] += 1
    return primes, by_core


async def run(jobs, results, worker, count):
    """Give, work on this core, and collect."""
    tasks = [asyncio.create_task(worker.work()), asyncio.create_task(give(jobs, count))]
    try:
        found = await collect(results, count)
    finally:
        jobs.close()  # ends the workers, here ...
        jobs.notify()  # ... and there
    await asyncio.wait_for_ms(asyncio.gather(*tasks), PATIENCE_MS)
    return found


def main(below=5000):
    """Count the primes below 1000, 2000, 5000 or 10000. Raises Failed if the number is wrong."""
    count = below // _SPAN
    jobs = AnycastChannel(2, LEAST_LOADED, slot_size=4, max_receivers=2, name="jobs")
    # Room for every result: a worker never finds it full.
    results = Channel(count, slot_size=struct.calcsize(_RESULT), senders=2, name="results")
    here = Worker(jobs.add_receiver(core=0), results, results, 0)
    there = Worker(jobs.add_receiver(core=1), results, results.add_sender(), 1)
    core = SecondCore(there.work_alone)
    try:
        primes, by_core = asyncio.run(run(jobs, results, here, count))
    finally:
        core.join()
    expect("primes below %d" % below, primes, _PRIMES[below])
    expect("results dropped", results.dropped, 0)
    if not all(by_core):
        raise Failed("jobs by core: %r" % (by_core,))
    print("%d jobs: core 0 did %d, core 1 %d" % (count, by_core[0], by_core[1]))
    print("%d primes below %d, as it should be" % (primes, below))
