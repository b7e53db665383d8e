"""What waiting promises; tasks.py runs it.

On MicroPython a recv_wait runs under a locked heap from the second on.
"""

import asyncio
import gc
import sys
import time
from array import array

import micropython
from harness import MICROPYTHON, PATIENCE_MS, ROOMY, pattern, raises
from ringlane import (
    BULK,
    HIGH,
    LOW,
    NORMAL,
    ROUND_ROBIN,
    AnycastChannel,
    Channel,
    Clock,
    LockGuard,
    MulticastChannel,
    PriorityChannel,
    RequestReplyChannel,
    select,
    waiting,
)

_SLOT = 8
_HOST = sys.platform in ("darwin", "linux", "win32")  # not the size of its heap: a chip has PSRAM


class _End:
    # A receiving end of any pattern, and how its sender sends.
    def __init__(self, title, channel, end):
        self.title = title
        self.channel = channel
        self.end = end
        self.ids = []  # of the requests, if it is a server

    def send(self, data):
        ch = self.channel
        if isinstance(ch, RequestReplyChannel):
            while len(self.ids) > len(ch):
                ch.cancel(self.ids.pop(0))  # the server has read it, and will not answer
            sent = ch.send_request(data)
            self.ids.append(sent)
        else:
            sent = ch.send(data, NORMAL)
        assert sent, self.title

    def has_room(self):
        return len(self.channel) < self.channel.capacity

    def close(self):
        self.channel.close()


def _ends(capacity=4):
    """Return new ends of every kind that can be waited on; on a chip of four, as it is slow."""
    ends = []

    def add(title, channel, end=None):
        ends.append(_End(title, channel, end or channel))

    add("two senders", PriorityChannel(capacity, slot_size=_SLOT, senders=2))
    ch = MulticastChannel(capacity, slot_size=_SLOT, max_receivers=2)
    add("multicast", ch, ch.add_receiver())
    ch = PriorityChannel(capacity, slot_size=_SLOT, recv_guard=LockGuard())
    add("guarded, added", ch, ch.add_receiver())
    add("server", RequestReplyChannel(capacity, slot_size=_SLOT))
    if ROOMY:
        add("priority", PriorityChannel(capacity, slot_size=_SLOT))
        add("one lane", Channel(capacity, slot_size=_SLOT))
        ch = AnycastChannel(capacity, ROUND_ROBIN, slot_size=_SLOT, max_receivers=2)
        add("anycast", ch, ch.add_receiver())
        add("guarded", Channel(capacity, slot_size=_SLOT, recv_guard=LockGuard()))
    return ends


async def _settle():
    # Every task that was created has run until it blocked.
    for _ in range(4):
        await asyncio.sleep_ms(0)


def _busy_ms(ms):
    # Time that passes while no task runs.
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        pass


async def _outcome(task):
    try:
        return await task
    except asyncio.CancelledError:
        return "cancelled"


async def _arecv(end, timeout_ms=None):
    # What arecv gave, kept: (bytes, class), None or False.
    buf = bytearray(_SLOT)
    m = await end.arecv(buf, timeout_ms)
    return (bytes(buf[: m[0]]), m[1]) if m else m


def _recv(end):
    buf = bytearray(_SLOT)
    m = end.recv(buf)
    return None if m is None else bytes(buf[: m[0]])


# ready


async def ready_is_true_once_a_message_is_queued():
    for each in _ends():
        task = asyncio.create_task(each.end.ready())
        await _settle()
        assert not task.done(), each.title
        each.send(b"hello")
        assert await task is True, each.title
        assert _recv(each.end) == b"hello", each.title


async def ready_is_ready_again_until_the_message_is_taken():
    for each in _ends():
        each.send(b"first")
        each.send(b"second")
        for expected in (b"first", b"second"):
            for timeout in (None, 0, 1000):
                assert await each.end.ready(timeout) is True, each.title
            assert _recv(each.end) == expected
        assert await each.end.ready(0) is None, each.title


async def ready_is_none_after_its_time_and_not_before():
    for each in _ends():
        for timeout in (0, 1, 3):
            start = time.ticks_ms()
            assert await each.end.ready(timeout) is None, each.title
            assert time.ticks_diff(time.ticks_ms(), start) >= timeout, each.title
        each.send(b"later")  # the waits that are over have left nothing behind
        assert await each.end.ready(1000) is True and _recv(each.end) == b"later"


async def ready_with_a_time_out_is_true_when_a_message_comes_first():
    for each in _ends():
        task = asyncio.create_task(each.end.ready(PATIENCE_MS))
        await _settle()
        each.send(b"x")
        assert await task is True, each.title


async def several_tasks_are_ready_for_one_message():
    for each in _ends():
        tasks = [asyncio.create_task(each.end.ready()) for _ in range(5)]
        await _settle()
        each.send(b"x")
        for task in tasks:
            assert await task is True, each.title


async def what_ready_returns_passes_for_a_coroutine():
    for each in _ends():
        silent = Channel(1)
        waits = asyncio.gather(each.end.ready(), silent.ready(2), each.end.ready())
        sender = asyncio.create_task(_send_later(each, b"x"))
        assert list(await waits) == [True, None, True], each.title
        assert await asyncio.create_task(each.end.ready()) is True
        assert await asyncio.wait_for_ms(each.end.ready(), 1000) is True
        await sender
        try:
            await asyncio.wait_for_ms(silent.ready(), 1)
            raise AssertionError("ready without a message")
        except asyncio.TimeoutError:
            pass


async def _send_later(each, data):
    await _settle()
    each.send(data)


async def a_wait_that_nobody_awaits_disturbs_no_other():
    for each in _ends():
        waits = [each.end.ready(), each.end.ready(1), each.end.arecv, each.end.ready(0)]
        task = asyncio.create_task(_arecv(each.end))
        await _settle()
        assert each.end.ready() not in waits
        each.send(b"x")
        assert (await task)[0] == b"x", each.title


async def a_cancelled_task_keeps_its_waiter_from_others():
    for each in _ends():
        task = asyncio.create_task(each.end.ready())
        await _settle()
        task.cancel()
        # The cancelled task has not run yet; asyncio takes a stream for one task only.
        second = asyncio.create_task(_ready(each.end))
        third = asyncio.create_task(_arecv(each.end))
        assert await _outcome(task) == "cancelled"
        await _settle()
        each.send(b"x")
        assert await second is True and (await third)[0] == b"x", each.title


async def _ready(end):
    return await end.ready()


class _Streams:
    # The streams that tasks wait for meanwhile, in order.
    def __init__(self):
        self.seen = seen = []
        self.queue = queue = asyncio.core._io_queue
        queue_read = queue.queue_read

        def note(stream):
            seen.append(stream)
            return queue_read(stream)

        queue.queue_read = note

    def end(self):
        del self.queue.queue_read


