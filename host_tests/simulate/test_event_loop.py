"""MicroPython's asyncio names on CPython: firmware that knows nothing of a host runs on it."""

import asyncio
import io
import subprocess
import sys
import threading
import time

import pytest
import ringlane.waiting as waiting
from conftest import PACKAGE
from ringlane import NORMAL, Channel
from ringlane_host.simulate import clock
from ringlane_host.simulate.event_loop import poll

FIRMWARE = """
import asyncio
from ringlane import HIGH, Channel, select

ch = Channel(2, slot_size=8)
flag = asyncio.ThreadSafeFlag()
buf = bytearray(8)
done = []

async def consume():
    while m := await ch.arecv(buf):
        done.append(bytes(buf[:m[0]]))

async def flagged():
    await flag.wait()
    done.append("flag")

async def main():
    tasks = [asyncio.create_task(consume()), asyncio.create_task(flagged())]
    await asyncio.sleep_ms(2)
    ch.send(b"one", HIGH)
    await asyncio.sleep_ms(2)
    flag.set()
    await tasks[1]
    try:
        await asyncio.wait_for_ms(flag.wait(), 2)
    except asyncio.TimeoutError:
        done.append("late")
    ch.close()
    await tasks[0]
    print(done, await select(ch))

asyncio.run(main())
"""


def test_a_firmware_runs_unmodified_on_cpython_as_on_micropython(micropython):
    done = subprocess.run(
        [sys.executable, "-c", FIRMWARE],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # It imports asyncio before ringlane, as firmware does.
    assert done.stdout == "[b'one', 'flag', 'late'] False\n", done.stderr
    assert micropython(FIRMWARE) == done.stdout


def test_a_flag_set_by_another_thread_wakes_one_wait():
    flag = asyncio.ThreadSafeFlag()

    async def main():
        for _ in range(5):
            thread = threading.Thread(target=flag.set)
            task = asyncio.create_task(flag.wait())
            await asyncio.sleep(0)
            assert not task.done()
            thread.start()
            await asyncio.wait_for(task, 30)
            thread.join()
        flag.set()
        flag.clear()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for_ms(flag.wait(), 5)

    asyncio.run(main())


def test_a_message_of_another_thread_wakes_a_task():
    ch = Channel(4)

    async def main():
        buf = bytearray(32)
        for number in range(20):
            task = asyncio.create_task(ch.arecv(buf))
            await asyncio.sleep(0)
            thread = threading.Thread(target=ch.send, args=(bytes((number,)), NORMAL))
            thread.start()
            size, _, _ = await asyncio.wait_for(task, 30)
            assert bytes(buf[:size]) == bytes((number,))
            thread.join()

    asyncio.run(main())


def test_a_message_of_another_thread_wakes_recv_wait():
    ch = Channel(4)
    buf = bytearray(32)
    for number, timeout in enumerate((None, 30000) * 5):
        thread = threading.Timer(0.003, ch.send, (bytes((number,)), NORMAL))
        thread.start()
        assert ch.recv_wait(buf, timeout)[0] == 1 and buf[0] == number
        thread.join()


class Stream(io.IOBase):
    """A stream that is ready after it was looked at so many times."""

    def __init__(self, looks):
        self.looks = looks
        self.asked = []

    def ioctl(self, request, flags):
        self.asked.append((request, flags))
        if self.looks is None:
            raise OSError("no such device")
        self.looks -= 1
        return 0 if self.looks >= 0 else flags


class Queued:
    """What a task does that waits for a stream of its own, as asyncio's own streams do."""

    def __init__(self, stream, write=False):
        self.stream = stream
        self.write = write

    def __await__(self):
        queue = asyncio.core._io_queue
        yield queue.queue_write(self.stream) if self.write else queue.queue_read(self.stream)


async def wait(stream, write=False):
    await Queued(stream, write)


def test_a_stream_is_looked_at_until_it_is_ready():
    reader, writer = Stream(3), Stream(5)

    async def main():
        await asyncio.gather(wait(reader), wait(writer, write=True))

    asyncio.run(main())
    assert reader.asked == [(3, 1)] * 4 and writer.asked == [(3, 4)] * 6


def test_a_stream_that_nobody_waits_for_any_more_is_left_alone():
    stream, other = Stream(10**6), Stream(20)

    async def main():
        task = asyncio.create_task(wait(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asked = len(stream.asked)
        await wait(other)
        assert len(stream.asked) == asked and len(other.asked) == 21

    asyncio.run(main())


def test_a_stream_that_fails_ends_the_wait_with_its_error():
    async def main():
        other = asyncio.create_task(wait(Stream(3)))
        with pytest.raises(OSError, match="no such device"):
            await wait(Stream(None))
        await other

    asyncio.run(main())


def test_a_wait_abandoned_with_its_loop_does_not_harm_the_next():
    stream = Stream(10**6)
    loop = asyncio.new_event_loop()
    task = loop.create_task(wait(stream))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    asked = len(stream.asked)
    assert asked and not task.done()
    asyncio.run(wait(Stream(5)))
    assert len(stream.asked) == asked
    task._log_destroy_pending = False


def test_a_task_that_waits_leaves_the_processor_alone():
    # By the looks, not by the clock: a loop that spins looks some ten thousand times.
    ch = Channel(1)
    spied = Channel(1)
    look = waiting.make_look(spied)
    looks = 0

    def count(request, flags):
        nonlocal looks
        looks += 1
        return look(request, flags)

    spied._waiter = waiting.Waiter(count)

    async def main():
        tasks = [asyncio.create_task(end.arecv(bytearray(32))) for end in (ch, spied)]
        start = time.monotonic()
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        return time.monotonic() - start

    periods = asyncio.run(main()) / 0.001
    assert 2 < looks <= periods + 10


def test_where_the_clock_stands_a_time_out_takes_its_time():
    ch = Channel(1)
    clock.set(5_000_000)
    try:
        assert ch.recv_wait(bytearray(32), 3_000) is None
        assert clock.now_us() == 5_000_000 + 3_000_000

        async def main():
            task = asyncio.create_task(ch.ready(60_000))
            await asyncio.sleep(0.01)
            assert not task.done()
            clock.advance(60_000_000)
            return await asyncio.wait_for(task, 30)

        assert asyncio.run(main()) is None
    finally:
        clock.run()


def test_poll_returns_what_is_ready():
    poller = poll()
    ready, never = Stream(2), Stream(10**6)
    poller.register(ready, 1)
    poller.register(never, 1)
    assert poller.ipoll() == [(ready, 1)]
    assert poller.ipoll(0) == [(ready, 1)]
    lonely = poll()
    lonely.register(never, 1)
    assert lonely.ipoll(2) == []


def test_an_exception_is_printed_as_the_device_prints_it(capsys):
    try:
        raise ValueError("seven")
    except ValueError as error:
        sys.print_exception(error)
        text = io.StringIO()
        sys.print_exception(error, text)
    assert "ValueError: seven" in capsys.readouterr().out
    assert text.getvalue().endswith("ValueError: seven\n")
