"""RequestReplyChannel's waiting sides, call and serve, in tasks of one event loop.

tasks.py runs it.
"""

import asyncio
import errno

import ringlane.waiting as waiting
from harness import MICROPYTHON, PATIENCE_MS, ROOMY
from ringlane import RequestReplyChannel
from ringlane.request_reply import FAILED


def upper(request):
    return bytes(request).upper()


async def _fails(number, words, awaitable):
    """Await it; it must raise the OSError of that number with the words in its text."""
    try:
        got = await awaitable
    except OSError as error:
        assert error.args[0] == number, repr(error)
        for word in words:
            assert word in str(error.args[1]), (word, error)
    else:
        raise AssertionError("%r and no error" % (got,))


def is_idle(ch):
    """No id is taken, and as many requests as ever can be made: none once it is closed."""
    return ch.pending == 0 and ch.free() == (0 if ch.closed else ch.capacity)


async def a_call_is_answered():
    ch = RequestReplyChannel(2, 16)
    server = asyncio.create_task(ch.serve(upper))
    buf = bytearray(16)
    for text in (b"", b"a", b"sixteen bytes ok"):
        size, status, latency = await ch.call(text, buf, PATIENCE_MS)
        assert bytes(buf[:size]) == text.upper() and status == 0 and latency >= 0
    result = await ch.call(b"no limit", buf)
    assert bytes(buf[: result[0]]) == b"NO LIMIT"
    await ch.call(b"next", buf)
    assert result[:2] == (8, 0)  # a call's result is its own
    assert is_idle(ch) and ch.answered == 5 and ch.stats().count == 5
    ch.close()
    await server  # ends


async def many_tasks_call_at_once_and_each_gets_its_own_answer():
    ch = RequestReplyChannel(3, 16)
    server = asyncio.create_task(ch.serve(upper))
    tasks, rounds = (20, 5) if ROOMY else (7, 2)
    done = []

    async def client(name):
        buf = bytearray(16)
        for number in range(rounds):
            text = b"task%d-%d" % (name, number)
            size, status, _ = await ch.call(text, buf, PATIENCE_MS)
            assert bytes(buf[:size]) == text.upper() and status == 0, (text, bytes(buf))
            done.append(text)

    await asyncio.gather(*[client(name) for name in range(tasks)])
    assert len(set(done)) == len(done) == tasks * rounds == ch.answered, done
    assert is_idle(ch) and ch.dropped == 0 == ch.late, ch
    ch.close()
    await server


async def a_handler_may_reply_in_many_ways():
    ch = RequestReplyChannel(2, 8)

    async def slowly(reply):
        await asyncio.sleep_ms(1)
        return reply

    async def slowly_failing():
        await asyncio.sleep_ms(1)
        raise ValueError("told to, later")

    def handler(request):
        what = bytes(request)
        assert isinstance(request, memoryview)
        if what == b"raise":
            raise ValueError("told to")
        if what == b"later":
            return slowly_failing()
        if what == b"await":
            return slowly((7, b"awaited"))
        if what == b"await0":
            return slowly(None)
        return replies[what]

    replies = {
        b"bytes": b"bytes",
        b"array": bytearray(b"array"),
        b"view": memoryview(b"xviewx")[1:5],
        b"empty": b"",
        b"none": None,
        b"int": 200,
        b"zero": 0,
        b"pair": (255, b"pair"),
        b"largest": b"12345678",
        b"large": b"123456789",
        b"large2": (3, bytes(70)),
        b"status": 256,
        b"minus": -1,
        b"status2": (256, b"x"),
        b"true": True,
        b"str": "text",
        b"float": 1.5,
        b"triple": (1, b"x", 2),
        b"wrong": (1, None),
    }
    expected = (
        (b"bytes", 0, b"bytes"),
        (b"array", 0, b"array"),
        (b"view", 0, b"view"),
        (b"empty", 0, b""),
        (b"none", 0, b""),
        (b"int", 200, b""),
        (b"zero", 0, b""),
        (b"pair", 255, b"pair"),
        (b"largest", 0, b"12345678"),
        (b"await", 7, b"awaited"),
        (b"await0", 0, b""),
        (b"raise", FAILED, b""),
        (b"later", FAILED, b""),
        (b"large", FAILED, b""),
        (b"large2", FAILED, b""),
        (b"status", FAILED, b""),
        (b"minus", FAILED, b""),
        (b"status2", FAILED, b""),
        (b"true", FAILED, b""),
        (b"str", FAILED, b""),
        (b"float", FAILED, b""),
        (b"triple", FAILED, b""),
        (b"wrong", FAILED, b""),
        (b"bytes", 0, b"bytes"),  # and the server goes on
    )
    server = asyncio.create_task(ch.serve(handler))
    buf = bytearray(8)
    printed = _Silence()
    try:
        for text, status, reply in expected:
            size, got, _ = await ch.call(text, buf, PATIENCE_MS)
            assert (got, bytes(buf[:size])) == (status, reply), (text, got, bytes(buf[:size]))
    finally:
        printed.end()
    failed = sum(status == FAILED and not reply for _, status, reply in expected)
    assert len(printed.errors) == failed == 12, printed.errors
    assert isinstance(printed.errors[0], ValueError) and "told to" in str(printed.errors[0])
    texts = [str(error) for error in printed.errors]
    assert "reply of 9 bytes is larger than a slot of 8" in texts, texts
    assert "status must be 0 to 255, not 256" in texts, texts
    assert is_idle(ch) and ch.answered == len(expected) and ch.rejected == 0
    ch.close()
    await server