async def waiters_are_used_again():
    ch = Channel(4, _SLOT)
    streams = _Streams()
    try:
        for wait in (_ready, _arecv, _ready, _arecv, _ready):
            task = asyncio.create_task(wait(ch))
            await _settle()
            ch.send(b"x", NORMAL)
            await task
            ch.clear()
        seen = streams.seen
        assert len(seen) == 5 and len(set(map(id, seen))) == 1, seen
        # Of several tasks each has its own; all are woken, and those that find nothing wait again.
        seen.clear()
        tasks = [asyncio.create_task(_arecv(ch)) for _ in range(3)]
        await _settle()
        assert len(seen) == 3 == len(set(map(id, seen))), seen
        waiters = set(map(id, seen))
        seen.clear()
        for _ in range(3):
            ch.send(b"x", NORMAL)
            await asyncio.sleep_ms(0)
            await asyncio.sleep_ms(2)
        for task in tasks:
            assert (await task)[0] == b"x"
        assert set(map(id, seen)) <= waiters, seen
    finally:
        streams.end()


# arecv


async def arecv_gives_what_recv_would():
    for each in _ends():
        for size in (0, 1, _SLOT):
            data = pattern(size, size)
            for early in (True, False):
                if early:
                    each.send(data)
                task = asyncio.create_task(_arecv(each.end))
                await _settle()
                assert task.done() == early, each.title
                if not early:
                    each.send(data)
                got = await task
                assert got[0] == data, each.title
                assert got[1] == (each.ids[-1] if each.ids else NORMAL), each.title


async def arecv_is_none_after_its_time_and_not_before():
    for each in _ends():
        for timeout in (0, 1, 3):
            start = time.ticks_ms()
            assert await _arecv(each.end, timeout) is None, each.title
            assert time.ticks_diff(time.ticks_ms(), start) >= timeout
        each.send(b"later")
        assert (await _arecv(each.end, 0))[0] == b"later", each.title


async def arecv_takes_the_most_urgent_class_first():
    ch = PriorityChannel(2)
    for priority in (BULK, HIGH, LOW):
        ch.send(b"%d" % priority, priority)
    for priority in (HIGH, LOW, BULK):
        assert await _arecv(ch) == (b"%d" % priority, priority)


async def arecv_raises_as_recv_and_the_message_stays():
    for each in _ends():
        for early in (True, False):
            for buf, kind, text in (
                (bytearray(2), ValueError, "buffer of 2"),
                (b"constant", TypeError, "writable"),
            ):
                if early:
                    each.send(b"hello")
                sender = None if early else asyncio.create_task(_send_later(each, b"hello"))
                try:
                    await each.end.arecv(buf)
                    raise AssertionError("no %s: %s" % (kind, each.title))
                except kind as error:
                    assert text in str(error), error
                if sender is not None:
                    await sender
                assert _recv(each.end) == b"hello", each.title


async def _take(end, got, shares, number):
    while m := await _arecv(end):
        got.append(m[0][0])
        shares[number] += 1
        await asyncio.sleep_ms(0)  # a message that is there already gives no other task a turn


async def several_tasks_of_one_channel_each_get_other_messages():
    count = 60 if ROOMY else 20
    for each in _ends():
        got = []
        shares = [0] * 5
        tasks = [asyncio.create_task(_take(each.end, got, shares, i)) for i in range(5)]
        sent = 0
        while sent < count:
            for _ in range(sent % 4 + 1):
                if each.has_room() and sent < count:
                    each.send(bytes((sent,)))
                    sent += 1
            await asyncio.sleep_ms(0)
        each.close()
        for task in tasks:
            await task
        assert sorted(got) == list(range(count)), (each.title, got)
        assert min(shares) > 0, (each.title, shares)


async def requests_cancelled_before_they_are_read_wake_no_server():
    rpc = RequestReplyChannel(2, slot_size=_SLOT)
    task = asyncio.create_task(_arecv(rpc))
    await _settle()
    for _ in range(2):
        assert rpc.cancel(rpc.send_request(b"never"))
        await asyncio.sleep_ms(2)
        assert not task.done()
    id = rpc.send_request(b"this")
    assert await task == (b"this", id)


# arecv_word


async def _arecv_word(end, timeout_ms=None):
    # What arecv_word gave, kept: (value, class), None or False.
    m = await end.arecv_word(timeout_ms)
    return (m[0], m[1]) if m else m


def _word_ends():
    # Requests are no words.
    return [each for each in _ends() if not isinstance(each.channel, RequestReplyChannel)]


def _send_word(each, value):
    assert each.channel.send_word(value, LOW), each.title


async def arecv_word_gives_what_recv_word_would():
    for each in _word_ends():
        for value in (0, 7, -1, (1 << 30) - 1, -(1 << 31), (1 << 31) - 1):
            for early in (True, False):
                if early:
                    _send_word(each, value)
                task = asyncio.create_task(_arecv_word(each.end))
                await _settle()
                assert task.done() == early, each.title
                if not early:
                    _send_word(each, value)
                assert await task == (value, LOW), each.title


async def arecv_word_is_none_after_its_time_and_not_before():
    for each in _word_ends():
        for timeout in (0, 1, 3):
            start = time.ticks_ms()
            assert await each.end.arecv_word(timeout) is None, each.title
            assert time.ticks_diff(time.ticks_ms(), start) >= timeout
        _send_word(each, 5)
        assert await _arecv_word(each.end, 0) == (5, LOW), each.title
        task = asyncio.create_task(_arecv_word(each.end, PATIENCE_MS))
        await _settle()
        _send_word(each, 6)
        assert await task == (6, LOW), each.title


async def arecv_word_raises_as_recv_word_and_the_message_stays():
    for each in _word_ends():
        for early in (True, False):
            if early:
                each.send(b"hello")
            sender = None if early else asyncio.create_task(_send_later(each, b"hello"))
            try:
                await each.end.arecv_word()
                raise AssertionError("no error: %s" % each.title)
            except ValueError as error:
                assert "message of 5 bytes is not a word" in str(error), error
            if sender is not None:
                await sender
            assert _recv(each.end) == b"hello", each.title


