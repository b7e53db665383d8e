"""A board of the fleet (host_tests/mqtt/fleet.py): so many messages a second, and a link.

Of each ten one is HIGH, three are NORMAL and the rest BULK. A message holds its number.
"""

import asyncio

import ringlane.link
from ringlane import BULK, HIGH, NORMAL, PriorityChannel, Recorder

_TICK_MS = 20
_CLASSES = (HIGH, NORMAL, NORMAL, NORMAL, BULK, BULK, BULK, BULK, BULK, BULK)


async def run(rate):
    ch = PriorityChannel((0, 8, 8, 0, 8), slot_size=4, name="data", tap=Recorder(256, head=4))
    asyncio.create_task(ringlane.link.serve())
    await ringlane.link.attached()
    number = due = 0
    while True:
        due += rate * _TICK_MS
        while due >= 1000:
            due -= 1000
            ch.send_word(number, _CLASSES[number % 10])
            number += 1
        while ch.recv_word():
            pass
        await asyncio.sleep_ms(_TICK_MS)


def main(rate):
    asyncio.run(run(rate))
