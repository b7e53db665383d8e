"""What is left of channels that are closed and dropped: nothing; what an import has at once."""

import ast
import subprocess
import sys

import pytest
from conftest import PACKAGE

CHANNELS = 10_000
CHANNELS_OF_CHIP = 60
# Bytes: what the first channels have imported and cached stays, and the names of eight, which the
# scheduler's queue keeps until others come. Of a channel itself it would keep 1 to 4 KB.
LEFT_MOST = 1024

LIFE = """
import gc, ringlane
from ringlane.registry import named
import lives
before = lives.settled()
lives.live({count}, 0)
print("left", lives.settled() - before, "named", len(named))
"""

CLOSED = "import lives; print(lives.left_of_closed())"


def left(printed):
    words = printed.split()
    return int(words[words.index("left") + 1]), int(words[words.index("named") + 1])


def test_ten_thousand_channels_leave_nothing(micropython):
    bytes_left, names = left(micropython(LIFE.format(count=CHANNELS)))
    assert bytes_left <= LEFT_MOST and names == 0


def test_channels_leave_nothing_on_an_emulated_rp2040(pico):
    bytes_left, names = left(pico.exec(LIFE.format(count=CHANNELS_OF_CHIP)))
    assert bytes_left <= LEFT_MOST and names == 0


WEIGHED = "import lives; print(lives.weighed(6))"


def weighs_what_memory_says(printed):
    found = ast.literal_eval(printed)
    assert len(found) == 5
    for kind, (took, said) in found.items():
        assert 0.9 * took < said < 1.15 * took, (kind, took, said)


def test_a_channel_takes_what_memory_says(micropython):
    weighs_what_memory_says(micropython(WEIGHED))


def test_a_channel_takes_what_memory_says_on_an_emulated_rp2040(pico):
    weighs_what_memory_says(pico.exec(WEIGHED))


HELD = "import lives; print(lives.held_after_close(5000))"


def test_a_closed_channel_lets_go_of_its_messages(micropython):
    assert int(micropython(HELD)) == 0


def test_a_closed_channel_lets_go_of_its_messages_on_an_emulated_rp2040(pico):
    # Where an address is a word, the collector takes what stands in the block for a reference.
    assert int(pico.exec(HELD)) == 0


def test_the_scheduler_keeps_no_channel_that_is_closed(micropython):
    assert int(micropython(CLOSED)) <= LEFT_MOST


def test_the_scheduler_keeps_no_channel_that_is_closed_on_an_emulated_rp2040(pico):
    pico.reset()
    assert int(pico.exec(CLOSED)) <= LEFT_MOST


def test_a_closed_channel_leaves_the_report(micropython):
    printed = micropython("import lives; lives.reported()")
    assert printed.count("kept") == 1 and "gone" not in printed


AT_ONCE = "ringlane.REALTIME, ringlane.HIGH, ringlane.NORMAL, ringlane.LOW, ringlane.BULK"


def test_the_classes_are_there_under_a_locked_heap(micropython):
    program = f"""
import micropython, ringlane, sys
def look():
    micropython.heap_lock()
    try:
        return {AT_ONCE.replace(",", " +")}
    finally:
        micropython.heap_unlock()
modules = len(sys.modules)
look()
assert len(sys.modules) == modules
print("ok")
"""
    assert micropython(program) == "ok\n"


# What a task or handler does with a channel that is there, once waiting has been imported.
NOTHING_MORE = """
import asyncio, sys
import ringlane.waiting
from ringlane import HIGH, ROUND_ROBIN, AnycastChannel, Channel, MulticastChannel
from ringlane import PriorityChannel, RequestReplyChannel, select
buf = bytearray(8)
async def use(ch, end):
    ch.send(b"1234", HIGH)
    await end.arecv(buf)
    ch.send_word(1, HIGH)
    await end.arecv_word()
    await end.arecv(buf, 1)
    await end.ready(1)
    await select(end, timeout_ms=1)
    await ch.asend(b"1", HIGH)
    await ch.asend(b"1", HIGH, 1)
    end.recv_wait(buf, 1)
    end.recv(buf)
    ch.notify()
    len(ch), ch.free(), ch.is_full(), ch.sent, ch.received, ch.dropped, ch.rejected, ch.high_water
    ch.close()
    await end.arecv(buf)
async def call(ch):
    task = asyncio.create_task(ch.serve(lambda request: b"x"))
    await ch.call(b"1", buf)
    await ch.call(b"1", buf, 50)
    ch.close()
    await task
ch = {make}
end = ch.add_receiver() if hasattr(type(ch), "add_receiver") else ch
before = set(sys.modules)
asyncio.run(call(ch) if type(ch) is RequestReplyChannel else use(ch, end))
print(sorted(set(sys.modules) - before))
"""
MADE = (
    "PriorityChannel(8, 8)",
    "Channel(8, 8)",
    "MulticastChannel(8, slot_size=8)",
    "AnycastChannel(8, ROUND_ROBIN, 8)",
    "RequestReplyChannel(4, 8)",
)


@pytest.mark.parametrize("make", MADE)
def test_a_channel_that_is_there_imports_nothing_more(micropython, make):
    assert micropython(NOTHING_MORE.format(make=make)) == "[]\n"


@pytest.mark.parametrize("name", ["circuitpython", "another"])
def test_an_interpreter_without_viper_is_named(name):
    program = f"""
import sys
sys.implementation.name = {name!r}
try:
    import ringlane
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.lower()
    assert name in said and "viper" in said and "micropython" in said, done