async def arecv_word_is_false_once_closed_and_drained():
    for each in _word_ends():
        tasks = [asyncio.create_task(each.end.arecv_word(t)) for t in (None, PATIENCE_MS)]
        await _settle()
        _send_word(each, 1)
        await _settle()
        await asyncio.sleep_ms(2)
        _send_word(each, 2)
        each.close()
        for task in tasks:
            assert await task, each.title
        for timeout in (None, 0, 1):
            assert await each.end.arecv_word(timeout) is False, each.title
    ch = MulticastChannel(2, slot_size=_SLOT, max_receivers=2)
    end = ch.add_receiver()
    task = asyncio.create_task(end.arecv_word())
    await _settle()
    ch.send_word(1, LOW)
    assert end.close() == 1 and await task is False and await end.arecv_word(1) is False
    # Its place is another receiver's now.
    other = ch.add_receiver()
    ch.send_word(2, LOW)
    assert await end.arecv_word() is False and (await other.arecv_word())[0] == 2


async def arecv_word_cancelled_leaves_the_message_there():
    for each in _word_ends():
        for first in (True, False):
            task = asyncio.create_task(each.end.arecv_word(None if first else PATIENCE_MS))
            await _settle()
            if first:
                task.cancel()
            _send_word(each, 3)
            if not first:
                task.cancel()
            assert await _outcome(task) == "cancelled", each.title
            assert each.end.recv_word()[0] == 3, each.title


async def ten_tasks_on_one_channel_get_each_message_once():
    count = 100 if ROOMY else 30
    for each in _word_ends():
        got = []
        shares = [0] * 10

        async def take(number, each=each, got=got, shares=shares):
            # Some with a time limit, which passes meanwhile or does not.
            timeout = (None, 1, PATIENCE_MS)[number % 3]
            while (m := await each.end.arecv_word(timeout)) is not False:
                if m is not None:
                    got.append(m[0])
                    shares[number] += 1
                    await asyncio.sleep_ms(0)

        tasks = [asyncio.create_task(take(number)) for number in range(10)]
        await _settle()
        sent = 0
        while sent < count:
            if sent >= count // 2:
                tasks[4].cancel()
            for _ in range(sent % 3 + 1):
                if each.has_room() and sent < count:
                    _send_word(each, sent)
                    sent += 1
            await asyncio.sleep_ms(sent % 5 == 0)
        each.close()
        outcomes = []
        for task in tasks:
            outcomes.append(await _outcome(task))
        assert outcomes.count("cancelled") == 1, outcomes
        assert sorted(got) == list(range(count)), (each.title, got)
        assert sum(share > 0 for share in shares) >= 5, (each.title, shares)


async def several_loops_in_sequence():
    if not MICROPYTHON:
        return  # there asyncio.run makes a loop each time, which test_event_loop.py does
    # What waits of a loop that has ended left behind: a waiter and an alarm.
    ch = Channel(4, _SLOT)
    asyncio.create_task(ch.ready())
    short = asyncio.create_task(ch.arecv_word(20))
    long = asyncio.create_task(ch.arecv_word(PATIENCE_MS))
    await _settle()
    old = asyncio.core._io_queue, asyncio.core._task_queue
    inner = []

    async def within():
        task = asyncio.create_task(ch.arecv_word(PATIENCE_MS))
        inner.append(await ch.arecv_word(1))
        await asyncio.sleep_ms(30)  # longer than what the other loop has waiting
        ch.send_word(1, NORMAL)
        inner.append((await task)[0])

    current = asyncio.core.cur_task
    asyncio.new_event_loop()
    try:
        asyncio.run(within())
    finally:
        asyncio.core._io_queue, asyncio.core._task_queue = old
        asyncio.core.cur_task = current
    assert inner == [None, 1], inner
    assert await short is None
    ch.send_word(2, NORMAL)
    assert (await long)[0] == 2


# Cancelled, and late


async def a_task_cancelled_while_a_message_comes_leaves_it_there():
    for each in _ends():
        for wait in (_ready, _arecv, select):
            for first in (True, False):
                task = asyncio.create_task(wait(each.end))
                await _settle()
                if first:
                    task.cancel()
                each.send(b"x")
                if not first:
                    task.cancel()
                assert await _outcome(task) == "cancelled", each.title
                assert len(each.channel) == 1 and _recv(each.end) == b"x", each.title


async def _cancel_when_ready(end, tasks):
    await end.ready()
    tasks[0].cancel()


async def a_task_cancelled_after_it_was_woken_loses_nothing():
    cancelled = received = 0
    for each in _ends():
        for turn in range(4 if ROOMY else 2):
            # The message wakes both in one round of the loop, in either order.
            tasks = []
            if turn & 1:
                canceller = asyncio.create_task(_cancel_when_ready(each.end, tasks))
            tasks.append(asyncio.create_task(_arecv(each.end)))
            if not turn & 1:
                canceller = asyncio.create_task(_cancel_when_ready(each.end, tasks))
            await _settle()
            each.send(b"x")
            outcome = await _outcome(tasks[0])
            if outcome == "cancelled":
                cancelled += 1
                assert _recv(each.end) == b"x", each.title
            else:
                received += 1
                assert outcome[0] == b"x" and not len(each.channel), each.title
                each.send(b"y")  # which ends the other's wait
            await canceller
            _recv(each.end)
    assert cancelled > 0, received


async def a_message_that_comes_with_the_time_out_is_not_lost():
    timeout = 10 if ROOMY else 2
    trials = 0
    for each in _ends():
        for early in (True, False):  # sent before the time is up, or after: the loop sees both
            for verb in ("ready", "arecv", "select"):
                if verb == "ready":
                    task = asyncio.create_task(each.end.ready(timeout))
                elif verb == "arecv":
                    task = asyncio.create_task(_arecv(each.end, timeout))
                else:
                    task = asyncio.create_task(select(each.end, timeout_ms=timeout))
                await asyncio.sleep_ms(0)
                if task.done():
                    continue  # a host so busy that the time was up at once
                trials += 1
                if early:
                    each.send(b"x")
                _busy_ms(timeout + 2)
                if not early:
                    each.send(b"x")
                got = await task
                if verb == "arecv":
                    assert got[0] == b"x", (each.title, got)
                else:
                    assert got is (True if verb == "ready" else each.end), (each.title, got)
                    assert _recv(each.end) == b"x", each.title
                assert not len(each.channel)
    assert trials > 0


_slow_ms = array("I", [0])


@micropython.viper
def _slow_ticks() -> int:
    # It takes as long as it is told: an interrupt or the collector, within a verb.
    start = int(time.ticks_ms())
    while (int(time.ticks_ms()) - start) & 0x3FFFFFFF < ptr32(_slow_ms)[0]:
        pass
    return 0


async def arecv_over_time_keeps_the_message_that_it_has():
    # The time-out passes while recv copies: after the wait was over, before it returns.
    ch = Channel(2, slot_size=_SLOT, clock=Clock("slow", 1000000, _slow_ticks))
    trials = 0
    for _ in range(5):
        task = asyncio.create_task(_arecv(ch, 20))
        await _settle()
        if task.done():
            continue  # a host so busy that the time was up already
        trials += 1
        ch.send(b"x", NORMAL)
        _slow_ms[0] = 25
        assert await task == (b"x", NORMAL)
        _slow_ms[0] = 0
    assert ch.received == trials > 0 and not len(ch)


