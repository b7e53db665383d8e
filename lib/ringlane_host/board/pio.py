"""rp2's PIO: its state machines as the firmware sees them, with the test in place of the programs.

A program is not run. What it would push, the test gives, what the firmware puts, the test gets,
and its `irq` is the test's, too.
"""

from collections import deque

from .faults import BoardError, NotSimulated
from .sources import Source

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_FIFO = 4
_WORD = 0xFFFFFFFF
_IRQ_SM0 = 0x100
_SMALL = 1 << 30  # from here on an int is an object
_INTERRUPTS = {"RP2040": (7, 9), "RP2350": (15, 17, 19)}  # PIOn_IRQ_0
_DIRECTIVES = (
    "out_init set_init sideset_init side_pindir in_shiftdir out_shiftdir autopush autopull "
    "push_thresh pull_thresh fifo_join"
).split()
_PINS = "in_base out_base set_base jmp_pin sideset_base".split()
_SHIFTS = "in_shiftdir out_shiftdir push_thresh pull_thresh".split()


class ProgramIrq(Source):
    """The handler of a state machine's, or a PIO's four state machines', `irq`."""

    trigger = 0  # which irqs call it
    flags = 0  # which did


class MachineState:
    """One state machine: its FIFOs, and what the test has attached."""

    def __init__(self, kernel, number, order, block, note):
        self.kernel = kernel
        self.number = number
        self.active = False
        self.coming: deque[int] = deque()  # pushed: the program stalls where the FIFO is full
        self.waiting: deque[int] = deque()  # what was put, and not yet taken
        self.sent = []  # (microseconds, word)
        self.device = None
        self.irq = ProgramIrq(kernel, f"StateMachine({number}) handler", order)
        self.rx_room = self.tx_room = _FIFO
        self.block = block  # its PIO's Source
        self.note = note

    def push(self, words):
        """Let the program push words."""
        for word in words:
            self.coming.append(word & _WORD)
        self.kernel.stirred += 1

    def take(self):
        """Let the program take what was put, if it runs."""
        while self.active and self.waiting:
            word = self.waiting.popleft()
            self.sent.append((self.kernel.now, word))
            self.note("pio", f"StateMachine({self.number}) takes {word:#x}")
            if self.device is not None:
                self.push(self.device(word) or ())


class MachineHandle:
    """A state machine as the test sees it."""

    def __init__(self, state):
        self._state = state

    def attach(self, device):
        """Call `device(word)` for each word that the firmware puts.

        The firmware gets the words that this returns: a sequence of them, or None.
        """
        if not callable(device):
            raise BoardError(f"a state machine takes a function of a word, not {device!r}")
        self._state.device = device

    def receive(self, words, every_us=0, after_us=0):
        """Let the program push words for the firmware to get: the first after `after_us`."""
        words = list(words)
        wrong = [each for each in words if not isinstance(each, int)]
        if wrong:
            raise BoardError(f"a state machine's words are ints, not {wrong[0]!r}")
        state, kernel = self._state, self._state.kernel
        for number, word in enumerate(words):
            kernel.at(
                kernel.now + after_us + number * every_us, lambda word=word: state.push((word,))
            )

    def interrupt(self, after_us=0):
        """Let the program execute `irq(rel(0))`: it calls the handlers of sm.irq and PIO.irq."""
        state, kernel = self._state, self._state.kernel

        def fire():
            flag = _IRQ_SM0 << state.number % 4
            if state.block.trigger & flag:
                state.block.flags = flag
                state.block.fire()
            if state.irq.trigger & 1:
                state.irq.flags = 1
                state.irq.fire()

        kernel.at(kernel.now + after_us, fire)

    @property
    def sent(self):
        """What the program has taken of what was put: [(microseconds, word), ...]."""
        return list(self._state.sent)

    @property
    def active(self):
        """Whether the firmware has started it."""
        return self._state.active


