"""What the tests must find broken in request_reply.py."""

_REPLY_CHECKED = "            slow._check_message(data)\n"
_BUFFER_CHECKED = "            slow._check_buffer(buf)\n"
_FREE_ENTRY = "(_TABLE_BYTES + index * pitch >> 2) + _ISSUED, _OVER)"
_FREE_ENTRY_OF_0 = (_FREE_ENTRY, _FREE_ENTRY.replace("_OVER", "0"))
_ID_0 = "if id <= 0 or id >= _OVER or index >= own[_COUNT]:\n"
_GENERATION = "generation = (before >> 8 & _GENERATIONS) + 1"

MUTANTS = {
    "": {
        "a reply to the id 0 is taken": [
            _FREE_ENTRY_OF_0,
            ("entry[_ISSUED] != id or entry[_REPLIED] == id", "entry[_ISSUED] != id"),
            (
                _ID_0 + "            own[_LATE] += 1\n",
                _ID_0.replace("id <= 0 or ", "") + "            own[_LATE] += 1\n",
            ),
        ],
        "a status is more than 8 bits": [
            ("meta >> 16 & 0xFF\n        result[2]", "meta >> 16\n        result[2]"),
            ("[_STATUS] = status & 0xFF", "[_STATUS] = status"),
        ],
    },
    "send_request": {
        "issues after the request": [
            ("        entry[_ISSUED] = id\n", ""),
            (
                "        own[_FREE] = free\n",
                "        entry[_ISSUED] = id\n        own[_FREE] = free\n",
            ),
        ],
        "a generation is used twice": (
            _GENERATION,
            "generation = before >> 8 & _GENERATIONS | 1",
        ),
        "a request is sent without a free entry": ("if free < 0:", "if free < -1:"),
        "the last entry is not used": ("if free < 0:", "if free < 1:"),
        "what is no message is dropped where no entry is free": (
            "            check_message(data)\n",
            "",
        ),
        "a request without an entry is not counted": ("own[_NO_ENTRY] += 1", "pass"),
        "a request without an entry is counted twice": (
            "own[_NO_ENTRY] += 1",
            "own[_NO_ENTRY] += 2",
        ),
        "an entry in use is taken": ("own[_STACK])[free]", "own[_STACK])[0]"),
        "an id is used again at once": (_GENERATION, _GENERATION[:-4]),
        "generations do not start anew": ("generation >= _LAST_BUT_SOME", "0"),
        "a generation that starts anew is 0": (
            "generation = _LEAP | generation & 0xFF",
            "generation = generation & 0xFF",
        ),
        "the eight bits that a request carries start anew": (
            "_LEAP | generation & 0xFF",
            "_LEAP",
        ),
        "a reply of an earlier round is the new request's": (
            "entry[_REPLIED] == (generation << 8 | index)",
            "0",
        ),
        "a leap changes the eight bits that a request carries": (
            "generation += _LEAP",
            "generation += 1",
        ),
        "the clock's register is not read": ("if register:", "if 0:"),
        "when it was asked is not kept": (
            "entry[_ASKED] = int(slow._ticks())",
            "slow._ticks()",
        ),
        "a request that was not sent is outstanding": (
            "            if not sent:\n                entry[_ISSUED] = before\n",
            "            pass\n",
        ),
        "a request that was sent is not outstanding": (
            "            if not sent:\n                entry[_ISSUED] = before\n",
            "            entry[_ISSUED] = before\n",
        ),
        "a request that raises is outstanding": (
            "        finally:\n            if not",
            "        except ZeroDivisionError:\n            pass\n"
            "        if 1:\n            if not",
        ),
        "a request that was not sent has an id": (
            "        if not sent:\n            return 0\n",
            "",
        ),
        "a request carries no generation": ("index | (generation & 0xFF) << 8", "index"),
        "an entry is used without being taken": ("        own[_FREE] = free\n", ""),
        "a request sent without an id takes an entry": [
            ("        own[_FREE] = free\n", ""),
            (
                "        if not sent:\n            return 0\n",
                "        own[_FREE] = free\n        if not sent:\n            return 0\n",
            ),
        ],
    },
    "recv_response": {
        "a buffer is not checked": (_BUFFER_CHECKED, ""),
        "a buffer of another length is not checked": ("room != own[_BUFFER_LENGTH] or ", ""),
        "a buffer at another address is not checked": (
            " or (target - own[_BUFFER_ADDRESS]) & 0x3FFFFFFF",
            "",
        ),
        "a wrong buffer is not wrong twice": [
            (_BUFFER_CHECKED, ""),
            (
                "            own[_BUFFER_ADDRESS] = target\n",
                "            own[_BUFFER_ADDRESS] = target\n" + _BUFFER_CHECKED,
            ),
        ],
        "the id of a free entry is pending": ("id >= _OVER or ", ""),
        "an id beyond the table is looked up": (" or index >= own[_COUNT]", ""),
        "an id one beyond the table is looked up": ("index >= own", "index > own"),
        "a reply is there for an id that is not outstanding": (
            "        if entry[_ISSUED] != id:\n            slow._unknown(id)\n",
            "",
        ),
        "a pending request has a reply": ("if entry[_REPLIED] != id:", "if 0:"),
        "a reply of 32 KiB is cut": ("size = meta & 0xFFFF", "size = meta & 0x7FFF"),
        "a reply that is larger than the buffer is written": ("if size > room:", "if 0:"),
        "a reply that fills the buffer is too large": ("if size > room:", "if size >= room:"),
        "an unaligned buffer is written by words": ("if not target & 3:", "if not target & 1:"),
        "words are written until the last byte": (
            "while source <= last:",
            "while source < end:",
        ),
        "a word is written where bytes are left": ("last = end - 4", "last = end - 3"),
        "a byte too many is written": ("while source < end:", "while source <= end:"),
        "the last bytes are not written": ("while source < end:", "while 0:"),
        "the clock's register is not read": ("if register:", "if 0:"),
        "a latency is wrong at the wrap of the clock": (" & own[_PERIOD]", ""),
        "a latency has the wrong sign": (
            "now - entry[_ASKED]",
            "entry[_ASKED] - now",
        ),
        "the size is not in the result": ("        result[0] = size\n", ""),
        "the status is not in the result": ("        result[1] = meta >> 16 & 0xFF\n", ""),
        "the latency is not in the result": ("        result[2] = latency\n", ""),
        "a reply is taken twice": ("        entry[_ISSUED] = id | _OVER\n", ""),
        "a generation is forgotten with its reply": ("= id | _OVER", "= _OVER"),
        "the wrong entry is free": ("own[_STACK])[free] = index", "own[_STACK])[free] = 0"),
        "the entry is not free": ("        own[_FREE] = free + 1\n", ""),
        "a reply is not counted": ("own[_TAKEN] += 1", "pass"),
        "a reply is counted twice": ("own[_TAKEN] += 1", "own[_TAKEN] += 2"),
        "a round trip is not measured": ("slow._add(latency)", "pass"),
    },
    "cancel": {
        "an id is cancelled twice": ("id >= _OVER or ", ""),
        "an id beyond the table is cancelled": (" or index >= own[_COUNT]", ""),
        "an id one beyond the table is cancelled": ("index >= own", "index > own"),
        "a request that is not outstanding is cancelled": (
            "        if entry[_ISSUED] != id:\n            return False\n",
            "",
        ),
        "a cancelled request is outstanding": ("        entry[_ISSUED] = id | _OVER\n", ""),
        "a generation is forgotten with its request": ("= id | _OVER", "= _OVER"),
        "the wrong entry is free": ("own[_STACK])[free] = index", "own[_STACK])[free] = 0"),
        "the entry is not free": ("        own[_FREE] = free + 1\n", ""),
    },
    "is_over": {
        "a reply ends no wait": ("entry[_REPLIED] == id or ", ""),
        "what was cancelled is waited for": (" or entry[_ISSUED] != id", ""),
        "another entry is looked at": ("(id & 0xFF)", "0"),
    },
    "recv_request": {
        "the server gets a request that was given up": ("if not issued & _OVER and ", "if "),
        "the server gets an earlier request of the entry": (
            " and (issued >> 8 & 0xFF) == (meta >> 24 & 0xFF)",
            "",
        ),
        "generations are told apart by seven bits": [
            ("issued >> 8 & 0xFF", "issued >> 8 & 0x7F"),
            ("meta >> 24 & 0xFF", "meta >> 24 & 0x7F"),
        ],
        "the sign of what is queued counts": ("meta >> 24 & 0xFF", "meta >> 24"),
        "no request is a request": ("if not m:", "if 0:"),
        "an entry above 127 is another": ("meta >> 16 & 0xFF", "meta >> 16 & 0x7F"),
        "the size is not in the result": ("                result[0] = m[0]\n", ""),
        "the id is not in the result": ("                result[1] = issued\n", ""),
        "the latency is not in the result": ("                result[2] = m[2]\n", ""),
        "a cancelled request ends the search": (
            "                return result\n",
            "                return result\n            return None\n",
        ),
    },
    "send_response": {
        "publishes before the payload": (
            "        target = int(entry) + _ENTRY_BYTES\n",
            "        entry[_REPLIED] = id\n        target = int(entry) + _ENTRY_BYTES\n",
        ),
        "replies before the size": (
            "        entry[_REPLY_META] = size | status << 16\n",
            "        entry[_REPLIED] = id\n        entry[_REPLY_META] = size | status << 16\n",
        ),
        "a request is answered twice": (
            "entry[_ISSUED] != id or entry[_REPLIED] == id",
            "entry[_ISSUED] != id",
        ),
        "a request that was given up is answered": ("entry[_ISSUED] != id or ", ""),
        "a status is the next reply's too": ("        own[_STATUS] = 0\n", ""),
        "a status outlives the reply that it did not go with": [
            ("        own[_STATUS] = 0\n", ""),
            (
                "        entry[_REPLIED] = id",
                "        own[_STATUS] = 0\n        entry[_REPLIED] = id",
            ),
        ],
        "a reply is not checked": (_REPLY_CHECKED, ""),
        "a reply of another length is not checked": ("size != own[_REPLY_LENGTH] or ", ""),
        "a reply at another address is not checked": (
            " or (source - own[_REPLY_ADDRESS]) & 0x3FFFFFFF",
            "",
        ),
        "a wrong reply is not wrong twice": [
            (_REPLY_CHECKED, ""),
            (
                "            own[_REPLY_ADDRESS] = source\n",
                "            own[_REPLY_ADDRESS] = source\n" + _REPLY_CHECKED,
            ),
        ],
        "the id of a free entry is answered": ("id >= _OVER or ", ""),
        "an id beyond the table is answered": (" or index >= own[_COUNT]", ""),
        "an id one beyond the table is answered": ("index >= own", "index > own"),
        "a reply to what cannot be an id is not counted": (
            "own[_COUNT]:\n            own[_LATE] += 1\n",
            "own[_COUNT]:\n",
        ),
        "a late reply is not counted": (
            "entry[_REPLIED] == id:\n            own[_LATE] += 1\n",
            "entry[_REPLIED] == id:\n",
        ),
        "a late reply is counted twice": (
            "entry[_REPLIED] == id:\n            own[_LATE] += 1\n",
            "entry[_REPLIED] == id:\n            own[_LATE] += 2\n",
        ),
        "a reply a byte too large is taken": (
            "size >= own[_REPLY_LIMIT]",
            "size > own[_REPLY_LIMIT]",
        ),
        "a reply too large is not counted": ("own[_TOO_LARGE] += 1", "pass"),
        "a reply too large is counted twice": ("own[_TOO_LARGE] += 1", "own[_TOO_LARGE] += 2"),
        "an unaligned reply is copied by words": ("if not source & 3:", "if not source & 1:"),
        "words are read until the last byte": ("while source <= last:", "while source < end:"),
        "a word is read where bytes are left": ("last = end - 4", "last = end - 3"),
        "a byte too many is copied": ("while source < end:", "while source <= end:"),
        "the last bytes are not copied": ("while source < end:", "while 0:"),
        "the status does not go along": ("size | status << 16", "size"),
    },
    "send_status": {
        "no status is set": ("ptr32(table)[_STATUS] = status & 0xFF", "pass"),
    },
    "_check_message": {
        "a reply is not checked": ("        check_message(data)\n", ""),
        "what was checked may go, and another come in its place": (
            "        self._kept_reply[0] = data\n",
            "",
        ),
    },
    "RequestReplyChannel.__init__": {
        "a reply of slot_size bytes is too large": (
            "(_REPLY_LIMIT, slot_size + 1)",
            "(_REPLY_LIMIT, slot_size)",
        ),
        "the clock's register is not known": (
            "(_CLOCK_REGISTER, self.clock.register)",
            "(_CLOCK_REGISTER, 0)",
        ),
        "every clock wraps at 2**30": ("self.clock.period - 1", "(1 << 30) - 1"),
        "the free entries are all the same": ("= capacity - 1 - index", "= 0"),
        "a channel with a name is in no report": ("if name is not None:", "if 0:"),
        "a channel without a name is in the report": ("if name is not None:", "if 1:"),
        "recv gives cancelled requests": (
            "self.recv = self.recv_request =",
            "self.recv = take\n        self.recv_request =",
        ),
    },
    "RequestReplyChannel": {
        "half of the generations have no class": ("_classes = 1 << 16", "_classes = 1 << 15"),
    },
    "memory": {
        "memory is for no check": ("cls._capacities(capacity)", "(capacity,)"),
    },
    "RequestReplyChannel._bytes": {
        "the free entries have no room": (
            "(_entry_pitch(slot_size) + 1)",
            "_entry_pitch(slot_size)",
        ),
    },
    "_capacities": {
        "a capacity of 0 is taken": ("capacity, 1, 255", "capacity, 0, 255"),
        "a capacity of 256 is taken": ("capacity, 1, 255", "capacity, 1, 256"),
    },
    "dropped": {
        "what found the lane full is not counted": ("self._sum(_DROPPED) + ", ""),
        "what found no entry is not counted": (" + _load(self._table, _NO_ENTRY)", ""),
    },
    "refused": {
        "requests are not counted": ("self._sum(_REFUSED) + ", ""),
        "replies are not counted": (" + _load(self._table, _TOO_LARGE)", ""),
    },
    "free": {
        "what cancelled requests take is free": (
            "min(_load(self._table, _FREE), self._free(0, None))",
            "_load(self._table, _FREE)",
        ),
        "what pending requests take is free": (
            "min(_load(self._table, _FREE), self._free(0, None))",
            "self._free(0, None)",
        ),
    },
    "is_full": {
        "a full channel is not": ("not self.free()", "False"),
    },
    "RequestReplyChannel.check": {
        "nothing is wrong": ("self._senders[0].check(data, 0)", "pass"),
    },
    "call": {
        "a cancelled call keeps its id": ("exchange.close()", "pass"),
        "the next reply is in the same list": ("return tuple(self._reply)", "return self._reply"),
    },
    "call_wait": {
        "an interrupted call keeps its id": ("exchange.close()", "pass"),
        "the next reply is in the same list": ("return tuple(self._reply)", "return self._reply"),
    },
    "_exchange": {
        "a closed channel is called": (
            "        if self.closed:\n            raise self._reset()\n        self.check",
            "        self.check",
        ),
        "a request is not checked": ("        self.check(data)\n", ""),
        "a buffer is not checked": ("        check_buffer(buf)\n", ""),
        "a buffer may be small": ("if len(buf) < self.slot_size:", "if 0:"),
        "a buffer of slot_size bytes is small": (
            "len(buf) < self.slot_size",
            "len(buf) <= self.slot_size",
        ),
        "close ends no wait": ("return self.closed or ", "return "),
        "a wait for a reply is one for room": (
            "(self._is_over(id) if id else self.free())",
            "self.free()",
        ),
        "no wait for room ends": ("if id else self.free())", "if id else 0)"),
        "there is no time limit": (".begin(timeout_ms)", ".begin(None)"),
        "a request is sent again": (
            "                if id:\n                    if self.recv",
            "                if 0:\n                    if self.recv",
        ),
        "a reply is not taken": ("if self.recv_response(id, buf) is not None:", "if 0:"),
        "a wait for room counts as dropped": ("elif self.free():", "else:"),
        "the other core's server sleeps on": ("self.notify()  # the server", "pass  # the server"),
        "close ends no call": (
            "                if self.closed:\n                    raise self._reset()\n",
            "",
        ),
        "a reply is lost to close": [
            (
                "                if self.closed:\n                    raise self._reset()\n",
                "",
            ),
            (
                "                if id:\n                    if self.recv",
                "                if self.closed:\n                    raise self._reset()\n"
                "                if id:\n                    if self.recv",
            ),
        ],
        "the time never passes": ("waiter.left_ms() == 0", "False"),
        "a reply is lost to the time": (
            "                if id:\n                    if self.recv",
            "                if waiter.left_ms() == 0:\n"
            "                    raise OSError(errno.ETIMEDOUT, self._title())\n"
            "                if id:\n                    if self.recv",
        ),
        "a server too slow is said to be no room": (
            '"no reply in" if id else ',
            '"no reply in" if not id else ',
        ),
        "what was given up keeps its id": (
            "            if id:\n                self.cancel(id)\n",
            "",
        ),
    },
    "serve": {
        "what is queued at close is not answered": (
            " is not None:",
            " is not None and not self.closed:",
        ),
        "a handler's coroutine is the reply": ('if hasattr(reply, "send"):', "if 0:"),
        "an error ends the server": ("except Exception as", "except ValueError as"),
        "an error is not told": ("self._fail(id, error)", "pass"),
        "a handler gets the whole buffer": ("view[:size]", "view"),
    },
    "serve_wait": {
        "what is queued at close is not answered": (
            " is not None:",
            " is not None and not self.closed:",
        ),
        "an error ends the server": ("except Exception as", "except ValueError as"),
        "an error is not told": ("self._fail(id, error)", "pass"),
        "a handler gets the whole buffer": ("view[:size]", "view"),
    },
    "_answer": {
        "a tuple is no reply": ("if isinstance(reply, tuple):", "if 0:"),
        "an int is no reply": ("elif isinstance(reply, int):", "elif 0:"),
        "None is no reply": ("elif reply is None:", "elif 0:"),
        "a status of 256 is cut": ("status, 0, 255", "status, 0, 256"),
        "a status below 0 is cut": ("status, 0, 255", "status, -1, 255"),
        "a status is not checked": ('        whole("status", status, 0, 255)\n', ""),
        "a reply too large is no reply": ("if len(reply) > self.slot_size:", "if 0:"),
        "a reply that fills its slot is too large": (
            "len(reply) > self.slot_size",
            "len(reply) >= self.slot_size",
        ),
        "the status is lost": ("send_status(id, reply, status)", "send_response(id, reply)"),
        "the other core's client sleeps on": ("self.notify()", "pass"),
    },
    "_fail": {
        "an error is not printed": ("sys.print_exception(error)", "pass"),
        "an error is an answer": ("FAILED", "0"),
        "an error is not told": ('self.send_status(id, b"", FAILED)', "pass"),
        "the other core's client sleeps on": ("self.notify()", "pass"),
    },
    "__repr__": {
        "a closed channel looks open": ('", closed" if self.closed else ""', '""'),
        "late replies are not printed": ("            self.late,\n", "            0,\n"),
    },
    "_unknown": {
        "no error is raised": ("raise _error", "_error"),
    },
    "_entry_pitch": {
        "entries are not aligned": ("(slot_size + 3 & ~3)", "slot_size"),
        "entries overlap": ("slot_size + 3 & ~3", "slot_size & ~3"),
    },
}