def _just_after_nothing_is_found(ch, act):
    # Let another context act once recv has found nothing, before the wait goes on.
    take = ch.recv
    acted = []

    def recv(buf):
        m = take(buf)
        if m is None and not acted:
            acted.append(True)
            act()
        return m

    ch.recv = recv
    return acted


async def a_last_message_between_two_looks_is_not_lost():
    buf = bytearray(_SLOT)
    for verb in ("arecv", "recv_wait"):
        ch = Channel(1, _SLOT)

        def finish(ch=ch):
            ch.send(b"last", NORMAL)
            ch.close()

        acted = _just_after_nothing_is_found(ch, finish)
        m = await ch.arecv(buf) if verb == "arecv" else ch.recv_wait(buf)
        assert acted and m and buf[: m[0]] == b"last", verb


async def recv_wait_takes_what_comes_as_its_time_is_up():
    ch = Channel(1, _SLOT)

    def send():
        ch.send(b"late", NORMAL)
        _busy_ms(30)

    acted = _just_after_nothing_is_found(ch, send)
    buf = bytearray(_SLOT)
    m = ch.recv_wait(buf, 20)
    assert acted and m and buf[: m[0]] == b"late"


def _spied(ch, answer):
    # Let `answer(number, found)` decide what each look of the channel's waiters finds.
    look = waiting.make_look(ch)
    looks = [0]

    def spy(request, flags):
        if request != 3:
            return look(request, flags)
        looks[0] += 1
        return flags if answer(looks[0], look(request, flags) != 0) else 0

    ch._waiter = waiting.Waiter(spy)
    return looks


def _contested(ch):
    # Once it has a message that another context takes, after the wait for it is over.
    return _spied(ch, lambda number, found: found or number == 2)


async def arecv_waits_again_where_another_context_took_the_message():
    ch = Channel(1, _SLOT)
    looks = _contested(ch)
    task = asyncio.create_task(_arecv(ch))
    while looks[0] < 4:
        await asyncio.sleep_ms(1)
    assert await ch.ready(1) is None  # which has a waiter and a time limit of its own
    await _settle()
    assert not task.done()
    ch.send(b"x", NORMAL)
    assert await task == (b"x", NORMAL)


async def a_task_that_finds_nothing_keeps_its_waiter_and_its_alarm():
    ch = Channel(1, _SLOT)
    first = asyncio.create_task(_arecv(ch))
    await _settle()
    second = asyncio.create_task(_arecv(ch, PATIENCE_MS))
    await _settle()
    tasks = len(asyncio.all_tasks()) if not MICROPYTHON else 0
    ch.send(b"x", NORMAL)
    assert (await first)[0] == b"x"
    await _settle()
    assert not second.done()  # it was awake, too, and waits again
    if not MICROPYTHON:
        assert len(asyncio.all_tasks()) == tasks - 1
    # Another wait has a time limit of its own.
    assert await ch.ready(1) is None
    await _settle()
    assert not second.done()
    ch.send(b"y", NORMAL)
    assert (await second)[0] == b"y"


async def wait_for_ms_round_ready_loses_nothing():
    # asyncio throws away the result of what its own time-out ends, so it is for waits that take
    # nothing.
    ch = Channel(2, slot_size=_SLOT)
    outcomes = []
    for timeout, delay in _races():
        task = asyncio.create_task(_within(ch.ready(), timeout))
        await asyncio.sleep_ms(delay)
        ch.send(b"x", NORMAL)
        outcomes.append(await task)
        assert _recv(ch) == b"x" and not len(ch), (timeout, delay)
    assert outcomes[0] is True and outcomes[-1] == "late", outcomes


async def wait_for_ms_round_arecv_counts_what_it_throws_away():
    # Once arecv has the message, it may be too late for asyncio's own time-out: `received` tells.
    ch = Channel(2, slot_size=_SLOT)
    outcomes = []
    for timeout, delay in _races():
        received = ch.received
        task = asyncio.create_task(_within(_arecv(ch), timeout))
        await asyncio.sleep_ms(delay)
        ch.send(b"x", NORMAL)
        outcomes.append(await task)
        assert outcomes[-1] in ((b"x", NORMAL), "late"), outcomes
        assert ch.received - received + len(ch) == 1, (timeout, delay)
        assert outcomes[-1] == "late" or not len(ch), outcomes
        ch.clear()
    assert outcomes[0] != "late" and outcomes[-1] == "late", outcomes


async def _within(wait, timeout):
    try:
        return await asyncio.wait_for_ms(wait, timeout)
    except asyncio.TimeoutError:
        return "late"


def _races():
    # (time-out, when the message is sent), in ms: long before, about then, long after.
    middle = 12 if ROOMY else 4
    races = [(middle, delay) for delay in range(middle - 3, middle + 4)]
    return [(PATIENCE_MS, 0)] + races + [(0, 8)]


# asend


async def asend_waits_for_room_and_queues_once():
    for kind in (PriorityChannel, Channel):
        for added in (False, True):
            ch = kind(1, slot_size=_SLOT, senders=2)
            sender = ch.add_sender() if added else ch
            assert await sender.asend(b"first", HIGH) is True
            second = pattern(_SLOT)  # as large as a message may be
            task = asyncio.create_task(sender.asend(second, HIGH))
            await asyncio.sleep_ms(2)
            assert not task.done() and len(ch) == 1
            assert _recv(ch) == b"first"
            assert await task is True
            assert _recv(ch) == second and _recv(ch) is None
            assert (ch.sent, ch.dropped, ch.rejected) == (2, 0, 0)


async def asend_of_a_channel_is_its_first_senders():
    ch = Channel(1, slot_size=_SLOT, senders=2)
    ch.add_sender()
    assert await ch.asend(b"x", NORMAL) is True
    assert await ch.asend(b"y", NORMAL, 3) is False  # the second sender has room
    assert len(ch) == 1 and ch._senders[0].high_water == 1


async def asend_waits_for_its_own_class_only():
    ch = PriorityChannel(1, slot_size=_SLOT)
    assert ch.send(b"high", HIGH)
    task = asyncio.create_task(ch.asend(b"more", HIGH))
    await _settle()
    assert await ch.asend(b"low", LOW, 0) is True
    assert not task.done()
    assert _recv(ch) == b"high"
    assert await task is True
    assert _recv(ch) == b"more" and _recv(ch) == b"low"