class Programs:
    """The state machines of a board, by number."""

    def __init__(self, kernel, mcu, note):
        orders = [(number, 0) for number in _INTERRUPTS[mcu]]
        self.blocks = [
            ProgramIrq(kernel, f"PIO({n}) handler", order) for n, order in enumerate(orders)
        ]
        self.machines = [
            MachineState(kernel, number, (orders[number // 4][0], 1 + number % 4), block, note)
            for number, block in enumerate(each for each in self.blocks for _ in range(4))
        ]


def make(kernel, programs):
    """Return what `rp2` has for PIO, by name."""

    class PIOASMError(Exception):
        """A program that cannot be assembled."""

    class Program:
        """What asm_pio makes of a function, which is not run."""

        def __init__(self, function, directives):
            self.name = function.__name__
            self.directives = directives

    def asm_pio(**directives):
        _known("asm_pio", directives, _DIRECTIVES)
        return lambda function: Program(function, directives)

    class Irq:
        """What irq() returns."""

        def __init__(self, source):
            self._source = source

        def flags(self):
            return self._source.flags

        def trigger(self, *trigger):
            before = self._source.trigger
            if trigger:
                self._source.trigger = trigger[0]
            return before

    class PIO:
        """rp2.PIO."""

        IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = range(4)
        SHIFT_LEFT, SHIFT_RIGHT = range(2)
        JOIN_NONE, JOIN_TX, JOIN_RX = range(3)
        IRQ_SM0, IRQ_SM1, IRQ_SM2, IRQ_SM3 = (_IRQ_SM0 << number for number in range(4))

        def __init__(self, id):
            if not 0 <= id < len(programs.blocks):
                raise ValueError("invalid PIO")
            self._id = id

        def add_program(self, prog):
            _check_program(prog)

        def remove_program(self, prog=None):
            pass

        def state_machine(self, id, *args, **keywords):
            if not 0 <= id < 4:
                raise ValueError("invalid StateMachine")
            return StateMachine(self._id * 4 + id, *args, **keywords)

        def irq(self, *args, **keywords):
            block = programs.blocks[self._id]
            if args or keywords:
                _listen(block, self, 0xF00, *args, **keywords)
            return Irq(block)

    class StateMachine:
        """rp2.StateMachine."""

        def __init__(self, id, prog=None, freq=-1, **keywords):
            if not 0 <= id < len(programs.machines):
                raise ValueError("invalid StateMachine")
            self._state = programs.machines[id]
            if prog is not None:
                self.init(prog, freq, **keywords)

        def init(self, prog, freq=-1, **keywords):
            _known("StateMachine", keywords, _PINS + _SHIFTS)
            _check_program(prog)
            state = self._state
            state.active = False
            state.waiting.clear()
            join = prog.directives.get("fifo_join", PIO.JOIN_NONE)
            state.rx_room = {PIO.JOIN_RX: 2 * _FIFO, PIO.JOIN_TX: 0}.get(join, _FIFO)
            state.tx_room = {PIO.JOIN_TX: 2 * _FIFO, PIO.JOIN_RX: 0}.get(join, _FIFO)

        def active(self, *value):
            if value:
                self._state.active = bool(value[0])
                self._state.take()
            return self._state.active

        def restart(self):
            pass

        def exec(self, instr):
            raise NotSimulated("StateMachine.exec() is not simulated: programs are not run")

        def put(self, value, shift=0):
            state = self._state
            kernel.work(2)
            for each in (value,) if isinstance(value, int) else value:
                while len(state.waiting) >= state.tx_room:
                    kernel.wait(1 << 62, polling=True)
                state.waiting.append(each << shift & _WORD)
                state.take()

        def get(self, buf=None, shift=0):
            state = self._state
            kernel.work(2)
            for place in range(1 if buf is None else len(buf)):
                while not self.rx_fifo():
                    kernel.wait(1 << 62, polling=True)
                word = state.coming.popleft() >> shift
                if buf is not None:
                    buf[place] = word & (1 << 8 * memoryview(buf).itemsize) - 1
            if buf is not None:
                return buf
            if word >= _SMALL:
                kernel.allocates("a word beyond 30 bits of StateMachine.get()")
            return word

        def rx_fifo(self):
            kernel.work(1)
            state = self._state
            return min(state.rx_room, len(state.coming)) if state.active else 0

        def tx_fifo(self):
            return len(self._state.waiting)

        def irq(self, *args, **keywords):
            source = self._state.irq
            if args or keywords:
                _listen(source, self, 1, *args, **keywords)
            return Irq(source)

    def _check_program(prog):
        if not isinstance(prog, Program):
            raise TypeError("a PIO program must be what asm_pio returned, not %r" % (prog,))

    def asm_pio_encode(*args):
        raise NotSimulated("asm_pio_encode() is not simulated: programs are not run")

    return {
        "PIO": PIO,
        "StateMachine": StateMachine,
        "asm_pio": asm_pio,
        "asm_pio_encode": asm_pio_encode,
        "PIOASMError": PIOASMError,
    }


def _listen(source, owner, every, handler=None, trigger=None, hard=False):
    source.listen(handler, owner, hard)
    source.trigger = every if trigger is None else trigger


def _known(what, keywords, names):
    for each in keywords:
        if each not in names:
            raise TypeError("%s() has no argument %r" % (what, each))
