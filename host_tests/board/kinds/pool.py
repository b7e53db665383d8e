"""Jobs from a timer to a worker on each core; results come back by a channel with two senders."""

import _thread
import time

import ringlane.waiting  # noqa: F401
from machine import Timer
from micropython import const
from ringlane import LEAST_LOADED, NORMAL, AnycastChannel, Channel

JOBS = const(200)

jobs = AnycastChannel(8, LEAST_LOADED, slot_size=4, max_receivers=2, name="jobs")
results = Channel(32, slot_size=4, senders=2, name="results")
mine, other = jobs.add_receiver("core 0", core=0), jobs.add_receiver("core 1", core=1)
number = 0


def on_tick(timer):
    global number
    number += 1
    jobs.send_word(number, NORMAL)


def work(end, sender, busy_us):
    m = end.recv_word()
    if m:
        value = m[0]
        time.sleep_us(busy_us)
        sender.send_word(value * value, NORMAL)
    return m


def second_core():
    sender = results.add_sender()
    while True:
        work(other, sender, 900)


def main():
    timer = Timer(period=1, hard=True, callback=on_tick)
    _thread.start_new_thread(second_core, ())
    total = count = 0
    while count < JOBS:
        work(mine, results, 300)
        while m := results.recv_word():
            total += m[0]
            count += 1
    timer.deinit()
    print("total", total, mine.processed + other.processed)


main()
