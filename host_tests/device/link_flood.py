"""A program for test_link.py: so many messages through a tapped channel, and a link over stdin."""

import asyncio

import ringlane.link
from ringlane import NORMAL, Channel, Recorder


def word_of(number):
    """Return what the message of that number holds."""
    return number * 40503 & 0x3FFFFFFF


async def flood(count, burst):
    recorder = Recorder(events=256, head=4)
    ch = Channel(64, slot_size=4, name="flood", tap=recorder, stats=True)
    quiet = Channel(2, name="quiet")
    quiet.send(b"hello", NORMAL)
    task = asyncio.create_task(ringlane.link.serve())
    await asyncio.sleep_ms(300)
    while ch.sent < count:
        for _ in range(min(burst, count - ch.sent)):
            ch.send_word(word_of(ch.sent), NORMAL)
        while ch.recv_word():
            pass
        if not ch.sent % 1000:
            print("sent", ch.sent)
        await asyncio.sleep_ms(2)
    print("all sent")
    await task  # until the host has seen all and ends this process


def main(count, burst=20):
    asyncio.run(flood(count, burst))
