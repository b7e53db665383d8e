"""A second thread that sends to waiting tasks, on real MicroPython without a GIL."""

import os
import re
import shutil

import pytest
from conftest import PACKAGE, SOAK

# Messages by how they are waited for: arecv has the most, as the others take the same path.
RUNS = {
    "arecv": 15_000,
    "ready, two tasks": 5_000,
    "select": 5_000,
    "recv_wait": 5_000,
}


@pytest.fixture(autouse=True)
def needs_two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two threads in parallel need two cores; this machine gives one")


@pytest.mark.parametrize("how", RUNS)
def test_no_wake_up_is_lost(micropython, visited, how):
    messages = RUNS[how]
    printed = micropython(f"import waiting_threads; waiting_threads.main({how!r}, {messages})")
    count, sleeps, full = map(int, re.findall(r"\d+", printed))
    assert count == messages
    # The receiver overtook the sender and slept, and the sender the receiver.
    assert sleeps >= messages // 200 and full > 0, printed
    visited(messages=count, sleeps=sleeps)


# A waiter that asks for a change since the wait began: a message that came while its task went
# to sleep is no change, and nothing ever wakes the task.
READ = "yield core._io_queue.queue_read(waiter)"
BEGIN = "waiter.ioctl(0, 99)"
MUTANT = (
    (
        "class Waiter(io.IOBase):",
        """def _changed(look):
    before = [0]

    def ioctl(request, flags):
        if flags == 99:  # the wait begins
            before[0] = look(3, 1)
            return 0
        return 0 if request == 3 and before[0] else look(request, flags)

    return ioctl


class Waiter(io.IOBase):""",
    ),
    ("        self.ioctl = look\n", "        self.ioctl = _changed(look)\n"),
    (
        f"            {READ}\n            first",
        f"            {BEGIN}\n            {READ}\n            first",
    ),
    (
        f"        {READ}\n        return",
        f"        {BEGIN}\n        {READ}\n        return",
    ),
    ("        for _ in self._poller", "        self.ioctl(0, 99)\n        for _ in self._poller"),
    (
        "waiter.ioctl = _make_look_at_all(looks)",
        "waiter.ioctl = _changed(_make_look_at_all(looks))",
    ),
)


@pytest.mark.parametrize("how", ["arecv", "select", "recv_wait"] if SOAK else ["select"])
def test_a_waiter_that_loses_wake_ups_is_caught(micropython, no_gil, tmp_path, how):
    package = tmp_path / "ringlane"
    shutil.copytree(PACKAGE, package)
    source = (package / "waiting.py").read_text()
    for right, wrong in MUTANT:
        assert source.count(right) == 1, right
        source = source.replace(right, wrong)
    (package / "waiting.py").write_text(source)
    program = f"import waiting_threads; waiting_threads.main({how!r}, 10**6, 1500)"
    with pytest.raises(AssertionError, match="lost a wake-up"):
        micropython(program, tmp_path)
