"""`machine` of the virtual board, and the plugin's target unix: what goes in and comes back."""

import re
import shutil
import textwrap

import pytest
from conftest import PACKAGE
from ringlane_host.board.virtual import RealTimeBoard
from ringlane_host.boards import wires as wires_module
from ringlane_host.boards.virtual import VirtualBoard
from ringlane_host.boards.wires import BoardError as WireError
from ringlane_host.boards.wires import Wires


@pytest.fixture(scope="module")
def terminal(interpreter):
    with VirtualBoard() as board:
        yield board


PROGRAMS = {
    "a hard handler runs at once on a locked heap": (
        """
        from machine import Pin
        seen = []
        out = Pin(3, Pin.OUT, value=0)
        def handler(pin):
            try:
                bytearray(100)
            except MemoryError:
                locked.value(1)
            level.value(pin.value())
        locked, level = Pin(4, Pin.OUT), Pin(5, Pin.OUT)
        out.irq(handler, Pin.IRQ_RISING, hard=True)
        out.on()
        print(locked.value(), level.value(), Pin(3).value())
        out.off()
        print(level.value())
        """,
        "1 1 1\n1\n",
    ),
    "a soft handler runs between two bytecodes of the program, also while asyncio sleeps": (
        """
        import asyncio, _thread
        from machine import Timer
        me, seen = _thread.get_ident(), []
        gil = hasattr(sys.implementation, "_thread") and sys.implementation._thread == "GIL"
        Timer(0, freq=100, callback=lambda timer: seen.append(gil or _thread.get_ident() == me))
        async def main():
            await asyncio.sleep_ms(500)
        asyncio.run(main())
        Timer(0).deinit()
        print(len(seen) > 20, all(seen))
        """,
        "True True\n",
    ),
    "a timer loses no tick, ends when told, and is once if told": (
        """
        from machine import Timer
        count = [0, 0]
        def tick(timer):
            count[0] += 1
        def once(timer):
            count[1] += 1
        timer = Timer(period=2, callback=tick, hard=True)
        one = Timer(mode=Timer.ONE_SHOT, period=5, callback=once, hard=True)
        start = time.ticks_us()
        while count[0] < 100:
            time.sleep_ms(1)
        us = time.ticks_diff(time.ticks_us(), start)
        timer.deinit()
        before = count[0]
        time.sleep_ms(20)
        print(us >= 198000, count[0] == before, count[1])
        one.init(mode=Timer.ONE_SHOT, period=1, callback=once, hard=True)
        time.sleep_ms(100)
        print(count[1])
        """,
        "True True 1\n2\n",
    ),
    "a hard handler that raises is told and not called again": (
        """
        from machine import Pin
        out = Pin(3, Pin.OUT, value=0)
        calls = bytearray(1)
        def handler(pin):
            calls[0] += 1
            return [1] * 10
        out.irq(handler, Pin.IRQ_RISING, hard=True)
        for level in (1, 0, 1):
            out.value(level)
        print(calls[0])
        """,
        r"Uncaught exception in a hard handler, which is not called again:\n"
        r"Traceback .*MemoryError: .*\n1\n",
    ),
    "no handler comes between disable_irq and enable_irq, and then it does": (
        """
        from machine import Timer, disable_irq, enable_irq
        from ringlane import Channel, IrqGuard, HIGH
        count = bytearray(1)
        def tick(timer):
            count[0] += 1
            enable_irq(disable_irq())
        timer = Timer(freq=1000, callback=tick, hard=True)
        while not count[0]:
            pass
        state = disable_irq()
        before = count[0]
        time.sleep_ms(30)
        print(count[0] == before)
        enable_irq(state)
        while count[0] < before + 3:
            pass
        timer.deinit()
        ch = Channel(4, slot_size=4, send_guard=IrqGuard())
        print(ch.send_word(1, HIGH), ch.recv_word()[0])
        """,
        "True\nTrue 1\n",
    ),
    "pins have pulls, levels, edges, flags and a Signal": (
        """
        from machine import Pin, Signal
        up, down = Pin("GP7", Pin.IN, Pin.PULL_UP), Pin(8, Pin.IN, Pin.PULL_DOWN)
        drain = Pin(9, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1)
        print(up(), down(), drain.value(), Pin(9).value(), Pin("LED"))
        drain.off()
        edges = drain.irq(lambda pin: None, Pin.IRQ_RISING, hard=True)
        drain.toggle()
        print(drain.value(), edges.flags() == Pin.IRQ_RISING, edges.flags())
        lamp = Signal(Pin(10, Pin.OUT), invert=True)
        lamp.on()
        print(Pin(10).value(), lamp.value())
        """,
        r"1 0 1 1 Pin\(25\)\n1 True 0\n0 1\n",
    ),
    "an ADC reads 0 until something is attached, a PWM keeps what it is set to": (
        """
        from machine import ADC, PWM, Pin
        print(ADC(26).read_u16(), ADC(Pin(27)).read_uv(), ADC(ADC.CORE_TEMP).read_u16())
        lamp = PWM(Pin(15), freq=1000, duty_u16=100)
        lamp.duty_ns(500000)
        print(lamp.freq(), lamp.duty_u16(), lamp.duty_ns())
        """,
        "0 0 0\n1000 32767 499992\n",
    ),
    "what is not there says its name": (
        """
        import machine
        from machine import ADC, PWM, UART, Pin, Timer
        for wrong in (
            lambda: machine.I2C, lambda: machine.NoSuch, lambda: Pin(99), lambda: Pin("GPX"),
            lambda: Pin(1, 9), lambda: Timer(7), lambda: Timer(period=-2), lambda: Timer(freq=0),
            lambda: UART(3), lambda: UART(0, -1), lambda: UART(0).irq(print, 0x200),
            lambda: PWM(1, freq=0), lambda: Pin(1).irq(5),
        ):
            try:
                wrong()
            except Exception as error:
                print(type(error).__name__, error)
        """,
        r"""NotImplementedError machine.I2C: the virtual board has none
AttributeError module 'machine' has no attribute 'NoSuch'
ValueError invalid pin: 99
ValueError unknown named pin 'GPX'
ValueError invalid pin mode: 9
ValueError Timer\(7\) doesn't exist: -1, or 0 to 3
ValueError period must be 0 or more, not -2
ValueError freq must be above 0, not 0
ValueError UART\(3\) doesn't exist: 0 to 2
ValueError baudrate must be above 0, not -1
NotImplementedError UART.irq\(trigger=0x200\): the virtual board has IRQ_RX and IRQ_RXIDLE
ValueError freq must be above 0, not 0
ValueError handler must be None or callable
""",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_on_the_virtual_board(terminal, name):
    source, expected = PROGRAMS[name]
    program = f"import sys, time\n{textwrap.dedent(source)}"
    if "ringlane" in source:
        shutil.copytree(PACKAGE, terminal.flash / "lib" / "ringlane", dirs_exist_ok=True)
    printed = terminal.mpremote("exec", program)
    assert re.fullmatch(expected, printed, re.DOTALL), printed


def test_a_machine_of_the_users_own_is_taken(interpreter, tmp_path):
    (tmp_path / "machine.py").write_text("Pin = 5\n")
    with VirtualBoard(tmp_path) as board:
        assert board.mpremote("exec", "import machine\nprint(machine.Pin)") == "5\n"


FIRMWARE = """
import asyncio
from machine import ADC, PWM, UART, Pin
uart = UART(0, 9600, tx=Pin(0), rx=Pin(1), rxbuf=32, timeout=20)
adc, lamp = ADC(26), PWM(Pin(15), freq=1000, duty_u16=0)
button, led = Pin(2, Pin.IN, Pin.PULL_DOWN), Pin(25, Pin.OUT)
button.irq(lambda pin: led.value(pin.value()), hard=True)

async def main():
    reader = asyncio.StreamReader(uart)
    while True:
        line = await reader.readline()
        uart.write(line.upper())
        lamp.duty_u16(adc.read_u16())
        print(line, adc.read_u16())

asyncio.run(main())
"""


@pytest.fixture
def unix(interpreter, tmp_path):
    """A virtual board that runs FIRMWARE, as the plugin's target unix has it."""
    (tmp_path / "main.py").write_text(FIRMWARE)
    board = RealTimeBoard(pytest.fail, tmp_path)
    board.adc(26).set(1000)
    try:
        board.run()
        yield board
    finally:
        board.close()


def test_what_the_test_attaches_reaches_the_firmware_and_comes_back(unix):
    unix.pin(2).press(ms=40, bounces=2)
    unix.uart(0).receive(b"one\ntwo")
    unix.run_until(lambda: len(unix.pin("led").history) == 10)
    levels = [level for _, level in unix.pin(25).history]
    assert levels == [1, 0] * 5 and unix.pin("led").value() == 0
    pressed, released = unix.pin("led").history[0][0], unix.pin("led").history[-1][0]
    assert 40_000 <= released - pressed < 1_000_000
    unix.adc(26).play([5, 6, 7], hz=1000)
    unix.uart(0).receive(b"\n", after_us=50_000)
    # The terminal, the UART and PWM each reach the test at their own time.
    unix.run_until(lambda: unix.log.count("\n") == 2 and unix.uart(0).sent.endswith(b"TWO\n"))
    assert unix.log == "b'one\\n' 1000\nb'two\\n' 7\n"
    assert unix.uart(0).take() == b"ONE\nTWO\n" and unix.uart(0).sent == b""
    unix.run_until(lambda: len(unix.pwm(15)) == 3)
    assert [duty for _, _, duty in unix.pwm(15)] == [0, 1000, 7]
    assert {hz for _, hz, _ in unix.pwm(15)} == {1000}
    unix.stop()


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda wires: wires.adc(26).set(70_000), "readings are 0 to 65535.*: reading 70000"),
        (lambda wires: wires.adc(26).set(abs), "not functions"),
        (lambda wires: wires.adc(26).play([], hz=1), "0 samples at 1 Hz"),
        (lambda wires: wires.uart(0).receive("text"), "a UART receives bytes, not 'text'"),
        (lambda wires: wires.pin(2).edges(1_000_000, every_us=1), "takes nothing from its wires"),
    ],
)
def test_a_wrong_stimulus_is_named(ask, text, monkeypatch):
    monkeypatch.setattr(wires_module, "_PATIENCE_S", 0.2)
    wires = Wires()
    try:
        with pytest.raises(WireError, match=text):
            ask(wires)
    finally:
        wires.close()
