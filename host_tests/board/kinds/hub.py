"""A button, an encoder and a 1 kHz ADC to a display and a logger."""

import asyncio

from machine import ADC, Pin, Timer
from ringlane import HIGH, NORMAL, REALTIME, Channel, MulticastChannel

STEP = (0, 1, -1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 0, -1, 1, 0)

samples = MulticastChannel(64, slot_size=4, max_receivers=2, name="samples")
display = samples.add_receiver("display")
logger = samples.add_receiver("logger")
buttons = Channel(8, slot_size=4, name="buttons")
steps = Channel(256, slot_size=4, name="steps")
adc = ADC(26)
a, b = Pin(2, Pin.IN, Pin.PULL_UP), Pin(3, Pin.IN, Pin.PULL_UP)
button = Pin(4, Pin.IN, Pin.PULL_UP)
led = Pin(25, Pin.OUT)
state = [3, 0]


def on_sample(timer):
    samples.send_word(adc.read_u16(), REALTIME)


def on_step(pin):
    pins = a.value() << 1 | b.value()
    step = STEP[state[0] << 2 | pins]
    state[0] = pins
    if step:
        state[1] += step
        steps.send_word(state[1], HIGH)


def on_button(pin):
    buttons.send_word(not pin.value(), NORMAL)


async def show():
    while await display.ready():
        display.skip_to_latest()
        value = display.recv_word()[0]
        print("display", value)
        await asyncio.sleep_ms(100)


async def log():
    total = count = 0
    while await logger.ready():
        while m := logger.recv_word():
            total += m[0]
            count += 1
        if count % 1000 == 0:
            with open("log.txt", "a") as file:
                file.write("%d %d\n" % (count, total))


async def turn():
    while m := await steps.arecv_word():
        print("position", m[0])


async def press():
    while m := await buttons.arecv_word():
        led.value(m[0])


async def main():
    a.irq(on_step, hard=True)
    b.irq(on_step, hard=True)
    button.irq(on_button)
    timer = Timer(freq=1000, hard=True, callback=on_sample)
    await asyncio.gather(show(), log(), turn(), press())
    timer.deinit()


asyncio.run(main())
