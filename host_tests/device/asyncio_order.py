"""Every way in which tasks wait, end and are cancelled: it prints in which order they ran."""

import asyncio

out = []


def note(*a):
    out.append(a)


async def worker(name, n, ms):
    try:
        for i in range(n):
            note(name, i)
            await asyncio.sleep_ms(ms)
        return name
    except asyncio.CancelledError:
        note(name, "cancelled")
        raise


async def fails():
    await asyncio.sleep_ms(5)
    raise ValueError("x")


async def locked(lock, name):
    async with lock:
        note("lock", name)
        await asyncio.sleep_ms(10)
    note("unlock", name)


async def setter(event, flag):
    await asyncio.sleep_ms(20)
    event.set()
    note("event set")
    await asyncio.sleep_ms(20)
    flag.set()
    note("flag set")


async def waits(event, name):
    await event.wait()
    note(name, "event")


async def flagged(flag):
    await flag.wait()
    note("flag")


async def inner():
    try:
        await asyncio.sleep_ms(1000)
    except asyncio.CancelledError:
        note("inner cancelled")
        raise


async def outer():
    t = asyncio.create_task(inner())
    try:
        await t
    except asyncio.CancelledError:
        note("outer got it")
        raise


async def main():
    ts = [asyncio.create_task(worker(c, 3, 10)) for c in "abcd"]
    note("made")
    await asyncio.sleep_ms(0)
    note("after 0")
    await ts[0]
    note("a done", ts[1].done())
    r = await asyncio.gather(worker("g", 2, 10), worker("h", 1, 10))
    note(r)
    r = await asyncio.gather(fails(), worker("k", 2, 10), return_exceptions=True)
    note([type(x).__name__ if isinstance(x, Exception) else x for x in r])
    try:
        await asyncio.gather(fails(), worker("m", 3, 10))
    except ValueError as e:
        note("gather raised", e)
    await asyncio.sleep_ms(50)
    try:
        await asyncio.wait_for_ms(worker("slow", 9, 10), 25)
    except asyncio.TimeoutError:
        note("timeout")
    note(await asyncio.wait_for_ms(worker("fast", 1, 10), 250))
    try:
        await asyncio.wait_for(fails(), 1)
    except ValueError:
        note("raised through")
    lock = asyncio.Lock()
    await asyncio.gather(*[locked(lock, i) for i in range(3)])
    event, flag = asyncio.Event(), asyncio.ThreadSafeFlag()
    await asyncio.gather(setter(event, flag), waits(event, 1), waits(event, 2), flagged(flag))
    t = asyncio.create_task(outer())
    await asyncio.sleep_ms(10)
    note(t.cancel())
    try:
        await t
    except asyncio.CancelledError:
        note("task cancelled")
    note(t.cancel(), t.done())

    async def selfie():
        try:
            asyncio.current_task().cancel()
        except RuntimeError as e:
            note(str(e))

    await selfie()
    w = asyncio.create_task(asyncio.wait_for_ms(worker("w", 100, 10), 500))
    await asyncio.sleep_ms(15)
    w.cancel()
    try:
        await w
    except asyncio.CancelledError:
        note("wait_for cancelled")

    async def gathering():
        await asyncio.gather(worker("x", 100, 10), worker("y", 100, 10))

    w = asyncio.create_task(gathering())
    await asyncio.sleep_ms(15)
    w.cancel()
    try:
        await w
    except asyncio.CancelledError:
        note("gather cancelled")
    await asyncio.sleep_ms(5)

    def gen():
        note("gen")
        yield from asyncio.sleep_ms(3)
        return 5

    note(await gen())
    asyncio.create_task(fails())

    def handler(loop, context):
        note(context["message"], type(context["exception"]).__name__)

    asyncio.get_event_loop().set_exception_handler(handler)
    await asyncio.sleep_ms(20)
    return "end"


note(asyncio.run(main()))
for o in out:
    print(*o)
