"""A program for test_bridge.py: numbered words of every class, and a link over stdin."""

import asyncio

import ringlane.link
from ringlane import LOW, Channel, PriorityChannel, Recorder


async def run(count, burst, pause_ms, events):
    recorder = Recorder(events=events, head=4)
    ch = PriorityChannel((16, 16, 16, 16, 16), slot_size=8, name="a/b +#%", tap=recorder)
    cut = Channel(4, slot_size=8, name="cut", tap=recorder)
    Channel(4, name="untapped").send(b"", LOW)
    link = asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    cut.send(b"longer", LOW)
    cut.send(b"fits", LOW)
    cut.send(b"much too long", LOW)
    number = 0
    while number < count:
        for _ in range(min(burst, count - number)):
            ch.send_word(number, number % 5)
            number += 1
        while ch.recv_word():
            pass
        await asyncio.sleep_ms(pause_ms)
    print("all sent")
    await link


def main(count, burst=5, pause_ms=2, events=256):
    asyncio.run(run(count, burst, pause_ms, events))
