"""A program for test_remote.py, with channels of all kinds open to a host, and a link."""

import asyncio

import ringlane.link
import ringlane.remote
from ringlane import (
    HIGH,
    Channel,
    MulticastChannel,
    PriorityChannel,
    Recorder,
    RequestReplyChannel,
)


def make():
    """Return the channels, by name."""
    made = {
        "adc": Channel(16, slot_size=4, name="adc", tap=Recorder(64, head=4)),
        "there": Channel(64, slot_size=40, senders=2, name="there"),
        "back": Channel(64, slot_size=40, name="back"),
        "jobs": PriorityChannel((2, 0, 2, 0, 2), slot_size=600, senders=2, name="jobs"),
        "news": MulticastChannel(4, slot_size=8, senders=2, max_receivers=2, name="news"),
        "motor": RequestReplyChannel(4, slot_size=16, name="motor"),
        "ask": RequestReplyChannel(4, slot_size=16, name="ask"),
        "plain": Channel(4, name="plain"),
    }
    for name in ("there", "jobs", "news", "motor"):
        ringlane.remote.accept(made[name])
    for name in ("back", "news", "ask"):
        ringlane.remote.forward(made[name])
    return made


async def sample(ch):
    n = 0
    while True:
        ch.send_word(n, HIGH)
        ch.recv_word()
        n += 1
        await asyncio.sleep_ms(20)


async def echo(there, back):
    buf = bytearray(40)
    while m := await there.arecv(buf):
        await back.asend(bytes(buf[: m[0]]), m[1])


async def work(jobs):
    buf = bytearray(600)
    while m := await jobs.arecv(buf):
        print("job", m[0], m[1], sum(buf[: m[0]]))
        await asyncio.sleep_ms(20)


async def ask(channel):
    buf = bytearray(16)
    while True:
        try:
            size, status, _ = await channel.call(b"what?", buf, 500)
            print("asked", status, bytes(buf[:size]))
        except OSError as error:
            print(error.errno)
        await asyncio.sleep_ms(100)


async def run(everything):
    made = make()
    asyncio.create_task(echo(made["there"], made["back"]))
    asyncio.create_task(made["motor"].serve(lambda request: (7, bytes(request) + b"!")))
    if everything:
        asyncio.create_task(sample(made["adc"]))
        asyncio.create_task(work(made["jobs"]))
        asyncio.create_task(ask(made["ask"]))
    await ringlane.link.serve()


def main(everything=True):
    asyncio.run(run(everything))
