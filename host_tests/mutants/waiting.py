"""What the tests must find broken in waiting.py."""

_LOOK = "        closed = end.closed  # first: what is queued from here on, is found by recv\n"
_TAKE = "        m = end.recv(buf)\n"
_LATE = "            late = waiter.left_ms() == 0\n"
_WAIT_CLOSED = "            closed = end.closed\n"
_WAIT_TAKE = "            m = end.recv(buf)\n"

MUTANTS = {
    "": {
        "a device waits as a host does": (
            'if sys.implementation.name == "micropython":',
            "if 0:",
        ),
        "a time-out that ticks_diff cannot tell is taken": (
            "_TIMEOUT_MAX = (1 << 29) - 1",
            "_TIMEOUT_MAX = 1 << 29",
        ),
    },
    "Waiter.begin": {
        "a wait without a time limit has that of the one before": (
            "        self._deadline = None\n",
            "",
        ),
        "a time limit of 0 is none": ("if timeout_ms is not None:", "if timeout_ms:"),
        "a time limit is not checked": (
            '            whole("timeout_ms", timeout_ms, 0, _TIMEOUT_MAX)\n',
            "",
        ),
        "a time limit below 0 is taken": ("timeout_ms, 0, _", "timeout_ms, -1, _"),
        "a wait that begins is not busy": ("        self.busy = True\n", ""),
    },
    "Waiter.end": {
        "a waiter is used once": ("        self.busy = False\n", ""),
        "an alarm goes on after the wait": ("if self._alarm is not None:", "if 0:"),
        "an alarm is left to ring": ("            self._alarm.cancel()\n", ""),
        "a waiter has one alarm in its life": ("            self._alarm = None\n", ""),
    },
    "Waiter.left_ms": {
        "no time limit is one": ("if self._deadline is None:", "if 0:"),
        "a time long past is not": ("max(0, ", "("),
        "the time that is left grows": (
            "ticks_diff(self._deadline, time.ticks_ms())",
            "ticks_diff(time.ticks_ms(), self._deadline)",
        ),
    },
    "ioctl": {
        "every request is a poll": ("if request != _POLL:", "if 0:"),
        "a message wakes nobody": ("self.poll() or ", ""),
        "time wakes nobody": (" or self.left_ms() == 0", ""),
        "all are awake all the time": (
            " if self.poll() or self.left_ms() == 0 else 0",
            "",
        ),
    },
    "block": {
        "each time it blocks takes memory": ("if self._poller is None:", "if 1:"),
        "it looks all the time": ("-1 if left is None else left", "0"),
        "no time limit is one": (
            "-1 if left is None else left",
            "0 if left is None else left",
        ),
    },
    "__next__": {
        "a message ends no wait": ("if ready or left == 0:", "if left == 0:"),
        "time ends no wait": ("if ready or left == 0:", "if ready:"),
        "a wait that is over is busy": ("            self.end()\n", ""),
        "a time-out is a message": ("StopIteration(ready)", "StopIteration(True)"),
        "a waiter that waits again is another task's too": ("        self.busy = True\n", ""),
        "no time limit needs an alarm": ("left is not None and ", ""),
        "each look sets an alarm": (" and self._alarm is None", ""),
        "nothing wakes the loop when the time has passed": (
            "self._alarm = asyncio.create_task(_sleep(left))",
            "pass",
        ),
        "the alarm rings late": ("_sleep(left)", "_sleep(left + 60000)"),
    },
    "throw": {
        "a cancelled wait goes on": ("        self.end()\n", ""),
        "a cancelled wait ends well": ("raise error", "raise StopIteration(False)"),
    },
    "ready": {
        "two tasks wait on one waiter": (" or waiter.busy", ""),
        "each wait makes a waiter": ("if waiter is None or waiter.busy:", "if 1:"),
        "a waiter is not kept": ("waiter = end._waiter = Waiter", "waiter = Waiter"),
        "there is no time limit": ("begin(timeout_ms)", "begin(None)"),
    },
    "arecv": {
        "closed is looked at after recv": [(_LOOK, ""), (_TAKE, _TAKE + _LOOK)],
        "a message is not returned": ("if m is not None or closed:", "if closed:"),
        "close ends no wait": ("m is not None or closed", "m is not None"),
        "a closed end's last message is lost": (
            "            return m\n",
            "            return None if closed else m\n",
        ),
        "the time starts anew with each wake-up": ("if waiter is None:", "if 1:"),
        "the time never passes": ("elif waiter.left_ms() == 0:", "elif 0:"),
    },
    "recv_wait": {
        "closed is looked at after recv": [
            (_WAIT_CLOSED, ""),
            (_WAIT_TAKE, _WAIT_TAKE + _WAIT_CLOSED),
        ],
        "the time is looked at after recv": [
            (_LATE, ""),
            (_WAIT_TAKE, _WAIT_TAKE + _LATE),
        ],
        "a message is not returned": ("m is not None or closed or late", "closed or late"),
        "close ends no wait": ("m is not None or closed or late", "m is not None or late"),
        "the time never passes": (
            "m is not None or closed or late",
            "m is not None or closed",
        ),
        "a waiter is used once": ("waiter.end()", "pass"),
    },
    "asend": {
        "a message is not checked": ("    sender._vet(data, priority)\n", ""),
        "close ends no wait": ("channel.closed or sender.free", "sender.free"),
        "room of any class will do": ("sender.free(priority)", "sender.free()"),
        "what is as large as a slot is refused": ("len(data) <= ", "len(data) < "),
        "what is larger than a slot waits": (
            "while len(data) <= channel.slot_size:",
            "while True:",
        ),
        "a wait for room counts as dropped": ("if room():", "if 1:"),
        "a message is sent twice under a guard": ("if sent or ", "if "),
        "a closed channel is sent to again under a guard": (" or channel.closed or ", " or "),
        "what is refused while there is room is sent again": (
            " or channel._guard is None",
            "",
        ),
        "room that another context took was had": (
            "if sent or channel.closed or channel._guard is None:",
            "if 1:",
        ),
        "the time starts anew with each wake-up": ("if waiter is None:", "if 1:"),
        "the time never passes": ("if not await waiter:", "if not await waiter and 0:"),
        "there is no time limit": ("begin(timeout_ms)", "begin(None)"),
        "what is larger than a slot is not counted": (
            "return sender.send(data, priority)  #",
            "return False  #",
        ),
    },
    "select": {
        "nothing is waited for": ("if not ends:", "if 0:"),
        "anything is waited for": ('if not hasattr(end, "_poll"):', "if 0:"),
        "an end without a message is chosen": ("if end._poll() and (", "if ("),
        "the last of several is chosen": (
            "(chosen is None or end._served < chosen._served)",
            "1",
        ),
        "the first of several is chosen": (" or end._served < chosen._served", ""),
        "there is no time limit": ("begin(timeout_ms)", "begin(None)"),
        "a choice is not made again": ("while chosen is None:", "if chosen is None:"),
        "the time never passes": ("if not await waiter:", "if not await waiter and 0:"),
        "all choices are one turn": ("    _turn += 1\n", ""),
        "a choice is not kept": ("    chosen._served = _turn\n", ""),
    },
}