class _Silence:
    # What serve prints, as a list: sys.print_exception is for people to read.

    def __init__(self):
        from ringlane import calls

        self.module = calls
        self.before = calls.sys
        self.errors = []
        calls.sys = self

    def print_exception(self, error):
        self.errors.append(error)

    def end(self):
        self.module.sys = self.before


async def a_dead_server_is_a_timeout_that_names_the_channel():
    ch = RequestReplyChannel(2, 8, "motor")
    buf = bytearray(8)
    for i in range(3 * ch.capacity):
        # Requests that nobody reads fill the lane; from then on there is no room for another.
        said = "no reply in 3 ms" if i < ch.capacity else "no room for a request in 3 ms"
        await _fails(errno.ETIMEDOUT, ("RequestReplyChannel 'motor'", said), ch.call(b"?", buf, 3))
        assert ch.pending == 0, "the id is not free"
    await _fails(errno.ETIMEDOUT, ("motor", "0 ms"), ch.call(b"?", buf, 0))
    assert ch.answered == 0 and ch.stats().count == 0
    # A server that comes back passes over what was given up.
    seen = []

    def handler(request):
        seen.append(bytes(request))
        return b"back"

    server = asyncio.create_task(ch.serve(handler))
    size, _, _ = await ch.call(b"!", buf, PATIENCE_MS)
    assert bytes(buf[:size]) == b"back" and seen == [b"!"] and is_idle(ch)
    ch.close()
    await server


async def a_server_that_reads_but_is_too_slow_is_a_timeout_each_time():
    ch = RequestReplyChannel(2, 8, "slow")
    buf = bytearray(8)
    late = 3 * ch.capacity
    while ch.late < late:
        call = asyncio.create_task(_fails(errno.ETIMEDOUT, ("slow",), ch.call(b"?", buf, 3)))
        m = await ch.arecv(bytearray(8), 100)
        await call
        assert is_idle(ch), ch
        if m is None:
            continue  # a host so busy that the time was up before the server read
        before = ch.late
        assert ch.send_response(m[1], b"late") is False and ch.late == before + 1
    server = asyncio.create_task(ch.serve(upper))
    size, _, _ = await ch.call(b"now", buf, PATIENCE_MS)
    assert bytes(buf[:size]) == b"NOW" and ch.late == late
    ch.close()
    await server


async def a_call_that_is_cancelled_frees_its_id():
    ch = RequestReplyChannel(1, 8)
    buf = bytearray(8)
    for i in range(3):
        call = asyncio.create_task(ch.call(b"gone", buf, PATIENCE_MS if i else None))
        # One that waits for room beside it.
        other = asyncio.create_task(ch.call(b"gone", buf, PATIENCE_MS if i else None))
        while not ch.pending:
            await asyncio.sleep_ms(1)
        for task in (other, call):
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            else:
                raise AssertionError("not cancelled")
        assert ch.pending == 0 and ch.recv_request(buf) is None and is_idle(ch)
    try:
        await asyncio.wait_for_ms(ch.call(b"gone", buf), 3)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("no timeout")
    assert ch.pending == 0 and ch.recv_request(buf) is None and is_idle(ch)
    server = asyncio.create_task(ch.serve(upper))
    size, _, _ = await ch.call(b"here", buf, PATIENCE_MS)
    assert bytes(buf[:size]) == b"HERE" and ch.answered == 1
    ch.close()
    await server


