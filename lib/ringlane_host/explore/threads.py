"""The threads that contexts run in, one at a time."""

import ctypes
import threading

from .bytecodes import Tracer


class Ended(BaseException):
    """Raised in a context whose run is over; no program should catch it."""


class Threads:
    """A thread for each context. One runs at a time: the one whose gate was opened last."""

    def __init__(self, count):
        self.body = None  # called as body(number); returns which thread to let run next
        self.tracers = [Tracer() for _ in range(count)]
        self.running = -1  # the explorer itself
        self.gates = [threading.Lock() for _ in range(count + 1)]  # the last is the explorer's
        for gate in self.gates:
            gate.acquire()
        self.threads = [
            threading.Thread(target=self._serve, args=(number,), daemon=True)
            for number in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def _serve(self, number):
        while True:
            self.gates[number].acquire()
            if self.body is None:
                return
            self._open(self.body(number))

    def _open(self, number):
        self.running = number
        self.gates[number].release()

    def go(self, number, seconds):
        """Let thread `number` run; return whether the explorer got its turn back in time."""
        self._open(number)
        return self.back(seconds)

    def back(self, seconds):
        """Wait for the explorer's turn; return whether it came."""
        return self.gates[-1].acquire(timeout=seconds)

    def swap(self, number, other):
        """Let `other` run instead of `number`, the caller, until somebody lets that run again."""
        self._open(other)
        self.gates[number].acquire()

    def strike(self):
        """Raise Ended in the thread that runs, which comes to no access."""
        thread = self.threads[self.running].ident or 0
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Ended))

    def leave(self):
        """Trace the threads no more."""
        for tracer in self.tracers:
            tracer.detach()

    def close(self):
        """End the threads, none of which runs."""
        self.leave()
        self.body = None
        for gate, thread in zip(self.gates, self.threads, strict=False):
            gate.release()
            thread.join()


__all__ = ["Ended", "Threads"]
