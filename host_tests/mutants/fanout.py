"""What the tests must find broken in fanout.py."""

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_SENT = "                slot[_META] = size "
_WORD_SENT = "                slot[_META] = 4 "

# What send and send_word have in common.
_BOTH = {
    "a clock without a register is read at address 0": ("if register:", "if not register:"),
    "the stamp is not what the clock's register says": (
        "now = ptr32(register)[0]",
        "now = register",
    ),
    "the time given is not used": ("elif part[_AT_SET]:", "elif 0:"),
    "the time given sticks": ("            part[_AT_SET] = 0\n", ""),
    "the clock is read after head": [
        ("now = int(slow._ticks())", "now = -1"),
        (
            "                slot[_TIME] = now\n",
            "                if now == -1:\n                    now = int(slow._ticks())\n"
            "                slot[_TIME] = now\n",
        ),
    ],
    "a class below 0 is taken": ("priority < 0 or ", ""),
    "a class of 5 is taken": ("priority >= part[_CLASSES]", "priority > part[_CLASSES]"),
    "a message that is refused is not counted": (
        "            ptr32(own)[_REFUSED] += 1\n",
        "            pass\n",
    ),
    "a message that is refused is counted as dropped": (
        "ptr32(own)[_REFUSED] += 1",
        "ptr32(own)[_DROPPED] += 1",
    ),
    "every policy sends to all": ("        policy = part[_POLICY]\n", "        policy = 0\n"),
    "one of a pool is given a message that has been given": ("wanted = 1", "wanted = 2"),
    "the first place is always looked at first": ("at = part[_TURN]", "at = 0"),
    "a policy is not asked for its choice": ("if policy != _IN_TURN:", "if 0:"),
    "in turn means those of the sender's core": ("if policy != _IN_TURN:", "if policy:"),
    "multicast takes one receiver": (
        "        if policy:\n            wanted",
        "        if 1:\n            wanted",
    ),
    "one place is not looked at": ("while left:", "while left > 1:"),
    "the last place is not looked at": ("if at == places:", "if at >= places - 1:"),
    "the room is read again for the epoch": (
        "(room >> 16 & 0xFF) << 24",
        "(lane[_ROOM] >> 16 & 0xFF) << 24",
    ),
    "the room is read again for the limit": (
        "if used < (room & 0xFFFF):",
        "if used < (lane[_ROOM] & 0xFFFF):",
    ),
    "a full lane seems empty at the wrap of head": (
        "if used < 0:\n                used += capacity + capacity",
        "if used < 0:\n                used += capacity",
    ),
    "any lane seems empty at the wrap of head": ("if used < 0:", "if 0:"),
    "the epoch counts as room": ("if used < (room & 0xFFFF):", "if used < room:"),
    "the second round goes beyond the lane": ("if index >= capacity:", "if index > capacity:"),
    "the class is not written": ("| priority << 16 ", ""),
    "the epoch is not written": (" | (room >> 16 & 0xFF) << 24", ""),
    "the stamp is not written": ("                slot[_TIME] = now\n", ""),
    "head does not wrap": ("if head == capacity + capacity:", "if 0:"),
    "head wraps after one round": ("if head == capacity + capacity:", "if head == capacity:"),
    "high_water is one too low": ("                used += 1\n", ""),
    "high_water goes down again": ("if used > lane[_HIGH_WATER]:", "if 1:"),
    "high_water is not written": ("if used > lane[_HIGH_WATER]:", "if 0:"),
    "all of a pool take a message": ("if took == wanted:", "if 0:"),
    "multicast stops at the first": ("if took == wanted:", "if took:"),
    "what a place without a receiver misses is counted": (
        "elif room & 0xFFFF and not policy:",
        "elif not policy:",
    ),
    "what a place misses whose receiver has closed is counted": (
        "elif room & 0xFFFF and not policy:",
        "elif room and not policy:",
    ),
    "anycast counts every place that has no room": (
        "elif room & 0xFFFF and not policy:",
        "elif room & 0xFFFF:",
    ),
    "what a receiver misses is not counted": (
        "                lane[_DROPPED] += 1\n",
        "                pass\n",
    ),
    "what a receiver misses is counted twice": ("lane[_DROPPED] += 1", "lane[_DROPPED] += 2"),
    "what a multicast finds nobody for is counted": (
        "        if policy:\n            if took:",
        "        if 1:\n            if took:",
    ),
    "no more than one taker is told of": ("return took", "return 1 if took else 0"),
}