async def closing_ends_calls_and_the_server():
    ch = RequestReplyChannel(2, 8, "closing")
    buf = bytearray(8)
    reset = (errno.ECONNRESET, ("RequestReplyChannel 'closing' is closed",))
    # Two wait for a reply, a third for room.
    calls = []
    for limit in (None, PATIENCE_MS, None):
        calls.append(asyncio.create_task(_fails(*reset, ch.call(b"?", bytearray(8), limit))))
    while ch.pending < 2:
        await asyncio.sleep_ms(1)
    ch.close()
    await asyncio.gather(*calls)
    assert ch.pending == 0
    await _fails(*reset, ch.call(b"?", buf))
    await _fails(*reset, ch.call(b"?", buf, 5))
    await ch.serve(upper)  # nothing to do, so it ends
    assert ch.answered == 0 and len(ch) == 0


async def a_reply_that_came_before_close_is_taken():
    ch = RequestReplyChannel(1, 8)
    buf = bytearray(8)
    task = asyncio.create_task(ch.call(b"?", buf, PATIENCE_MS))
    while not len(ch):
        await asyncio.sleep_ms(1)
    _, id, _ = ch.recv_request(bytearray(8))
    ch.send_response(id, b"answer")
    ch.close()
    size, _, _ = await task
    assert buf[:size] == b"answer" and is_idle(ch)


async def a_request_cancelled_by_another_ends_its_call():
    ch = RequestReplyChannel(1, 8)
    task = asyncio.create_task(ch.call(b"?", bytearray(8), PATIENCE_MS))
    while not len(ch):
        await asyncio.sleep_ms(1)
    _, id, _ = ch.recv_request(bytearray(8))
    assert ch.cancel(id) is True
    try:
        await task
    except ValueError as error:
        assert "request %d is not outstanding" % id in str(error), error
    else:
        raise AssertionError("no error")


async def a_call_leaves_no_task_behind():
    ch = RequestReplyChannel(1, 8)
    before = () if MICROPYTHON else asyncio.all_tasks()
    server = asyncio.create_task(ch.serve(upper))
    await ch.call(b"x", bytearray(8), PATIENCE_MS)
    await asyncio.sleep_ms(1)
    if not MICROPYTHON:
        assert asyncio.all_tasks() - before == {server}
    ch.close()
    await server


async def a_server_answers_what_is_queued_when_the_channel_closes():
    ch = RequestReplyChannel(3, 8)
    ids = [ch.send_request(b"%d" % number) for number in range(3)]
    ch.cancel(ids[1])
    seen = []

    def handler(request):
        seen.append(bytes(request))
        return request

    ch.close()
    await ch.serve(handler)
    assert seen == [b"0", b"2"], seen
    buf = bytearray(8)
    for number in (2, 0):
        assert ch.recv_response(ids[number], buf)[0] == 1 and buf[:1] == b"%d" % number
    assert ch.pending == 0


async def bad_input_is_an_error_at_once_and_takes_no_id():
    ch = RequestReplyChannel(1, 8)
    buf = bytearray(8)
    for kind, text, data, room, limit in (
        (ValueError, "message of 9 bytes is larger than a slot of 8", b"123456789", buf, 5),
        (TypeError, "or array, not str", "text", buf, 5),
        (TypeError, "NoneType", None, buf, 5),
        (ValueError, "receive buffer of 7 bytes, slot_size=8", b"x", bytearray(7), 5),
        (TypeError, "receive buffer must be writable, not bytes", b"x", bytes(8), 5),
        (TypeError, "NoneType", b"x", None, 5),
        (ValueError, "timeout_ms must be 0 to", b"x", buf, -1),
        (TypeError, "timeout_ms must be an int, not '5'", b"x", buf, "5"),
    ):
        for wait in (False, True):
            try:
                if wait:
                    ch.call_wait(data, room, limit)
                else:
                    await ch.call(data, room, limit)
            except kind as error:
                assert text in str(error), (text, error)
            else:
                raise AssertionError("no error: " + text)
            assert is_idle(ch) and len(ch) == 0 and ch.rejected == 0 == ch.dropped


