"""What the tests must find broken in guard.py."""

_CLASS = "priority >= part[_CLASSES]"
_UNUSED = "if not ptr32(int(part) + part[_OWN_LANES] + priority * part[_PLACE_STEP])[_CAPACITY]:"
_FINALLY = "        finally:\n"
_NO_FINALLY = "        except ZeroDivisionError:\n            pass\n        if 1:\n"

_SENDING = {  # of each verb
    "a class below 0 is found under the guard": ("priority < 0 or ", ""),
    "a class of 5 is found under the guard": (" or " + _CLASS, ""),
    "the first class too many is found under the guard": (
        _CLASS,
        _CLASS.replace(">=", ">"),
    ),
    "a class of capacity 0 is found under the guard": (_UNUSED, "if 0:"),
    "the guard is not taken": ("state = slow._enter()", "state = 0"),
    "the guard is not given back": ("        slow._leave(state)\n", ""),
    "the guard is given back in another state": ("slow._leave(state)", "slow._leave(1)"),
}
_MESSAGE = {  # of those that send a message
    "a message is not checked": ("            slow._check(data)\n", "            pass\n"),
    "only a message that was checked is": (
        "if data is not slow._kept[0]:",
        "if not data is not slow._kept[0]:",
    ),
}
_WORD = {
    "a word that is no int is found under the guard": ("        int(value)", "        int(0)")
}
_TIME = {
    "a time that is no int is found under the guard": ("        int(ticks)", "        int(0)")
}
_RECEIVING = {  # of each verb
    "the guard is not taken": ("state = slow._enter()", "state = 0"),
    "the guard is given back in another state": ("slow._leave(state)", "slow._leave(1)"),
}
_RESULT = {  # of those with a result
    "no message is a message": ("if m:", "if 1:"),
    "what was received is not told": ("if m:", "if 0:"),
    "the size or value is not in the result": ("result[0] = m[0]", "pass"),
    "the class is not in the result": ("result[1] = m[1]", "pass"),
    "the latency is not in the result": ("result[2] = m[2]", "pass"),
    "the stamp is not kept": ("slow._stamp[0] = stamp_of()", "pass"),
    "the result is every receiver's": ("m = result", "pass"),
}

MUTANTS = {
    "IrqGuard.__init__": {
        "a board that cannot mask interrupts has a guard": (
            'if sys.implementation.name == "micropython":',
            "if 0:",
        ),
        "a host has no guard": ('if sys.implementation.name == "micropython":', "if 1:"),
    },
    "LockGuard.leave": {
        "the lock is kept": ("self._release()", "pass"),
    },
    "guard_sender": {
        "None is a message that was checked": ("    slow._kept[0] = slow  # no message\n", ""),
    },
    "guard_sender.send": dict(_SENDING, **_MESSAGE),
    "guard_sender.send_word": dict(_SENDING, **_WORD),
    "guard_sender.send_at": dict(_SENDING, **_MESSAGE, **_TIME),
    "guard_sender.send_word_at": dict(_SENDING, **_WORD, **_TIME),
    "GuardedReceiver.closed": {
        "an end is never closed": ("return self._channel.closed", "return False"),
    },
    "GuardedReceiver.timestamp": {
        "every stamp is 0": ("return self._stamp[0]", "return 0"),
    },
    "_vet_words": {
        "None is an array that was checked": ("words is None or ", ""),
        "an array is not checked": ("            check_words(words)\n", ""),
        "a second array is not checked": ("words is not self._kept[1]", "self._kept[1] is None"),
        "a wrong array is not wrong twice": (
            "            check_words(words)\n            self._kept[1] = words\n",
            "            self._kept[1] = words\n            check_words(words)\n",
        ),
    },
    "_vet": {
        "a buffer is not checked": ("            check_buffer(buf)\n", ""),
        "a second buffer is not checked": ("buf is not self._kept[0]", "self._kept[0] is None"),
        "a wrong buffer is not wrong twice": (
            "            check_buffer(buf)\n            self._kept[0] = buf\n",
            "            self._kept[0] = buf\n            check_buffer(buf)\n",
        ),
        "a buffer may be small": ("if len(buf) < self._channel.slot_size:", "if 0:"),
        "a buffer of slot_size bytes is small": (
            "len(buf) < self._channel",
            "len(buf) <= self._channel",
        ),
    },
    "share_receiver": {
        "the channel's stamp is any receiver's": (
            "channel.clear, channel.timestamp = first.skip, first.clear, first.timestamp",
            "channel.clear = first.skip, first.clear",
        ),
        "the channel skips without its guard": (
            "channel.skip, channel.clear, channel.timestamp = first.skip, ",
            "channel.clear, channel.timestamp = ",
        ),
        "the channel clears without its guard": (
            "channel.clear, channel.timestamp = first.skip, first.clear, ",
            "channel.timestamp = first.skip, ",
        ),
    },
    "_guarded.recv": dict(
        _RECEIVING,
        **_RESULT,
        **{
            "a buffer is not looked at": ("        slow._vet(buf)\n", ""),
            "the guard is not given back": ("        slow._leave(state)\n", ""),
        },
    ),
    "_guarded.recv_word": dict(
        _RECEIVING, **_RESULT, **{"what is no word keeps the guard": (_FINALLY, _NO_FINALLY)}
    ),
    "_guarded.recv_words": dict(
        _RECEIVING,
        **{
            "an array is not looked at": ("        slow._vet_words(words)\n", ""),
            "what is no word keeps the guard": (_FINALLY, _NO_FINALLY),
        },
    ),
    "_guarded.skip": dict(
        _RECEIVING, **{"the guard is not given back": ("        slow._leave(state)\n", "")}
    ),
    "_guarded.clear": dict(
        _RECEIVING, **{"the guard is not given back": ("        slow._leave(state)\n", "")}
    ),
}
