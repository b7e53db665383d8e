"""Commands by UART to a parser; each one is a request to a motor, and the reply is sent back."""

import asyncio

from machine import PWM, UART, Pin
from ringlane import NORMAL, Channel, RequestReplyChannel

uart = UART(0, 115200, tx=Pin(0), rx=Pin(1), rxbuf=64)
motor = PWM(Pin(15), freq=20000, duty_u16=0)
fragments = Channel(16, slot_size=32, name="fragments")
rpc = RequestReplyChannel(2, slot_size=16, name="motor")
buf = bytearray(32)
rooms = [memoryview(buf)[:size] for size in range(33)]


def on_rx(uart):
    while True:
        size = min(uart.any(), 32)
        if not size:
            return
        uart.readinto(rooms[size])
        fragments.send(rooms[size], NORMAL)


def drive(request):
    duty = int(request)
    if not 0 <= duty <= 100:
        return 1, b"range"
    motor.duty_u16(duty * 65535 // 100)
    return b"ok %d" % duty


async def parse():
    line = bytearray()
    fragment = bytearray(32)
    reply = bytearray(16)
    while m := await fragments.arecv(fragment):
        for byte in fragment[: m[0]]:
            if byte != 10:
                line.append(byte)
                continue
            size, status, latency = await rpc.call(bytes(line), reply, 50)
            uart.write(b"%d %s\n" % (status, bytes(reply[:size])))
            line = bytearray()


async def main():
    uart.irq(on_rx, UART.IRQ_RXIDLE)
    asyncio.create_task(rpc.serve(drive))
    await parse()


asyncio.run(main())