async def call_wait_and_serve_wait_do_the_same_without_asyncio():
    ch = RequestReplyChannel(2, 8, "blocking")
    buf = bytearray(8)
    for i in range(3 * ch.capacity):
        try:
            ch.call_wait(b"?", buf, 3)
        except OSError as error:
            assert error.args[0] == errno.ETIMEDOUT and "'blocking'" in error.args[1], error
        else:
            raise AssertionError("no error")
        assert ch.pending == 0, i
    assert ch.recv_request(buf) is None and is_idle(ch)
    seen = []

    def handler(request):
        seen.append(bytes(request))
        if request[0] == ord("!"):
            raise KeyError("told to")
        return (5, request)

    ids = [ch.send_request(b"one"), ch.send_request(b"!")]
    ch.close()
    printed = _Silence()
    try:
        ch.serve_wait(handler)
    finally:
        printed.end()
    assert seen == [b"one", b"!"] and len(printed.errors) == 1
    assert list(ch.recv_response(ids[1], buf))[:2] == [0, FAILED]
    assert list(ch.recv_response(ids[0], buf))[:2] == [3, 5] and buf[:3] == b"one"
    try:
        ch.call_wait(b"?", buf)
    except OSError as error:
        assert error.args[0] == errno.ECONNRESET and "'blocking' is closed" in error.args[1]
    else:
        raise AssertionError("no error")


async def an_interrupted_call_frees_its_id():
    ch = RequestReplyChannel(1, 8)
    block = waiting.Waiter.block

    def interrupted(waiter, deadline):
        raise KeyboardInterrupt

    waiting.Waiter.block = interrupted
    try:
        ch.call_wait(b"?", bytearray(8))
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("no error")
    finally:
        waiting.Waiter.block = block
    assert ch.pending == 0
    # Two calls' results, of a server between them.
    ids = []

    def answer(waiter, deadline):
        ids.append(ch.recv_request(bytearray(8))[1])
        assert ch.send_response(ids[-1], b"x" * len(ids))

    ch.recv_request(bytearray(8))
    waiting.Waiter.block = answer
    try:
        first = ch.call_wait(b"?", bytearray(8))
        second = ch.call_wait(b"?", bytearray(8))
    finally:
        waiting.Waiter.block = block
    assert first[:2] == (1, 0) and second[:2] == (2, 0)


async def the_server_can_wait_by_itself():
    ch = RequestReplyChannel(2, 8)
    buf = bytearray(8)
    assert await ch.ready(2) is None and await ch.arecv(buf, 2) is None
    assert ch.recv_wait(buf, 2) is None
    ids = []

    async def client():
        await asyncio.sleep_ms(2)
        ids.append(ch.send_request(b"abc"))

    task = asyncio.create_task(client())
    assert await ch.ready(PATIENCE_MS) is True
    size, id, _ = await ch.arecv(buf, PATIENCE_MS)
    await task
    assert [id] == ids and bytes(buf[:size]) == b"abc"
    ch.send_request(b"de")
    assert ch.recv_wait(buf, PATIENCE_MS)[0] == 2
    # A request that is given up wakes nobody for good.
    ch.cancel(id)
    waiting = asyncio.create_task(ch.arecv(buf, 20))
    gone = ch.send_request(b"gone")
    ch.cancel(gone)
    assert await waiting is None
    ch.close()
    assert await ch.ready() is False and await ch.arecv(buf) is False


async def many_calls_all_come_back():
    ch = RequestReplyChannel(4, 8)
    count = 600 if ROOMY else 40
    held = []

    async def server():
        # By hand, and in another order.
        buf = bytearray(8)
        while m := await ch.arecv(buf):
            size, id, _ = m
            held.append((id, bytes(buf[:size])))
            if len(held) > 2 or ch.pending < 3:
                while held:
                    id, text = held.pop()
                    ch.send_status(id, text.upper(), len(text))

    serving = asyncio.create_task(server())

    async def client(name):
        buf = bytearray(8)
        for number in range(name, count, 5):
            text = b"c%d" % number
            while True:
                try:
                    size, status, _ = await ch.call(text, buf, 15)
                except OSError as error:
                    assert error.args[0] == errno.ETIMEDOUT, error
                    continue  # the server keeps the last ones back
                break
            assert bytes(buf[:size]) == text.upper() and status == len(text)

    await asyncio.gather(*[client(name) for name in range(5)])
    assert is_idle(ch) and ch.answered == count, ch
    ch.close()
    await serving
