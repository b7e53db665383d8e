"""What interrupts: a handler, hard or soft, of a pin, a timer or a UART."""

import os

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


class Source:
    """One source of interrupts.

    `order`: which of several that are pending runs first, as the chip's interrupt number has it.
    `period`: microseconds from call to call, 0 if there is none.
    """

    period = 0

    def __init__(self, kernel, title, order):
        self.kernel = kernel
        self.title = title
        self.order = order
        self.hard = False
        self._handler = None
        self._arg = None

    def listen(self, handler, arg, hard):
        """Call `handler(arg)` from now on; None: nothing."""
        self.kernel.listeners += (handler is not None) - (self._handler is not None)
        self._handler = handler
        self._arg = arg
        self.hard = hard
        if handler is not None:
            name = getattr(handler, "__qualname__", type(handler).__name__)
            self.title = f"{self.title.partition(' handler')[0]} handler {name}"

    @property
    def defined(self):
        """The line where its handler begins: main.py:12."""
        code = getattr(getattr(self._handler, "__wrapped__", self._handler), "__code__", None)
        if code is None:
            return "a builtin"
        return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"

    @property
    def listens(self):
        """Whether there is a handler."""
        return self._handler is not None

    def fire(self):
        """Interrupt, if there is a handler."""
        if self._handler is None:
            return
        if self.hard:
            self.kernel.interrupt(self)
        else:
            self.kernel.soft_interrupt(self, self._handler, self._argument())

    def call(self):
        """Run the hard handler."""
        if self._handler is None:
            return  # it was taken away while this was pending
        self._handler(self._argument())

    def _argument(self):
        return self._arg

    def disable(self):
        """Call it no more, as a board does when it has raised."""
        self.listen(None, None, False)


class Call(Source):
    """An interrupt that the test makes: it calls any function of the firmware."""

    def __init__(self, kernel, handler, args):
        name = getattr(handler, "__qualname__", type(handler).__name__)
        super().__init__(kernel, f"interrupt handler {name}", order=(0, 0))
        self._call = handler, args

    def call(self):
        handler, args = self._call
        handler(*args)


__all__ = ["Call", "Source"]
