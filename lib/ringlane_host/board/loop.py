"""MicroPython's asyncio on a simulated board: its semantics, its names, the board's time.

Here are tasks and the loop; wait_for and gather are in waits.py, Event, ThreadSafeFlag and Lock in
locks.py, streams in stream.py.

What differs from CPython's and matters to firmware: tasks run in the order in which they became
ready, to the millisecond; a task cannot cancel itself; cancel() of a task that awaits another one
cancels that; CancelledError is no Exception; a ThreadSafeFlag has one waiter; what is waited for
through core._io_queue is looked at before each step of a task and after each event.
"""

import heapq
import os
import types

from . import locks, stream, waits
from .faults import AllTasksWait, TaskRaised, TasksStarved
from .firmware import is_ours
from .kernel import NEVER
from .parking import POLL, CancelledError, Parked, TimeoutError

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's

_IN, _OUT = 1, 4
_TICKS = 1 << 30
_STARVED_US = 100_000  # of one task, while others could run


def make(kernel, time, say, look_us):
    """Return (asyncio, asyncio.core, tasks) of a board; `time` is its module, `say` prints.

    `look_us`: how often its loop looks at the streams by itself, as where threads share a core;
    NEVER where its core's interrupts and events alone wake it, as on rp2.
    """

    class Task:
        """A coroutine that the loop runs."""

        def __init__(self, coro, globals=None):
            self.coro = coro
            self.entry = None  # [ms, number, task] while in the run queue
            self.parked = None  # what it waits in; has remove(task)
            self.throwing = None
            self.finished = False
            self.result = None
            self.error = None
            self.awaited = False
            self.on_done = None  # gather's
            self.waiting = Parked()

        def __await__(self):
            if not self.finished:
                if self.on_done is not None:
                    raise RuntimeError("can't wait")
                self.waiting.add(core.cur_task)
                core.cur_task.parked = self
                yield
            self.awaited = True
            if self.error is not None:
                raise self.error
            return self.result

        __iter__ = __await__

        def remove(self, task):
            self.waiting.remove(task)

        def done(self):
            """Whether it has ended."""
            return self.finished

        def cancel(self):
            """Throw CancelledError into it at its next step; False if it has ended."""
            if self.finished:
                return False
            if self is core.cur_task:
                raise RuntimeError("can't cancel self")
            task = self
            while isinstance(task.parked, Task):
                task = task.parked
            if task.parked is not None:
                task.parked.remove(task)
                task.parked = None
            queue.remove(task)
            queue.push(task)
            task.throwing = CancelledError()
            return True

        def __repr__(self):
            return f"<Task {getattr(self.coro, '__qualname__', self.coro)!s}{where(self)}>"

    class TaskQueue:
        """Tasks by when they are to run; of the same millisecond the first in comes first."""

        def __init__(self):
            self._heap = []
            self._count = 0

        def push(self, task, ticks=None):
            now = kernel.now // 1000
            if ticks is not None:
                now += (ticks - now + _TICKS // 2) % _TICKS - _TICKS // 2
            self.push_at(task, now)

        def push_at(self, task, ms):
            self._count += 1
            task.parked = None
            task.entry = [ms, self._count, task]
            heapq.heappush(self._heap, task.entry)

        def peek(self):
            heap = self._heap
            while heap and heap[0][2] is None:
                heapq.heappop(heap)
            return heap[0][2] if heap else None

        def pop(self):
            task = self.peek()
            heapq.heappop(self._heap)
            task.entry = task.parked = None
            return task

        def remove(self, task):
            if task.entry is not None:
                task.entry[2] = None
                task.entry = None

    class IOQueue:
        """Streams that tasks wait for."""

        def __init__(self):
            self.map = {}  # id(stream): [reading task, writing task, stream]

        def _enqueue(self, stream, side):
            entry = self.map.setdefault(id(stream), [None, None, stream])
            if entry[side] is not None:
                raise AssertionError(f"two tasks wait for {stream!r}: the first never wakes")
            entry[side] = core.cur_task
            core.cur_task.parked = self

        def queue_read(self, stream):
            self._enqueue(stream, 0)

        def queue_write(self, stream):
            self._enqueue(stream, 1)

        def remove(self, task):
            for key, entry in list(self.map.items()):
                for side in (0, 1):
                    if entry[side] is task:
                        entry[side] = None
                if entry[0] is entry[1] is None:
                    del self.map[key]

        def look(self):
            """Let the tasks run whose streams are ready."""
            for key, entry in list(self.map.items()):
                reading, writing, stream = entry
                flags = (_IN if reading else 0) | (_OUT if writing else 0)
                kernel.core.viper += 1  # asyncio looks by itself: that is no work of the firmware
                try:
                    ready = stream.ioctl(POLL, flags)
                finally:
                    kernel.core.viper -= 1
                if not ready:
                    continue
                if ready & ~_OUT and reading is not None:
                    queue.push(reading)
                    entry[0] = None
                if ready & ~_IN and writing is not None:
                    queue.push(writing)
                    entry[1] = None
                if entry[0] is entry[1] is None:
                    del self.map[key]

    core = types.ModuleType("asyncio.core")
    asyncio = types.ModuleType("asyncio", "MicroPython's asyncio on a simulated board.")
    queue = TaskQueue()
    streams = IOQueue()

    def where(task):
        coro = task.coro
        frame = None
        while coro is not None:
            inner = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
            if inner is not None and not is_ours(inner.f_code.co_filename):
                frame = inner
            coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
        if frame is None:
            return ""
        name = os.path.basename(frame.f_code.co_filename)
        return f" at {name}:{frame.f_lineno}"

    def running():
        task = core.cur_task
        return None if task is None else getattr(task.coro, "__qualname__", None)

    kernel.task = running

    def create_task(coro):
        if not hasattr(coro, "send"):
            raise TypeError("coroutine expected")
        task = Task(coro)
        tasks[task] = None
        queue.push(task)
        return task

    tasks: dict[Task, None] = {}  # those that have not ended

    def promote(aw):
        return aw if isinstance(aw, Task) else create_task(aw)

    class _Sleep:
        def __init__(self, ms):
            self.due = kernel.now // 1000 + max(0, ms)
            self.asleep = False

        def __await__(self):
            yield from self

        def __iter__(self):
            return self

        def __next__(self):
            if self.asleep:
                raise StopIteration
            self.asleep = True
            queue.push_at(core.cur_task, self.due)

    def sleep_ms(ms):
        return _Sleep(ms)

    def sleep(s):
        return _Sleep(int(s * 1000))

    def starved(task, us):
        # Another one that this one, which took so long, has kept from running.
        first = queue.peek()
        waiting = [each for each in unseen() if each is not task]
        if first is not None and kernel.now - first.entry[0] * 1000 > _STARVED_US:
            waiting.append(first)
        if waiting:
            kernel.fault_once(
                TasksStarved,
                task,
                f"{task!r} went on for {us // 1000} ms without an await, and meanwhile "
                f"{waiting[0]!r} was ready to run",
            )

    def wait(until, since):
        # Until something happens that this core sees: on rp2 not what the other core stores.
        if sum(not each.ended for each in kernel.cores) > 1:
            until = min(until, kernel.now + look_us)
        if look_us == NEVER:
            kernel.core.asleep = unseen
        try:
            kernel.wait(until, polling=True, since=since)
        finally:
            kernel.core.asleep = None

    def unseen():
        # The tasks whose streams are ready while the loop sleeps on.
        return [
            entry[0] or entry[1]
            for entry in streams.map.values()
            if entry[2].ioctl(POLL, (_IN if entry[0] else 0) | (_OUT if entry[1] else 0))
        ]

    def run_until_complete(main=None):
        while True:
            while True:
                since = kernel.stirred
                if streams.map:
                    streams.look()
                task = queue.peek()
                if task is not None:
                    due = task.entry[0]
                    if due * 1000 <= kernel.now:
                        break
                    wait(due * 1000, since)
                    continue
                if not streams.map:
                    core.cur_task = None
                    if main is None or main.finished:
                        return None
                    if not kernel.can_be_woken and not kernel.listeners:
                        raise AllTasksWait(
                            "every task waits and nothing can wake one: "
                            + ", ".join(map(repr, tasks))
                        )
                wait(NEVER, since)
            task = queue.pop()
            core.cur_task = task
            kernel.work(2)
            if task.finished:  # nobody has awaited it meanwhile
                if not task.awaited:
                    Loop.call_exception_handler(
                        {
                            "message": "Task exception wasn't retrieved",
                            "exception": task.error,
                            "future": task,
                        }
                    )
                continue
            try:
                error, task.throwing = task.throwing, None
                began = kernel.now
                try:
                    if error is None:
                        task.coro.send(None)
                    else:
                        task.coro.throw(error)
                finally:
                    if kernel.now - began > _STARVED_US:
                        starved(task, kernel.now - began)
                continue
            except StopIteration as end:
                task.result = end.value
                error = None
            except (Exception, CancelledError) as raised:
                error = raised
            task.finished = True
            task.error = error
            tasks.pop(task, None)
            if task is main:
                core.cur_task = None
                task.awaited = True
                if error is not None:
                    raise error
                return task.result
            if task.on_done is not None:
                task.awaited = True
                task.on_done(task)
                task.on_done = None
            while task.waiting:
                task.awaited = True
                queue.push(task.waiting.pop())
            if not task.awaited and error is not None and type(error) is not CancelledError:
                queue.push(task)

    def run(coro):
        return run_until_complete(create_task(coro))

    class Loop:
        """The event loop."""

        _handler = None
        _stop = None

        @staticmethod
        def create_task(coro):
            return create_task(coro)

        @staticmethod
        def run_forever():
            async def stopper():
                pass

            Loop._stop = Task(stopper())
            run_until_complete(Loop._stop)

        @staticmethod
        def run_until_complete(aw):
            return run_until_complete(promote(aw))

        @staticmethod
        def stop():
            if Loop._stop is not None:
                queue.push(Loop._stop)
                Loop._stop = None

        @staticmethod
        def close():
            pass

        @staticmethod
        def set_exception_handler(handler):
            Loop._handler = handler

        @staticmethod
        def get_exception_handler():
            return Loop._handler

        @staticmethod
        def default_exception_handler(loop, context):
            task = context["future"]
            say(f"{context['message']}\nfuture: {task!r}\n")
            kernel.fault(TaskRaised, f"{task!r}: {context['exception']!r}", context["exception"])

        @staticmethod
        def call_exception_handler(context):
            (Loop._handler or Loop.default_exception_handler)(Loop, context)

    def get_event_loop(runq_len=0, waitq_len=0):
        return Loop

    def new_event_loop():
        nonlocal queue, streams
        queue = core._task_queue = TaskQueue()
        streams = core._io_queue = IOQueue()
        tasks.clear()
        return Loop

    def current_task():
        if core.cur_task is None:
            raise RuntimeError("no running event loop")
        return core.cur_task

    core.cur_task = None
    core._task_queue = queue
    core._io_queue = streams
    core.run_until_complete = run_until_complete
    core.get_event_loop = get_event_loop
    core.ticks = time.ticks_ms
    core.ticks_add = time.ticks_add
    core.ticks_diff = time.ticks_diff
    for each in (CancelledError, TimeoutError, Task, TaskQueue, IOQueue, Loop):
        setattr(core, each.__name__, each)
    for each in (create_task, run, sleep, sleep_ms, current_task, new_event_loop):
        setattr(core, each.__name__, each)
    for name, value in list(vars(core).items()):
        if name[0] != "_":
            setattr(asyncio, name, value)
    for each in (*waits.make(core, kernel, promote), *locks.make(core, kernel)):
        setattr(asyncio, each.__name__, each)
    for name, value in stream.make(core).items():
        setattr(asyncio, name, value)
    asyncio.core = core
    asyncio.__version__ = (3, 0, 0)
    return asyncio, core, tasks


__all__ = ["CancelledError", "TimeoutError", "make"]