async def asend_counts_as_dropped_what_finds_no_room_in_its_time():
    for guard in (None, LockGuard()):
        for kind in (PriorityChannel, Channel):
            ch = kind(1, slot_size=_SLOT, send_guard=guard)
            ch.send(b"x", LOW)
            for dropped, timeout in enumerate((0, 1, 3)):
                start = time.ticks_ms()
                assert ch.dropped == dropped
                assert await ch.asend(b"y", LOW, timeout) is False
                assert time.ticks_diff(time.ticks_ms(), start) >= timeout
            assert (ch.sent, ch.dropped, ch.rejected) == (1, 3, 0)
            assert _recv(ch) == b"x" and _recv(ch) is None


async def asend_to_several_receivers_counts_those_that_it_missed():
    ch = MulticastChannel(1, slot_size=_SLOT, max_receivers=2)
    fast, slow = ch.add_receiver(), ch.add_receiver()
    assert await ch.asend(b"one", NORMAL) == 2 and _recv(fast) == b"one"
    assert await ch.asend(b"two", NORMAL, 1) == 1  # its last send reaches who has room
    assert (fast.dropped, slow.dropped) == (0, 1)
    assert _recv(fast) == b"two" and _recv(slow) == b"one"
    pool = AnycastChannel(1, ROUND_ROBIN, slot_size=_SLOT, max_receivers=2)
    pool.add_receiver()
    assert await pool.asend(b"one", NORMAL) == 1 and await pool.asend(b"two", NORMAL, 1) == 0
    assert pool.dropped == 1 and pool.sent == 1


async def asend_sends_what_gets_room_as_its_time_is_up():
    ch = Channel(1, slot_size=_SLOT)
    ch.send(b"x", LOW)
    trials = 0
    for _ in range(3):
        task = asyncio.create_task(ch.asend(b"y", LOW, 3))
        await asyncio.sleep_ms(0)
        if task.done():
            continue  # a host so busy that the time was up at once
        trials += 1
        _busy_ms(8)
        dropped = ch.dropped
        ch.clear()
        assert await task is True and ch.dropped == dropped
    assert trials > 0


async def asend_cancelled_has_queued_nothing():
    ch = Channel(1, slot_size=_SLOT)
    for room_first in (False, True):
        ch.send(b"x", LOW)
        task = asyncio.create_task(ch.asend(b"y", LOW))
        await _settle()
        if room_first:
            assert _recv(ch) == b"x"
        task.cancel()
        assert await _outcome(task) == "cancelled"
        ch.clear()
    assert (ch.sent, ch.dropped) == (2, 0)


async def asend_is_false_for_what_can_never_be_queued():
    ch = Channel(1, slot_size=_SLOT)
    ch.send(b"x", LOW)
    assert await ch.asend(bytes(_SLOT + 1), LOW) is False  # at once, though the lane is full
    assert ch.rejected == 1
    tasks = [asyncio.create_task(ch.asend(b"y", LOW)) for _ in range(3)]
    await _settle()
    ch.close()
    for task in tasks:
        assert await task is False
    for timeout in (None, 0, 1):
        assert await ch.asend(b"y", LOW, timeout) is False
    assert (ch.sent, ch.dropped, ch.rejected) == (1, 0, 7) and _recv(ch) == b"x"


async def asend_raises_at_once_even_where_there_is_no_room():
    ch = PriorityChannel((1, 1, 1, 0, 1), slot_size=_SLOT)
    ch.send(b"x", HIGH)
    for data, priority, kind, text in (
        (7, HIGH, TypeError, "int"),
        ("text", HIGH, TypeError, "str"),
        (b"y", 5, ValueError, "5"),
        (b"y", -1, ValueError, "-1"),
        (b"y", LOW, ValueError, "class LOW has capacity 0"),
    ):
        try:
            await ch.asend(data, priority)
            raise AssertionError("no %s for %r, %r" % (kind, data, priority))
        except kind as error:
            assert text in str(error), error
    assert len(ch) == 1 and not ch.dropped and not ch.rejected


async def asend_to_nobody_is_0_at_once():
    ch = MulticastChannel(1, None, _SLOT, 1, 1)
    assert await ch.asend(b"x", NORMAL) == 0
    end = ch.add_receiver()
    assert await ch.asend(b"x", NORMAL) == 1
    task = asyncio.create_task(ch.asend(b"y", NORMAL))
    await _settle()
    assert not task.done()
    end.close()  # whom it waited for
    assert await task == 0
    assert not ch.dropped and not ch.rejected


class _Contended:
    # A guard that another context takes first, once.
    def __init__(self):
        self.other = None

    def enter(self):
        other, self.other = self.other, None
        if other:
            other()

    def leave(self, state):
        pass


async def asend_under_a_guard_waits_again_where_another_context_took_the_room():
    guard = _Contended()
    ch = Channel(1, _SLOT, send_guard=guard)
    guard.other = lambda: ch.send(b"other", NORMAL)
    task = asyncio.create_task(ch.asend(b"mine", NORMAL))
    await _settle()
    assert not task.done() and _recv(ch) == b"other"
    assert await task is True and _recv(ch) == b"mine"
    assert not ch.dropped  # what waited is not dropped


async def asend_under_a_guard_gives_up_in_time_however_often_it_was_woken():
    guard = _Contended()
    ch = Channel(1, _SLOT, send_guard=guard)
    taken = []

    def take():
        taken.append(ch.send(b"other", NORMAL))

    assert await ch.asend(b"first", NORMAL) is True
    task = asyncio.create_task(ch.asend(b"mine", NORMAL, 200))
    turns = 0
    while not task.done():
        turns += 1
        assert turns < 60, "its time started anew"
        await asyncio.sleep_ms(15)
        guard.other = take
        _recv(ch)
    assert await task is False and len(taken) > 1
    assert ch.dropped == 1  # its own last send


async def asend_under_a_guard_ends_with_the_channel():
    ch = Channel(1, _SLOT, send_guard=_Contended())
    assert await ch.asend(b"x", NORMAL) is True
    task = asyncio.create_task(ch.asend(b"y", NORMAL))
    await _settle()
    ch.close()
    assert await task is False
    assert ch.rejected == 1 and _recv(ch) == b"x" and not len(ch)


