"""asyncio's Event, ThreadSafeFlag and Lock, as loop.py has the rest."""

import io

from .parking import POLL, CancelledError, Parked, Pause

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


def make(core, kernel):
    """Return the three classes."""

    class Event:
        """Set, cleared and waited for by tasks of one loop."""

        def __init__(self):
            self.state = False
            self.waiting = Parked()

        def is_set(self):
            return self.state

        def set(self):
            while self.waiting:
                core._task_queue.push(self.waiting.pop())
            self.state = True
            kernel.stirred += 1

        def clear(self):
            self.state = False

        async def wait(self):
            if not self.state:
                self.waiting.add(core.cur_task)
                await Pause()
            return True

    class ThreadSafeFlag(io.IOBase):
        """Set from anywhere, waited for by one task."""

        def __init__(self):
            self.state = 0

        def ioctl(self, request, flags):
            return self.state * flags if request == POLL else -1

        def set(self):
            self.state = 1

        def clear(self):
            self.state = 0

        async def wait(self):
            if not self.state:
                core._io_queue.queue_read(self)
                await Pause()
            self.state = 0

    class Lock:
        """A mutex for tasks."""

        def __init__(self):
            self.state = 0  # 1: locked; a task: it is the next to lock it
            self.waiting = Parked()

        def locked(self):
            return self.state == 1

        def release(self):
            if self.state != 1:
                raise RuntimeError("Lock not acquired")
            if self.waiting:
                self.state = self.waiting.pop()
                core._task_queue.push(self.state)
            else:
                self.state = 0

        async def acquire(self):
            if self.state != 0:
                me = core.cur_task
                self.waiting.add(me)
                try:
                    await Pause()
                except CancelledError:
                    if self.state is me:
                        self.state = 1
                        self.release()
                    raise
            self.state = 1
            return True

        async def __aenter__(self):
            return await self.acquire()

        async def __aexit__(self, *exc):
            return self.release()

    return Event, ThreadSafeFlag, Lock


__all__ = ["make"]