MUTANTS = {
    "send": {
        **_BOTH,
        "publishes before the payload": (_SENT, " " * 16 + _PUBLISH + _SENT),
        "the turn goes on where nobody had room": (
            "            if took:\n                part[_TURN] = at\n            else:\n",
            "            part[_TURN] = at + 1 - took\n            if part[_TURN] == places:\n"
            "                part[_TURN] = 0\n            if not took:\n",
        ),
        "what nobody has room for is not counted": (
            "                ptr32(own)[_DROPPED] += 1",
            "                pass",
        ),
        "messages all go to the first with room": (
            "            if took:\n                part[_TURN] = at\n            else:\n",
            "            if not took:\n",
        ),
        "a message is never checked": (
            "if size != part[_TX_LENGTH] or (source - part[_TX_ADDRESS]) & 0x3FFFFFFF:",
            "if 0:",
        ),
        "another message of the same size is not checked": (
            " or (source - part[_TX_ADDRESS]) & 0x3FFFFFFF",
            "",
        ),
        "another size at the same address is not checked": ("size != part[_TX_LENGTH] or ", ""),
        "what has failed the check passes the next time": (
            "            slow._check_message(data)\n            part[_TX_LENGTH] = size\n"
            "            part[_TX_ADDRESS] = source\n",
            "            part[_TX_LENGTH] = size\n            part[_TX_ADDRESS] = source\n"
            "            slow._check_message(data)\n",
        ),
        "a message of a byte more than a slot is taken": (
            "if size >= part[_LIMIT]:",
            "if size > part[_LIMIT]:",
        ),
        "a closed channel takes what is empty": (
            "if size >= part[_LIMIT]:",
            "if size and size >= part[_LIMIT]:",
        ),
        "a receiver may lag by one too many": (
            "if used < (room & 0xFFFF):",
            "if used <= (room & 0xFFFF) and used < capacity:",
        ),
        "the size is not written": ("slot[_META] = size |", "slot[_META] ="),
        "an unaligned message is copied by words": ("if not source & 3:", "if not source & 1:"),
        "the last 12 bytes are copied as 16": (
            "while begin <= last:\n                        words",
            "while begin <= last + 4:\n                        words",
        ),
        "of four words one is not copied": ("                        to[2] = words[2]\n", ""),
        "the last 3 bytes are copied as 4": (
            "while begin <= last:\n                        ptr32",
            "while begin <= last + 1:\n                        ptr32",
        ),
        "the last byte is not copied": ("while begin < end:", "while begin < end - 1:"),
    },
    "send_word": {
        **_BOTH,
        "publishes before the payload": (_WORD_SENT, " " * 16 + _PUBLISH + _WORD_SENT),
        "a receiver may lag by one too many": (
            "if used < (room & 0xFFFF):",
            "if used <= (room & 0xFFFF) and used < capacity:",
        ),
        "words all go to the first with room": (
            "            if took:\n                part[_TURN] = at\n            else:\n",
            "            if not took:\n",
        ),
        "the turn goes on where nobody had room": (
            "            if took:\n                part[_TURN] = at\n            else:\n",
            "            part[_TURN] = at + 1 - took\n            if part[_TURN] == places:\n"
            "                part[_TURN] = 0\n            if not took:\n",
        ),
        "what nobody has room for is not counted": (
            "                ptr32(own)[_DROPPED] += 1",
            "                pass",
        ),
        "a word goes into a slot of 3": ("if 4 >= part[_LIMIT]:", "if 4 > part[_LIMIT]:"),
        "a closed channel takes words": ("if 4 >= part[_LIMIT]:", "if 4 == part[_LIMIT]:"),
        "the size is not written": ("slot[_META] = 4 |", "slot[_META] ="),
    },
    "send_at": {
        "the time is not the one given": ("part[_AT] = ticks", "part[_AT] = 0"),
        "the time given is not set": ("        part[_AT_SET] = 1\n", ""),
        "the clock's register stamps all the same": ("        part[_CLOCK] = 0\n", ""),
        "the class is not passed on": ("return send(data, priority)", "return send(data, 0)"),
    },
    "send_word_at": {
        "a value that is none leaves its time behind": (
            "        int(value)  # raises if it is none, before anything changes\n",
            "",
        ),
        "the time is not the one given": ("part[_AT] = ticks", "part[_AT] = 0"),
        "the time given is not set": ("        part[_AT_SET] = 1\n", ""),
        "the clock's register stamps all the same": ("        part[_CLOCK] = 0\n", ""),
        "the class is not passed on": (
            "return send_word(value, priority)",
            "return send_word(value, 0)",
        ),
    },
    "": {
        "a closed receiver has nothing to refuse": (
            "_store(_nobody, (_RX_BYTES >> 2) + _HEAD, 1)\n",
            "",
        ),
        "a closed receiver has one sender": (
            "_store(_nobody, (_RX_BYTES >> 2) + _REST, _LANE_BYTES)\n",
            "",
        ),
        "a closed receiver has no lane": ("_store(_nobody, _LANES, _RX_BYTES)\n", ""),
    },
    "FanoutReceiver.__init__": {
        "a new receiver keeps what is queued": (
            "            channel._unread += self._abandon(header)"
            "  # it was for an earlier receiver\n",
            "",
        ),
        "opens before its lanes are emptied": (
            "        block = channel._block\n",
            "        block = channel._block\n"
            "        self._told = epoch << 16 | core << 24\n"
            "        for header in self._headers:\n"
            "            _store(block, header + _ROOM, limit | self._told)\n",
        ),
        "inherits what an earlier one missed": (
            "self._dropped_before = self._sum(_DROPPED)",
            "self._dropped_before = 0",
        ),
        "inherits what an earlier one received": (
            "self._received_before = self._sum(_RECEIVED)",
            "self._received_before = 0",
        ),
        "every receiver has the first id": ("self.id = place", "self.id = 0"),
        "has no name": ("self.name = name", "self.name = None"),
        "is closed from the beginning": ("self._open = True", "self._open = False"),
        "has the epoch of an earlier one": (
            "_store(block, (start >> 2) + _EPOCH, epoch)",
            "_store(block, (start >> 2) + _EPOCH, 0)",
        ),
        "has the timestamp of an earlier one": (
            "        _store(block, (start >> 2) + _STAMP, 0)  # as long as nothing is received\n",
            "",
        ),
        "takes the buffer of an earlier one for checked": (
            "        _forget_buffers(block, start >> 2)\n",
            "",
        ),
        "what was for an earlier one is not counted": (
            "channel._unread += self._abandon(header)",
            "self._abandon(header)",
        ),
        "takes what was on its way to an earlier one": ("if epoch:", "if 0:"),
        "there are no statistics": ("if channel._with_stats:", "if 0:"),
        "there are statistics unasked": ("if channel._with_stats:", "if 1:"),
        "the sender is not told the epoch": ("epoch << 16 | core << 24", "core << 24"),
        "the sender is not told the core": ("epoch << 16 | core << 24", "epoch << 16"),
        "the limit is the capacity": ("limit | self._told", "channel.capacity | self._told"),
        "only the first sender is let in": (
            "        for header in self._headers:\n            _store(block, header + _ROOM",
            "        for header in self._headers[:1]:\n            _store(block, header + _ROOM",
        ),
    },
    "FanoutReceiver.closed": {
        "a closed receiver of an open channel is open": ("not self._open or ", ""),
        "a receiver of a closed channel is open": (" or self._channel.closed", ""),
    },
    "FanoutReceiver.received": {
        "what an earlier one received is among it": (" - self._received_before", ""),
    },
    "FanoutReceiver.close": {
        "one that has closed is still sent to": (
            "            _store(block, header + _ROOM, self._told)  # room for none\n",
            "            pass\n",
        ),
        "a second close is an error": ("if not self._open:", "if 0:"),
        "the lanes are emptied before they are shut": [
            (
                "        for header in self._headers:\n"
                "            _store(block, header + _ROOM, self._told)  # room for none\n",
                "",
            ),
            (
                "            unread += self._abandon(header)\n",
                "            unread += self._abandon(header)\n"
                "        for header in self._headers:\n"
                "            _store(block, header + _ROOM, self._told)\n",
            ),
        ],
        "what an earlier one was sent is unread here": (
            "        self._next_lane()  # what an earlier receiver was sent is not unread here\n",
            "",
        ),
        "only one sender's messages are unread": ("unread += self", "unread = self"),
        "what it missed is forgotten": (
            "        self._dropped_before -= self._sum(_DROPPED)\n",
            "",
        ),
        "what it received is forgotten": (
            "        self._received_before -= self._sum(_RECEIVED)\n",
            "",
        ),
        "goes on counting what the next one does": ("        self._headers = ()\n", ""),
        "stays open": ("        self._open = False\n", ""),
        "verbs find nothing instead of an error": ("        self._next_lane = self._refuse\n", ""),
        "verbs take what is the next one's": ("        self._point_at(_nobody)\n", ""),
        "its id is not free": ("        channel._leave(self, unread)\n", ""),
        "tells of nothing unread": ("        return unread\n", "        return 0\n"),
    },
    "FanoutReceiver._abandon": {
        "a count at the wrap is below 0": ("if count < 0:", "if 0:"),
        "a count at the wrap is too small": ("2 * _load", "1 * _load"),
        "nothing is emptied": ("        _store(block, header + _TAIL, head)\n", ""),
        "what comes meanwhile is lost": (
            "_store(block, header + _TAIL, head)",
            "_store(block, header + _TAIL, _load(block, header + _HEAD))",
        ),
    },
    "FanoutReceiver.__len__": {
        "only one sender's messages are queued": ("queued += self", "queued = self"),
    },
    "FanoutReceiver._own": {
        "an empty lane may hold an old message": (
            "if index != _load(block, header + _HEAD):",
            "if 1:",
        ),
        "the second round is looked up beyond the lane": (
            "if index >= capacity:",
            "if index > capacity:",
        ),
        "an old message is one's own": ("queued -= block[slot + 3] != epoch", "queued -= 0"),
        "all are old messages": ("queued -= block[slot + 3] != epoch", "queued -= 1"),
    },
    "FanoutReceiver.__bool__": {
        "an empty receiver is false": ("return True", "return len(self) > 0"),
    },
    "FanoutReceiver.__repr__": {
        "a closed one does not say so": (
            '", closed" if self.closed else "",',
            '", closed" if 0 else "",',
        ),
        "an open one seems closed": (
            '", closed" if self.closed else "",',
            '", closed" if 1 else "",',
        ),
    },
    "FanoutReceiver._title": {
        "no name is a name": (
            '"" if self.name is None else " %r" % self.name',
            '" %r" % (self.name,)',
        ),
        "the name is not told": ('"" if self.name is None', '"" if 1'),
    },
    "FanoutReceiver._sum": {
        "only one sender's are counted": ("total += _load", "total = _load"),
    },
    "FanoutReceiver._refuse": {
        "nothing is an error": (
            'raise _error(ValueError, "%s is closed", self._was)',
            "return 0",
        ),
    },
    "Fanout.__init__": {
        "only the first sender has the policy": (
            "for number in range(senders):",
            "for number in range(1):",
        ),
        "the policy is not set": ("word + _POLICY, policy)", "word + _POLICY, 0)"),
        "only the first receiver is sent to": (
            "word + _PLACES, max_receivers)",
            "word + _PLACES, 1)",
        ),
        "there is room where nobody is": (
            "        for header in self._each():\n"
            "            _store(self._block, header + _ROOM, 0)\n",
            "",
        ),
        "stats is not heeded": ("self._with_stats = stats", "self._with_stats = False"),
        "capacity is not kept": ("self.capacity = capacity", "self.capacity = 1"),
        "max_receivers is not kept": (
            "self.max_receivers = max_receivers",
            "self.max_receivers = max_receivers + 1",
        ),
    },
    "Fanout.memory": {
        "another slot_size by default": ("slot_size=32", "slot_size=16"),
        "other max_receivers by default": ("max_receivers=4", "max_receivers=3"),
        "other senders by default": ("senders=1", "senders=2"),
        "the receivers' words are not counted": ("senders, max_receivers)", "senders, 1)"),
    },
    "Fanout._capacities": {
        "no receiver is enough": ('"max_receivers", max_receivers, 1,', '"", max_receivers, 0,'),
        "256 receivers are taken": ("max_receivers, 1, 255", "max_receivers, 1, 256"),
        "a capacity of 0 is taken": ("capacity, 1, 65535", "capacity, 0, 65535"),
        "a capacity of 65536 is taken": ("capacity, 1, 65535", "capacity, 1, 65536"),
    },
    "Fanout.sent": {
        "what is left unread has not been sent": (" + self.unread", ""),
        "what is queued has not been sent": (" + len(self)", ""),
    },
    "Fanout.unread": {
        "what came too late is not counted": ("strays += _load", "0 * _load"),
        "of what came too late the last place's is counted": ("strays += _load", "strays = _load"),
        "what was left is not counted": ("return self._unread + strays", "return strays"),
    },
    "Fanout.receivers": {
        "a free place is a receiver": (" if end is not None", ""),
    },
    "Fanout._rows": {
        "a receiver without a name has none": ("end.name or str(end.id)", "end.name"),
        "a receiver's name is its id": ("end.name or str(end.id)", "str(end.id)"),
        "each line is of the first receiver": ("self.capacity, end.id)", "self.capacity, 0)"),
    },
    "Fanout._add": {
        "a name may be anything": ("not isinstance(name, str)", "0"),
        "there must be a name": ("name is not None and ", ""),
        "a closed channel has new receivers": ("if self.closed:", "if 0:"),
        "an id is not free again": (
            "if self._ends[place] is None:",
            "if place == self._places_used:",
        ),
        "one more than max_receivers takes the last one's place": (
            "            raise ValueError(\n"
            '                "%s has room for max_receivers=%d, all open"'
            " % (self._title(), self.max_receivers)\n"
            "            )\n",
            "            pass\n",
        ),
        "all receivers of a place have one epoch": ("if place == self._places_used:", "if 1:"),
        "all receivers of the first place have one epoch": (
            "            self._places_used += 1\n",
            "            pass\n",
        ),
        "an epoch comes again after two others": ("% 255 + 1", "% 3 + 1"),
        "an open receiver's place is free": ("        self._ends[place] = end\n", ""),
    },
    "Fanout._leave": {
        "the id is not free again": ("        self._ends[end.id] = None\n", ""),
        "what is left unread is not counted": ("        self._unread += unread\n", ""),
    },
}