async def several_tasks_asend_each_message_once():
    each = 12 if ROOMY else 4
    ch = Channel(1, slot_size=_SLOT)

    async def fill(first):
        for i in range(each):
            assert await ch.asend(bytes((first + i,)), NORMAL) is True

    tasks = [asyncio.create_task(fill(each * n)) for n in range(4)]
    got = []
    for _ in range(4 * each):
        got.append((await _arecv(ch))[0][0])
    for task in tasks:
        await task
    assert sorted(got) == list(range(4 * each)), got
    for n in range(4):  # of one task in its order
        mine = [number for number in got if number // each == n]
        assert mine == sorted(mine)
    assert (ch.sent, ch.dropped, len(ch)) == (4 * each, 0, 0)


async def asend_to_several_receivers_waits_for_the_slowest():
    ch = MulticastChannel(1, slot_size=_SLOT, max_receivers=2)
    fast, slow = ch.add_receiver(), ch.add_receiver()
    assert await ch.asend(b"one", NORMAL, 0)
    assert _recv(fast) == b"one"
    task = asyncio.create_task(ch.asend(b"two", NORMAL))
    await _settle()
    assert not task.done()
    assert _recv(slow) == b"one"
    assert await task
    assert _recv(fast) == _recv(slow) == b"two" and not slow.dropped


async def asend_to_one_of_several_receivers_waits_until_all_are_full():
    ch = AnycastChannel(1, ROUND_ROBIN, slot_size=_SLOT, max_receivers=2)
    ends = [ch.add_receiver(), ch.add_receiver()]
    assert await ch.asend(b"one", NORMAL, 0) and await ch.asend(b"two", NORMAL, 0)
    task = asyncio.create_task(ch.asend(b"three", NORMAL))
    await _settle()
    assert not task.done() and _recv(ends[1]) == b"two"
    assert await task and _recv(ends[1]) == b"three" and _recv(ends[0]) == b"one"
    assert not ch.dropped


# select


async def select_returns_the_end_that_has_a_message():
    ends = _ends()
    for each in ends + ends[::-1]:
        task = asyncio.create_task(select(*[other.end for other in ends]))
        await _settle()
        assert not task.done()
        each.send(b"x")
        assert await task is each.end, each.title
        assert _recv(each.end) == b"x"


async def select_serves_busy_channels_in_turn():
    for count in (2, 3):
        ends = [Channel(4) for _ in range(count)]
        order = []
        for _ in range(4 * count):
            for ch in ends:
                ch.send_word(0, NORMAL)
            chosen = await select(*ends)
            order.append(ends.index(chosen))
            chosen.recv_word()
        first = order[:count]
        assert sorted(first) == list(range(count)), order
        assert order == first * 4, order


async def select_in_turn_whatever_the_order_of_its_arguments():
    a, b = Channel(1), Channel(1)
    a.send_word(0, NORMAL)
    b.send_word(0, NORMAL)
    chosen = []
    for i in range(6):
        chosen.append(await (select(a, b) if i & 1 else select(b, a)))
    assert chosen[:2] in ([a, b], [b, a]) and chosen == chosen[:2] * 3


async def select_is_in_turn_where_its_numbers_begin_anew():
    ends = [Channel(1) for _ in range(3)]
    for ch in ends:
        ch.send_word(0, NORMAL)
    order = []
    for _ in range(3):
        order.append(await select(*ends))
    kept, waiting._turn = waiting._turn, (1 << 30) - 5
    try:
        for i in range(3):
            order[i]._served = waiting._turn - 2 + i
        for i in range(12):
            assert await select(*ends) is order[i % 3], i
            assert 0 <= waiting._turn < 1 << 30
        assert waiting._turn == 7
    finally:
        waiting._turn = kept


async def select_passes_over_an_end_that_is_closed_and_drained():
    for each in _ends():
        silent = Channel(1)
        each.send(b"x")
        each.close()
        for ends in ((each.end, silent), (silent, each.end), (each.end,)):
            assert await select(*ends) is each.end, each.title  # it is not drained yet
        assert _recv(each.end) == b"x"
        for ends in ((each.end, silent), (silent, each.end)):
            assert await select(*ends, timeout_ms=1) is None, each.title
        task = asyncio.create_task(select(each.end, silent))
        await _settle()
        assert not task.done(), each.title
        silent.send_word(0, NORMAL)
        assert await task is silent
        silent.recv_word()
        for timeout in (None, 0, 1):
            assert await select(each.end, timeout_ms=timeout) is False, each.title
        task = asyncio.create_task(select(silent, each.end))
        await _settle()
        assert not task.done(), each.title
        silent.close()
        assert await task is False


async def select_looks_again_where_another_context_took_the_message():
    ch = Channel(1, _SLOT)
    looks = _contested(ch)
    task = asyncio.create_task(select(ch))
    while looks[0] < 4:
        await asyncio.sleep_ms(1)
    assert not task.done()
    ch.send(b"x", NORMAL)
    assert await task is ch and _recv(ch) == b"x"


async def select_gives_none_after_its_time_and_not_before():
    ends = [each.end for each in _ends()]
    for timeout in (0, 1, 3):
        start = time.ticks_ms()
        assert await select(*ends, timeout_ms=timeout) is None
        assert time.ticks_diff(time.ticks_ms(), start) >= timeout


async def a_wait_that_is_looked_at_long_after_its_time_ends():
    ends = [each.end for each in _ends()]
    waits = [wait for end in ends for wait in (end.ready(2), _arecv(end, 2))]
    waits.append(select(*ends, timeout_ms=2))
    tasks = [asyncio.create_task(wait) for wait in waits]
    await _settle()
    _busy_ms(20)
    for task in tasks:
        assert not await asyncio.wait_for_ms(task, 1000)


async def two_tasks_that_select_the_same_channels_both_get_messages():
    count = 40 if ROOMY else 12
    ends = [Channel(1), PriorityChannel(1), Channel(1)]
    got = []
    shares = [0, 0]

    async def take(number):
        while True:
            end = await select(*ends)
            if end is False:
                return
            m = end.recv_word()
            if m is None:
                continue  # the other was faster
            got.append(m[0])
            shares[number] += 1
            await asyncio.sleep_ms(0)

    tasks = [asyncio.create_task(take(number)) for number in range(2)]
    sent = 0
    while sent < count:
        for ch in ends:
            if sent < count and ch.send_word(sent, NORMAL):
                sent += 1
        await asyncio.sleep_ms(0)
    for ch in ends:
        while len(ch):
            await asyncio.sleep_ms(0)
        ch.close()
    for task in tasks:
        await task
    assert sorted(got) == list(range(count)), got
    assert min(shares) > 0, shares


async def one_task_waits_on_many_channels():
    ends = [Channel(2, slot_size=4) for _ in range(12)]
    got = []

    async def take():
        while len(got) < 36:
            m = (await select(*ends)).recv_word()
            if m is not None:
                got.append(m[0])

    task = asyncio.create_task(take())
    for i in range(36):
        assert ends[i * 5 % 12].send_word(i, NORMAL)
        if i % 12 == 11:
            await asyncio.sleep_ms(0)
            await asyncio.sleep_ms(2)
    await task
    assert sorted(got) == list(range(36))


async def select_names_what_it_cannot_wait_on():
    ch = Channel(1)
    for ends, timeout, kind, text in (
        ((), None, ValueError, "select needs"),
        ((ch, 7), None, TypeError, "not 7"),
        ((ch, "samples"), None, TypeError, "'samples'"),
        ((ch,), -1, ValueError, "timeout_ms must be 0 to"),
        ((ch,), 1.5, TypeError, "timeout_ms must be an int, not 1.5"),
    ):
        try:
            await select(*ends, timeout_ms=timeout)
            raise AssertionError("no %s for %r" % (kind, ends))
        except kind as error:
            assert text in str(error), error


async def a_time_out_that_is_none_is_named_whatever_there_is():
    empty = Channel(1)
    full = Channel(1)
    full.send_word(0, NORMAL)
    closed = Channel(1)
    closed.close()
    for timeout, kind, text in (
        (-1, ValueError, "timeout_ms must be 0 to 536870911, not -1"),
        (1 << 29, ValueError, "not 536870912"),
        (0.5, TypeError, "timeout_ms must be an int, not 0.5"),
        (True, TypeError, "not True"),
        ("x", TypeError, "not 'x'"),
        (b"", TypeError, "not b''"),
    ):
        for ch in (empty, full, closed):
            raises(kind, text, ch.ready, timeout)
            raises(kind, text, ch.recv_wait, bytearray(4), timeout)
            raises(kind, text, ch.recv_wait, 7, timeout)  # before it looks at anything else
            for wait in (
                ch.arecv(bytearray(4), timeout),
                ch.arecv_word(timeout),
                ch.asend(b"x", NORMAL, timeout),
                ch.asend(7, 9, timeout),
                select(ch, timeout_ms=timeout),
                select(timeout_ms=timeout),
            ):
                try:
                    await wait
                    raise AssertionError("no %s for %r" % (kind, timeout))
                except kind as error:
                    assert text in str(error), error
    assert len(full) == 1 and not len(empty) and not empty.sent and not full.dropped
    assert await empty.ready(0) is None  # and it can be waited on as before


# close


async def close_ends_every_wait():
    for each in _ends():
        tasks = [asyncio.create_task(each.end.ready()) for _ in range(2)]
        tasks += [asyncio.create_task(_arecv(each.end)) for _ in range(2)]
        tasks += [asyncio.create_task(select(each.end)) for _ in range(2)]
        tasks.append(asyncio.create_task(_arecv(each.end, PATIENCE_MS)))
        await _settle()
        assert not [task for task in tasks if task.done()], each.title
        each.close()
        got = []
        for task in tasks:
            got.append(await task)
        for outcome in got:
            assert outcome is False, (each.title, got)
        for timeout in (None, 0, 1):
            assert await each.end.ready(timeout) is False, each.title
            assert await _arecv(each.end, timeout) is False, each.title
            assert each.end.recv_wait(bytearray(_SLOT), timeout) is False, each.title


async def a_loop_of_any_wait_ends_with_the_channel():
    for each in _ends():
        for wait in ("ready", "arecv", "recv_wait", "select"):
            ends = [other for other in _ends(2) if other.title == each.title]
            each = ends[0]
            end = each.end
            buf = bytearray(_SLOT)
            got = []
            if wait != "recv_wait":
                task = asyncio.create_task(_send_two_and_close(each))
            else:
                await _send_two_and_close(each)
            if wait == "ready":
                while await end.ready():
                    got.append(_recv(end))
            elif wait == "arecv":
                while m := await end.arecv(buf):
                    got.append(bytes(buf[: m[0]]))
            elif wait == "recv_wait":
                while m := end.recv_wait(buf):
                    got.append(bytes(buf[: m[0]]))
            else:
                while chosen := await select(end):
                    got.append(_recv(chosen))
            assert got == [b"one", b"two"], (each.title, wait, got)
            if wait != "recv_wait":
                await task


async def _send_two_and_close(each):
    await _settle()
    each.send(b"one")
    each.send(b"two")
    await _settle()
    each.close()


async def what_is_queued_comes_before_the_end():
    for each in _ends():
        each.send(b"one")
        each.send(b"two")
        each.close()
        assert (await _arecv(each.end))[0] == b"one", each.title
        assert (await _arecv(each.end, 0))[0] == b"two", each.title
        assert await _arecv(each.end) is False and await _arecv(each.end, 0) is False


async def a_receiver_that_closes_wakes_its_own_tasks_only():
    for ch in (
        MulticastChannel(2, slot_size=_SLOT, max_receivers=2),
        AnycastChannel(2, ROUND_ROBIN, slot_size=_SLOT, max_receivers=2),
    ):
        closing, staying = ch.add_receiver(), ch.add_receiver()
        task = asyncio.create_task(_arecv(closing))
        ready = asyncio.create_task(closing.ready(PATIENCE_MS))
        chosen = asyncio.create_task(select(closing))
        either = asyncio.create_task(select(closing, staying))
        other = asyncio.create_task(_arecv(staying))
        await _settle()
        closing.close()
        for wait in (task, ready, chosen):
            assert await wait is False
        for again in range(2):
            for timeout in (None, 0, 1):
                assert await _arecv(closing, timeout) is False
                assert await closing.ready(timeout) is False
                assert await select(closing, timeout_ms=timeout) is False
                assert closing.recv_wait(bytearray(_SLOT), timeout) is False
            if not again:
                assert not other.done() and not either.done()
                assert ch.send(b"x", NORMAL)
                assert (await other)[0] == b"x"
                assert ch.send(b"y", NORMAL)
                assert await either is staying and _recv(staying) == b"y"
                ch.close()  # and the same where its channel is closed, too
        assert await staying.ready() is False


async def a_receiver_that_closes_with_messages_unread_has_none_for_its_tasks():
    ch = MulticastChannel(2, slot_size=_SLOT, max_receivers=2)
    end = ch.add_receiver()
    waits = [_arecv(end), _ready(end), select(end)]
    tasks = [asyncio.create_task(wait) for wait in waits]
    await _settle()
    ch.send(b"x", NORMAL)
    assert end.close() == 1  # the tasks have not run since
    for task in tasks:
        assert await task is False


async def notify_is_harmless():
    for each in _ends():
        task = asyncio.create_task(_arecv(each.end))
        for _ in range(3):
            each.channel.notify()
            await asyncio.sleep_ms(0)
        assert not task.done()
        each.send(b"x")
        each.channel.notify()
        assert (await task)[0] == b"x"


# recv_wait


async def recv_wait_gives_what_recv_would():
    buf = bytearray(_SLOT)
    for each in _ends():
        for timeout in (None, 0, 1000):
            each.send(b"hello")
            m = each.end.recv_wait(buf, timeout)
            assert m[0] == 5 and buf[:5] == b"hello", each.title
        for timeout in (0, 1, 3):
            start = time.ticks_ms()
            assert each.end.recv_wait(buf, timeout) is None, each.title
            assert time.ticks_diff(time.ticks_ms(), start) >= timeout
        each.send(b"hello")
        raises(ValueError, "buffer of 2", each.end.recv_wait, bytearray(2))
        raises(TypeError, "writable", each.end.recv_wait, b"constant")
        each.close()
        assert each.end.recv_wait(buf)[0] == 5
        assert each.end.recv_wait(buf) is False and each.end.recv_wait(buf, 5) is False


async def recv_wait_allocates_nothing_from_the_second_on():
    buf = bytearray(_SLOT)
    for each in _ends():
        for timeout in (0, 2):
            assert each.end.recv_wait(buf, timeout) is None
        each.send(b"hello")
        assert each.end.recv_wait(buf)[0] == 5
        each.send(b"again")
        micropython.heap_lock()
        try:
            m = each.end.recv_wait(buf)
            size = m[0]
            late = each.end.recv_wait(buf, 2)
            later = each.end.recv_wait(buf, 0)
        finally:
            micropython.heap_unlock()
        assert size == 5 and buf[:5] == b"again" and late is None and later is None, each.title


async def recv_wait_sleeps_between_its_looks():
    buf = bytearray(_SLOT)
    for timeout in (None, PATIENCE_MS):
        ch = Channel(1, _SLOT)

        def send_late(number, found, ch=ch):
            return found or number == 100 and ch.send(b"hello", NORMAL)

        _spied(ch, send_late)
        start = time.ticks_ms()
        assert ch.recv_wait(buf, timeout)[0] == 5
        # A millisecond each; without sleep it is much less. On a chip any interrupt ends a sleep.
        assert time.ticks_diff(time.ticks_ms(), start) >= (50 if _HOST else 0)


# Memory


async def _bytes_each(rounds, prepare, wait):
    # What a wait allocates; `prepare` is called before each, in a task of its own after it has
    # blocked if that is what it is for.
    gc.collect()
    gc.disable()
    start = gc.mem_alloc()
    for _ in range(rounds):
        prepare()
        await wait()
    used = gc.mem_alloc() - start
    gc.enable()
    return used // rounds


async def what_a_wait_allocates_is_bounded():
    if not MICROPYTHON:
        return
    ch = Channel(1, slot_size=_SLOT)
    other = Channel(1, slot_size=_SLOT)
    buf = bytearray(_SLOT)
    wake = [False]

    async def waker():
        while True:
            if wake[0]:
                wake[0] = False
                ch.send_word(0, NORMAL)
            elif wake[0] is None:
                ch.clear()
                wake[0] = False
            await asyncio.sleep_ms(1)

    def now():
        ch.send_word(0, NORMAL)

    def later():
        ch.clear()
        wake[0] = True

    def full():
        ch.send_word(0, NORMAL)
        wake[0] = None

    def empty():
        ch.clear()

    task = asyncio.create_task(waker())
    notes = []
    word = 8 if sys.maxsize > 1 << 32 else 4
    # asyncio knows streams by their id(), which it allocates where it is no small int.
    ids = 48 if word == 4 and id(ch) > 0x3FFFFFFF else 0
    rounds = 20 if ROOMY else 5
    # Bytes by name, and the most it may be, in words of the machine.
    for title, prepare, wait, most in (
        ("ready, queued", now, lambda: ch.ready(), 32),
        ("ready, woken", later, lambda: ch.ready(), 64),
        ("ready, late", empty, lambda: ch.ready(1), 128),
        ("arecv, queued", now, lambda: ch.arecv(buf), 32),
        ("arecv, woken", later, lambda: ch.arecv(buf), 80),
        ("arecv, late", empty, lambda: ch.arecv(buf, 1), 160),
        ("arecv_word, queued", now, lambda: ch.arecv_word(), 32),
        ("arecv_word, woken", later, lambda: ch.arecv_word(), 80),
        ("arecv_word, late", empty, lambda: ch.arecv_word(1), 160),
        ("select, queued", now, lambda: select(ch, other), 136),
        ("select, woken", later, lambda: select(ch, other), 160),
        ("select, late", empty, lambda: select(ch, other, timeout_ms=1), 240),
        ("asend, room", empty, lambda: ch.asend(b"data", NORMAL), 88),
        ("asend, waits", full, lambda: ch.asend(b"data", NORMAL), 176),
    ):
        await _bytes_each(2, prepare, wait)
        used = await _bytes_each(rounds, prepare, wait)
        notes.append("%s: %d" % (title, used))
        if prepare in (later, full):
            most += ids
        assert used <= most * word, (title, used)
    task.cancel()
    return "bytes a wait: " + "; ".join(notes)


async def memory_does_not_grow_with_the_waits():
    ends = _ends()
    rounds = 120 if ROOMY else 8
    waits = 0
    sizes = []
    buf = bytearray(_SLOT)
    for turn in range(rounds):
        each = ends[turn % len(ends)]
        end = each.end
        end.ready()  # which nobody awaits
        for _ in range(4):
            assert await end.ready(0) is None
            assert await end.arecv(buf, 0) is None
            assert await select(end, timeout_ms=0) is None
        late = [
            asyncio.create_task(wait)
            for wait in (end.ready(1), end.arecv(buf, 1), select(end, timeout_ms=1))
        ]
        gone = [
            asyncio.create_task(wait)
            for wait in (
                end.ready(PATIENCE_MS),
                end.arecv(buf, PATIENCE_MS),
                select(end),
                asyncio.wait_for_ms(end.ready(), PATIENCE_MS),
            )
        ]
        await asyncio.sleep_ms(0)
        for task in gone:
            task.cancel()
        for task in gone:
            assert await _outcome(task) == "cancelled"
        for task in late:
            assert not await task
        woken = [
            asyncio.create_task(wait)
            for wait in (
                end.ready(),
                end.ready(PATIENCE_MS),
                end.ready(PATIENCE_MS),
                select(end, timeout_ms=PATIENCE_MS),
            )
        ]
        await asyncio.sleep_ms(0)
        each.send(b"x")
        for task in woken:
            assert await task
        assert end.recv_wait(buf)[0] == 1
        waits += 12 + len(late) + len(gone) + len(woken) + 2
        late = gone = woken = task = None
        if turn % len(ends) == 0:
            gc.collect()
            sizes.append(gc.mem_alloc())
    assert waits >= 25 * rounds, waits
    if MICROPYTHON:
        grown = sizes[-1] - sizes[min(4, len(sizes) // 2)]
        assert grown < 4096, sizes
        return "%d waits, %d bytes more" % (waits, grown)
