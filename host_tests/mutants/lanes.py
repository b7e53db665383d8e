"""What the tests must find broken in lanes.py."""

_PUBLISH = "lane[_HEAD] = 0 if head + 1 == capacity + capacity else head + 1\n"
_RELEASE = "header[_TAIL] = 0 if tail + 1 == header[_CAPACITY] + header[_CAPACITY] else tail + 1\n"
_SENT = "        slot[_META] = size | priority << 16\n"
_WORD_SENT = "        slot[_META] = 4 | priority << 16\n"
_RECEIVED = "        meta = slot[_META]\n"
_WORDS_RECEIVED = "            size = slot[_META] & 0xFFFF\n"
_REFUSE = "            lane[_REFUSED] += 1\n            return False\n        head"
_DROP = "            lane[_DROPPED if lane[_ROOM] else _REFUSED] += 1\n"
_TURNED = "        if head == capacity + capacity:\n            head = 0\n"
_HIGHEST = "        if used > lane[_HIGH_WATER]:\n            lane[_HIGH_WATER] = used\n"
_INDEX = "            index -= header[_CAPACITY]\n"
_TAIL_TURNS = "tail == header[_CAPACITY] + header[_CAPACITY]:"

# What send and send_word have in common.
_SENDING = {
    "without a register its address 0 is read": ("        if register:\n", "        if 1:\n"),
    "the clock's register is not read": ("now = ptr32(register)[0]", "now = register"),
    "the clock is not called": ("now = int(slow._ticks())", "now = 0"),
    "the stamp of send_at is not used": ("elif part[_AT_SET]:", "elif 0:"),
    "the stamp of send_at is a flag": ("now = part[_AT]\n", "now = part[_AT_SET]\n"),
    "after send_at another register is read": (
        "part[_CLOCK] = part[_REGISTER]",
        "part[_CLOCK] = part[_AT]",
    ),
    "a class below 0 is taken": ("priority < 0 or ", ""),
    "class 0 is none": ("priority < 0 or ", "priority <= 0 or "),
    "a class of 5 and more is taken": (" or priority >= part[_CLASSES]", ""),
    "a class of 5 is taken": ("priority >= part[_CLASSES]", "priority > part[_CLASSES]"),
    "class 4 is none": ("priority >= part[_CLASSES]", "priority >= part[_CLASSES] - 1"),
    "a wrong class goes without an error": (
        "slow._bad_class(priority)",
        "return False",
    ),
    "every class enters one lane": (" + priority * part[_PLACE_STEP]", ""),
    "a message one larger than a slot is taken": (">= part[_LIMIT]", "> part[_LIMIT]"),
    "a message of slot_size is refused": (">= part[_LIMIT]", ">= part[_LIMIT] - 1"),
    "a refused message is not counted": (
        _REFUSE,
        "            return False\n        head",
    ),
    "a refused message counts as dropped": (_REFUSE, _REFUSE.replace("_REFUSED", "_DROPPED")),
    "a refused message counts twice": (_REFUSE, _REFUSE.replace("+= 1", "+= 2")),
    "a refused message is said to be queued": (_REFUSE, _REFUSE.replace("False", "True")),
    "what is queued across the wrap is not seen": (
        "        if used < 0:\n            used += capacity + capacity\n",
        "",
    ),
    "a lane wraps at its capacity": ("used += capacity + capacity", "used += capacity"),
    "one message too many is queued": ("if used >= lane[_ROOM]:", "if used > lane[_ROOM]:"),
    "one slot stays empty": ("if used >= lane[_ROOM]:", "if used + 1 >= lane[_ROOM]:"),
    "a lane with a claimed slot is written": (
        "if used >= lane[_ROOM]:",
        "if used >= capacity:",
    ),
    "a class without capacity drops": ("if not capacity:", "if 0:"),
    "a class without capacity goes without an error": (
        "slow._unused_class(priority)",
        "return False",
    ),
    "a full lane is taken for one without capacity": ("if not capacity:", "if capacity:"),
    "a dropped message is not counted": (_DROP, ""),
    "a dropped message counts twice": (_DROP, _DROP.replace("+= 1", "+= 2")),
    "a dropped message counts as refused": (_DROP, "            lane[_REFUSED] += 1\n"),
    "a message lost to a claim is counted as dropped": (
        _DROP,
        "            lane[_DROPPED] += 1\n",
    ),
    "a dropped message is said to be queued": (
        _DROP + "            return False\n",
        _DROP + "            return True\n",
    ),
    "the slots of the second round lie beyond the lane": (
        "        if index >= capacity:\n            index -= capacity\n",
        "",
    ),
    "the second round begins a slot late": ("if index >= capacity:", "if index > capacity:"),
    "all messages go to one slot": (" + index * part[_OWN_PITCH]", ""),
    "the slots of all lanes are one": ("int(lane) + lane[_FIRST] + ", "int(part) + "),
    "the class is not written": (" | priority << 16", ""),
    "the stamp is not written": ("        slot[_TIME] = now\n", ""),
    "head does not turn back": (_TURNED, ""),
    "head turns back after one round": (_TURNED, _TURNED.replace(" + capacity", "")),
    "head turns back to 1": (_TURNED, _TURNED.replace("head = 0", "head = 1")),
    "head stays": ("        head += 1\n", ""),
    "high water is never written": (_HIGHEST, ""),
    "high water falls": (_HIGHEST, "        lane[_HIGH_WATER] = used\n"),
    "high water leaves out the message itself": ("        used += 1\n", ""),
    "a queued message is said to be lost": ("        return True", "        return False"),
}

# What recv, recv_word and recv_words have in common.
_RECEIVING = {
    "the last class is not looked at": ("if lane == end:", "if lane + _LANE_BYTES == end:"),
    "only the first class is looked at": (
        "lane += _LANE_BYTES\n",
        "lane = end\n",
    ),
    "an empty lane gives a message": (
        "while header[_HEAD] == header[_TAIL]:",
        "while 0:",
    ),
    "senders are not merged": ("if header[_REST]:", "if 0:"),
    "what next_lane leaves out is taken": ("if not lane:", "if 0:"),
    "the second round lies beyond the lane": (_INDEX, _INDEX.replace("-=", "+= 0 *")),
    "the second round begins a slot late": (
        "if index >= header[_CAPACITY]:",
        "if index > header[_CAPACITY]:",
    ),
    "one slot is read again and again": (" + index * part[_PITCH]", ""),
    "tail does not turn back": ("if " + _TAIL_TURNS, "if 0:"),
    "tail turns back after one round": (
        "if " + _TAIL_TURNS,
        "if tail == header[_CAPACITY]:",
    ),
    "tail stays": ("tail += 1\n", "tail += 0\n"),
    "a message taken is not counted": ("header[_RECEIVED] += 1\n", "header[_RECEIVED] += 0\n"),
    "a message taken counts twice": ("header[_RECEIVED] += 1\n", "header[_RECEIVED] += 2\n"),
}

# What send and recv have in common.
_COPYING = {
    "a block is copied that is not whole": (
        "while source <= last:\n                words",
        "while source < end:\n                words",
    ),
    "a word is copied that is not whole": (
        "while source <= last:\n                ptr32(target)[0]",
        "while source < end:\n                ptr32(target)[0]",
    ),
    "blocks are copied past the end": ("last = end - 16", "last = end - 12"),
    "words are copied past the end": ("last = end - 4", "last = end - 1"),
    "of four words the fourth is the third": ("to[3] = words[3]", "to[3] = words[2]"),
    "blocks lie on each other": ("                target += 16\n", ""),
    "words lie on each other": ("                target += 4\n", ""),
    "no block is copied": (
        "            while source <= last:\n                words = ptr32(source)\n",
        "            source = end\n"
        "            while source <= last:\n                words = ptr32(source)\n",
    ),
    "the last word is left out": (
        "            while source <= last:\n                ptr32(target)[0]",
        "            end -= 4\n"
        "            while source <= last:\n                ptr32(target)[0]",
    ),
    "one byte too many is copied": ("while source < end:", "while source <= end:"),
    "the odd bytes are left out": ("while source < end:", "while 0:"),
    "the odd bytes lie on each other": ("            target += 1\n", ""),
}

# What those have in common that give a result.
_RESULT = {
    "without a register its address 0 is read": ("if part[_RX_CLOCK]:", "if 1:"),
    "the clock's register is not read": (
        "now = ptr32(part[_RX_CLOCK])[0]",
        "now = part[_RX_CLOCK]",
    ),
    "the clock is not called": ("now = int(slow._ticks())", "now = 0"),
    "latency is not cut to the period": ("(now - stamp) & part[_MASK]", "now - stamp"),
    "latency counts backwards": ("(now - stamp)", "(stamp - now)"),
    "the stamp is not kept": ("        part[_STAMP] = stamp\n", ""),
    "the class is not given": ("result[1] = meta >> 16 & 0xFF", "result[1] = 0"),
    "the class has two bits": ("meta >> 16 & 0xFF", "meta >> 16 & 3"),
    "the epoch is part of the class": ("meta >> 16 & 0xFF", "meta >> 16"),
    "the result is not the receiver's": ("return result", "return [x for x in result]"),
}

MUTANTS = {
    "_load": {
        "a count of more than 30 bits allocates": (" & 0x3FFFFFFF", ""),
    },
    "whole": {
        "a wrong type is taken": (
            "not isinstance(value, int) or isinstance(value, bool)",
            "isinstance(value, bool)",
        ),
        "a bool is an int": (" or isinstance(value, bool)", ""),
        "what is too low is taken": ("not low <= value <= high", "value > high"),
        "what is too high is taken": ("not low <= value <= high", "value < low"),
        "the lowest is too low": ("low <= value", "low < value"),
        "the highest is too high": ("value <= high", "value < high"),
        "the bad value is not named": ("(what, low, high, value)", "(what, low, high, low)"),
        "nothing is returned": ("    return value", "    return low"),
    },
    "check_message": {
        "text is bytes": ("kind is bytes:", "kind is bytes or kind is str:"),
        "bytes are not checked as bytes": ("kind is bytearray or kind is bytes", "kind is list"),
        "text is asked for its bytes": ("if kind is not str:", "if 1:"),
        "the offset is the last byte's": ("len(data) + 1", "len(data)"),
        "what has no bytes is taken": (
            "        except TypeError:\n            pass\n",
            "        except TypeError:\n            return\n",
        ),
        "an array of bytes is none": (
            "            return\n        else",
            "            pass\n        else",
        ),
        "wide items are bytes": (
            'raise _error(TypeError, "message items must be',
            'return str("message items must be',
        ),
        "what is no buffer is taken": (
            'raise _error(TypeError, "or array, not %s", kind.__name__)',
            "return",
        ),
    },
    "check_buffer": {
        "a bytearray alone is checked": ("is not bytearray", "is bytearray"),
        "wide items are bytes": ("        check_message(buf)\n", ""),
        "a buffer that cannot be written is taken": (
            'raise _error(TypeError, "receive buffer must be writable, not %s", type(',
            "return str(str(",
        ),
        "none is asked whether it can be written": (
            'struct.pack_into("", buf, 0)',
            'struct.unpack_from("", buf, 0)',
        ),
    },
    "check_words": {
        "an empty buffer of anything is an array": (
            '        struct.pack_into("", words, 0)\n',
            "",
        ),
        "items of 2 bytes are words": (
            '        struct.unpack_from("", words, len(words) * 4)\n',
            "",
        ),
        "items of 8 bytes are words": (
            '            struct.unpack_from("", words, len(words) * 4 + 1)\n',
            "            return\n",
        ),
        "items of 4 bytes are no words": (
            "return  # ... but here.",
            "pass",
        ),
        "what is no array is taken": (
            "    except Exception:\n        pass\n",
            "    except Exception:\n        return\n",
        ),
        "nothing is raised": ("raise _error(TypeError, ", "print(TypeError, "),
    },
    "_error": {
        "without memory the error is another": ("except MemoryError:", "except KeyError:"),
        "the second value is left out": (
            "(value if second is None else (value, second))",
            "value",
        ),
        "one value alone is a pair": (
            "(value if second is None else (value, second))",
            "(value, second)",
        ),
        "without memory the value is left out": (
            "kind(text, value) if second is None",
            "kind(text) if second is None",
        ),
        "without memory the second value is left out": (
            "else kind(text, value, second)",
            "else kind(text, value)",
        ),
        "without memory one value alone is a pair": (
            "return kind(text, value) if second is None else ",
            "return ",
        ),
    },
    "send": {
        "publishes before the payload": (_SENT, "        " + _PUBLISH + _SENT),
        "the time of send_at sticks": (
            "part[_AT_SET] = 0\n            part[_CLOCK] = part[_REGISTER]\n",
            "pass\n",
        ),
        "an unaligned message is copied by words": ("if not source & 3:", "if not source & 1:"),
        "a buffer of another length is known": ("size != part[_TX_LENGTH] or ", ""),
        "a buffer at another address is known": (
            " or (source - part[_TX_ADDRESS]) & 0x3FFFFFFF",
            "",
        ),
        "addresses are compared in 8 bits": ("& 0x3FFFFFFF:", "& 0xFF:"),
        "a buffer is known before it is checked": (
            "            slow._check_message(data)\n            part[_TX_LENGTH] = size\n"
            "            part[_TX_ADDRESS] = source\n",
            "            part[_TX_LENGTH] = size\n            part[_TX_ADDRESS] = source\n"
            "            slow._check_message(data)\n",
        ),
        "no buffer is checked": ("slow._check_message(data)", "slow._keep(data)"),
        "the size is not written": ("= size | priority << 16", "= 1 | priority << 16"),
        "the payload begins a word early": ("target = int(slot) + 8", "target = int(slot) + 4"),
    },
    "send_word": {
        "publishes before the payload": (_WORD_SENT, "        " + _PUBLISH + _WORD_SENT),
        "the time of send_word_at sticks": (
            "part[_AT_SET] = 0\n            part[_CLOCK] = part[_REGISTER]\n",
            "pass\n",
        ),
        "a word is no message of 4 bytes": ("= 4 | priority << 16", "= 5 | priority << 16"),
        "the word is not written": ("        slot[2] = value\n", ""),
        "half of the word is written": ("slot[2] = value", "slot[2] = value & 0xFFFF"),
    },
    "send_at": {
        "the stamp is not kept": ("        part[_AT] = ticks\n", ""),
        "the stamp is not asked for": ("part[_AT_SET] = 1", "part[_AT_SET] = 0"),
        "the register goes before the stamp": ("        part[_CLOCK] = 0\n", ""),
        "it tells another outcome": (
            "return send(data, priority)",
            "send(data, priority)\n        return True",
        ),
    },
    "send_word_at": {
        "a stamp is set for what is no word": (
            "        int(value)  # raises if it is none, before anything changes\n",
            "",
        ),
        "the stamp is not kept": ("        part[_AT] = ticks\n", ""),
        "the stamp is not asked for": ("part[_AT_SET] = 1", "part[_AT_SET] = 0"),
        "the register goes before the stamp": ("        part[_CLOCK] = 0\n", ""),
        "it tells another outcome": (
            "return send_word(value, priority)",
            "send_word(value, priority)\n        return True",
        ),
    },
    "recv": {
        "releases before the copy": (_RECEIVED, "        " + _RELEASE + _RECEIVED),
        "a buffer of another length is known": ("room != part[_RX_LENGTH] or ", ""),
        "a buffer at another address is known": (
            " or (target - part[_RX_ADDRESS]) & 0x3FFFFFFF",
            "",
        ),
        "addresses are compared in 8 bits": ("& 0x3FFFFFFF:", "& 0xFF:"),
        "a buffer is known before it is checked": (
            "            slow._check_buffer(buf)\n            part[_RX_LENGTH] = room\n"
            "            part[_RX_ADDRESS] = target\n",
            "            part[_RX_LENGTH] = room\n            part[_RX_ADDRESS] = target\n"
            "            slow._check_buffer(buf)\n",
        ),
        "no buffer is checked": ("slow._check_buffer(buf)", "slow._keep(buf)"),
        "the size has 12 bits": ("size = meta & 0xFFFF", "size = meta & 0xFFF"),
        "a message larger than the buffer is written past it": ("if size > room:", "if 0:"),
        "a buffer just large enough is too small": ("if size > room:", "if size >= room:"),
        "a message too large is lost": (
            "            slow._small_buffer(size, room)\n",
            "            header[_TAIL] = header[_HEAD]\n"
            "            slow._small_buffer(size, room)\n",
        ),
        "a message too large is cut": (
            "            slow._small_buffer(size, room)\n",
            "            size = room\n",
        ),
        "the payload begins a word early": ("source = int(slot) + 8", "source = int(slot) + 4"),
        "an unaligned buffer is written by words": ("if not target & 3:", "if not target & 1:"),
        "the size and class of the first message stay": ("if meta != part[_RX_META]:", "if 0:"),
        "the size and class are known before they are given": (
            "            result[0] = size\n",
            "            result[0] = room\n",
        ),
    },
    "recv_word": {
        "releases before the copy": (_RECEIVED, "        " + _RELEASE + _RECEIVED),
        "a message of any size is a word": ("if (meta & 0xFFFF) != 4:", "if 0:"),
        "a message of more than 4 bytes is a word": ("& 0xFFFF) != 4:", "& 0xFFFF) < 4:"),
        "a message of less than 4 bytes is a word": ("& 0xFFFF) != 4:", "& 0xFFFF) > 4:"),
        "the size has 8 bits": ("if (meta & 0xFFFF) != 4:", "if (meta & 0xFF) != 4:"),
        "what is no word is lost": (
            "            slow._not_a_word(meta & 0xFFFF)\n",
            "            header[_TAIL] = header[_HEAD]\n"
            "            slow._not_a_word(meta & 0xFFFF)\n",
        ),
        "what is no word goes without an error": (
            "            slow._not_a_word(meta & 0xFFFF)\n",
            "            return None\n",
        ),
        "a word has no sign where a register is wide": (
            "        value |= (0 - (value >> 31 & 1)) << 31"
            "  # the sign, where a register is 64 bits wide\n",
            "",
        ),
        "recv keeps the word as the size": ("        part[_RX_META] = -1\n", ""),
        "the word is not given": (
            "        result[0] = value  # may raise MemoryError, so before anything that counts\n",
            "",
        ),
        "a word without memory is released before it is given": [
            (
                "        result[0] = value"
                "  # may raise MemoryError, so before anything that counts\n",
                "",
            ),
            ("        return result", "        result[0] = value\n        return result"),
        ],
        "the stamp changes before the word is given": [
            ("        part[_STAMP] = stamp\n", ""),
            (
                "        part[_RX_META] = -1\n",
                "        part[_RX_META] = -1\n        part[_STAMP] = stamp\n",
            ),
        ],
    },
    "recv_words": {
        "releases before the copy": (_WORDS_RECEIVED, "            " + _RELEASE + _WORDS_RECEIVED),
        "an array of another length is known": ("room != part[_WORDS_LENGTH] or ", ""),
        "an array at another address is known": (
            " or (int(target) - part[_WORDS_ADDRESS]) & 0x3FFFFFFF",
            "",
        ),
        "addresses are compared in 8 bits": ("& 0x3FFFFFFF:", "& 0xFF:"),
        "an array is known before it is checked": (
            "            slow._check_words(words)\n            part[_WORDS_LENGTH] = room\n"
            "            part[_WORDS_ADDRESS] = int(target)\n",
            "            part[_WORDS_LENGTH] = room\n"
            "            part[_WORDS_ADDRESS] = int(target)\n"
            "            slow._check_words(words)\n",
        ),
        "no array is checked": ("            slow._check_words(words)\n", ""),
        "an array is written past its end": ("while count < room:", "while count <= room:"),
        "the last item stays empty": ("while count < room:", "while count < room - 1:"),
        "a message of any size is a word": ("if size != 4:", "if 0:"),
        "a message of more than 4 bytes is a word": ("if size != 4:", "if size < 4:"),
        "a message of less than 4 bytes is a word": ("if size != 4:", "if size > 4:"),
        "the size has 8 bits": ("size = slot[_META] & 0xFFFF", "size = slot[_META] & 0xFF"),
        "what is no word goes without an error": ("if not count:", "if 0:"),
        "words taken are lost to an error": ("if not count:", "if 1:"),
        "all words go to one item": ("target[count] = slot[2]", "target[0] = slot[2]"),
        "the stamp is not kept": ("            part[_STAMP] = slot[_TIME]\n", ""),
    },
    "next_lane": {
        "a message for an earlier receiver is taken": (
            "if header[_REST] & _STALE and ",
            "if 0 and ",
        ),
        "every channel's epoch is compared": (
            "if header[_REST] & _STALE and ",
            "if ",
        ),
        "no message for the present receiver is left": ("!= part[_EPOCH]", ">= 0"),
        "the epoch has 4 bits": ("slot[_META] >> 24 & 0xFF", "slot[_META] >> 24 & 0xF"),
        "the epoch has a sign": ("(slot[_META] >> 24 & 0xFF)", "(slot[_META] >> 24)"),
        "of two senders' messages the younger comes first at the wrap": (
            "age = (stamp - slot[_TIME]) & part[_MASK]",
            "age = stamp - slot[_TIME]",
        ),
        "every message is older than the first": ("half = part[_MASK] >> 1", "half = part[_MASK]"),
        "half of the time is left out": ("half = part[_MASK] >> 1", "half = part[_MASK] >> 2"),
        "the last sender's come first": ("age != 0 and age <= half", "age != 0"),
        "of equal stamps the last sender's comes first": ("age != 0 and ", ""),
        "it looks past the last lane": ("while lane < end:", "while lane <= end:"),
        "only the first lane is looked at": (
            "            lane += _LANE_BYTES\n",
            "            lane = end\n",
        ),
        "an empty lane is chosen": ("while header[_HEAD] != tail:", "while 1:"),
        "the second round lies beyond the lane": (
            "                    index -= header[_CAPACITY]\n",
            "                    pass\n",
        ),
        "the second round begins a slot late": ("if index >= ", "if index > "),
        "one slot is compared": (" + index * part[_PITCH]", ""),
        "what was for an earlier receiver is not counted": (
            "                    part[_STRAYS] += 1\n",
            "",
        ),
        "what was for an earlier receiver counts twice": (
            "part[_STRAYS] += 1",
            "part[_STRAYS] += 2",
        ),
        "past the earlier receiver's tail does not turn back": ("if " + _TAIL_TURNS, "if 0:"),
        "past the earlier receiver's tail turns back after one round": (
            "if " + _TAIL_TURNS,
            "if tail == header[_CAPACITY]:",
        ),
        "what was for an earlier receiver stays queued": (
            "                    header[_TAIL] = tail\n",
            "",
        ),
        "the last with a message is chosen": ("if not first:", "if 1:"),
        "the stamp of the first is not kept": (
            "                        first = lane\n                        stamp = slot[_TIME]\n"
            "                        end",
            "                        first = lane\n                        end",
        ),
        "the stamp of an older one is not kept": (
            "                            first = lane\n"
            "                            stamp = slot[_TIME]\n",
            "                            first = lane\n",
        ),
        "the next place's lanes are compared too": (
            "                        end = lane + (header[_REST] & ~_STALE) + _LANE_BYTES\n",
            "",
        ),
        "the place's last sender is left out": (
            "(header[_REST] & ~_STALE) + _LANE_BYTES",
            "(header[_REST] & ~_STALE)",
        ),
        "the flag beside it moves the last lane": ("(header[_REST] & ~_STALE)", "header[_REST]"),
        "none is taken for one": ("        if first:\n", "        if 1:\n"),
    },
    "skip": {
        "an empty channel loses a message": ("if not lane:", "if 0:"),
        "none is dropped": ("header[_TAIL] + 1", "header[_TAIL]"),
        "tail does not turn back": ("if " + _TAIL_TURNS, "if 0:"),
        "tail turns back after one round": (
            "if " + _TAIL_TURNS,
            "if tail == header[_CAPACITY]:",
        ),
        "a message dropped is not counted": ("        header[_RECEIVED] += 1\n", ""),
        "a message dropped counts twice": ("header[_RECEIVED] += 1", "header[_RECEIVED] += 2"),
        "tail is not written": ("        header[_TAIL] = tail\n", ""),
        "it says that none was dropped": ("return True", "return False"),
        "it says that one was dropped": ("return False", "return True"),
    },
    "clear": {
        "what was for an earlier receiver counts as received": (
            "if not int(slow._next_lane()):",
            "if 0:",
        ),
        "nothing is dropped": ("if not int(slow._next_lane()):", "if 1:"),
        "it looks past the last lane": ("while lane < end:", "while lane <= end:"),
        "only the first lane is cleared": (
            "            lane += _LANE_BYTES\n",
            "            lane = end\n",
        ),
        "what is queued across the wrap counts below 0": ("if used < 0:", "if 0:"),
        "a lane wraps at its capacity": (
            "used += header[_CAPACITY] + header[_CAPACITY]",
            "used += header[_CAPACITY]",
        ),
        "what is dropped is not counted": ("            header[_RECEIVED] += used\n", ""),
        "a lane counts as one message": ("header[_RECEIVED] += used", "header[_RECEIVED] += 1"),
        "lanes stay as they are": ("            header[_TAIL] = head\n", ""),
        "head is read again after it was counted": (
            "header[_TAIL] = head",
            "header[_TAIL] = header[_HEAD]",
        ),
        "it tells what the last lane held": ("count += used", "count = used"),
    },
    "timestamp": {
        "a closed receiver has one": ("if not mask:", "if 0:"),
        "bits beyond the period are given": ("return part[_STAMP] & mask", "return part[_STAMP]"),
    },
    "make_receiver": {
        "the verbs go on reading the words they were made for": ("        block = words\n", ""),
        "what hangs on slow is not next_lane": (
            "slow._next_lane = next_lane",
            "slow._next_lane = skip",
        ),
    },
    "Sender.__init__": {
        "every sender is the first": (
            "channel._sender_at(number) :",
            "channel._sender_at(0) :",
        ),
        "it is numbered as the first": ("self._number = number", "self._number = 0"),
        "its clock is another": (
            "self._ticks = channel.clock.ticks",
            "self._ticks = default().ticks",
        ),
        "no guard is taken": ("if channel._guard is not None:", "if 0:"),
        "there are no claims": ("if channel._views is not None:", "if 0:"),
        "there always are claims": ("if channel._views is not None:", "if 1:"),
    },
    "Sender.check": {
        "a bool is a class": ("isinstance(priority, bool) or ", ""),
        "what is no int is a class": (" or not isinstance(priority, int)", ""),
        "the message is not checked": (
            "        self._vet(data, priority)\n",
            "        channel._lane(self._number, priority)\n",
        ),
        "a closed channel is none": ("if channel.closed:", "if 0:"),
        "a message larger than a slot goes without an error": (
            "if len(data) > channel.slot_size:",
            "if 0:",
        ),
        "a message of slot_size is too large": (
            "len(data) > channel.slot_size",
            "len(data) >= channel.slot_size",
        ),
    },
    "Sender.free": {
        "the class is not looked at": (
            "_free(self._number, priority)",
            "_free(self._number, None)",
        ),
        "it is the first sender's": ("_free(self._number, priority)", "_free(0, priority)"),
    },
    "Sender.is_full": {
        "the class is not looked at": (
            "_free(self._number, priority)",
            "_free(self._number, None)",
        ),
        "it is the first sender's": ("_free(self._number, priority)", "_free(0, priority)"),
        "it is whether there is room": ("not self", "not not self"),
    },
    "Sender.asend": {
        "it waits for ever": ("priority, timeout_ms)\n", "priority, None)\n"),
    },
    "Sender.dropped": {
        "it is that of all senders": (", self._number", ""),
        "it is what was refused": ("_DROPPED", "_REFUSED"),
    },
    "Sender.refused": {
        "it is that of all senders": (", self._number", ""),
        "it is what was dropped": ("_REFUSED", "_DROPPED"),
    },
    "Sender.high_water": {
        "it is that of all senders": ("_most(self._number)", "_most()"),
    },
    "Sender.__repr__": {
        "it does not say which": ("self._number, self._channel", "0, self._channel"),
    },
    "Sender._check_message": {
        "anything is a message": ("        check_message(data)\n", ""),
        "a message checked may go and another come in its place": (
            "        self._kept[0] = data\n",
            "",
        ),
    },
    "Sender._keep": {
        "a message checked may go and another come in its place": (
            "self._kept[0] = data",
            "pass",
        ),
    },
    "Sender._vet": {
        "None is a message": ("data is None or ", ""),
        "only None is checked": (" or data is not self._kept[0]", ""),
        "anything is a message": ("            check_message(data)\n", "            pass\n"),
        "any class will do": ("        self._channel._lane(self._number, priority)\n", ""),
    },
    "Sender._bad_class": {
        "the class is not named": ('not %d", priority', 'not %d", 5'),
        "it is a TypeError": ("ValueError", "TypeError"),
    },
    "Sender._unused_class": {
        "the class is not named": ('capacity 0", priority', 'capacity 0", 5'),
        "it is a TypeError": ("ValueError", "TypeError"),
    },
    "Receiver._attach": {
        "its clock is another": ("self._ticks = clock.ticks", "self._ticks = default().ticks"),
        "statistics are there without being asked for": (
            "self._stats = None",
            "self._stats = self",
        ),
        "clear is skip": (
            "self.skip, self.clear = verbs[:5]",
            "self.clear, self.skip = verbs[:5]",
        ),
    },
    "Receiver.ready": {
        "it waits for ever": ("(self, timeout_ms)\n", "(self, None)\n"),
    },
    "Receiver.arecv": {
        "it waits for ever": ("buf, timeout_ms)\n", "buf, None)\n"),
    },
    "Receiver.recv_wait": {
        "it waits for ever": ("buf, timeout_ms)\n", "buf, None)\n"),
    },
    "Receiver.stats_into": {
        "nothing is written": ("self._histogram().stats_into(words)", "self._histogram()"),
    },
    "Receiver.reset_stats": {
        "nothing is forgotten": ("self._histogram().reset()", "self._histogram()"),
    },
    "Receiver._histogram": {
        "without stats=True there is no error": ("if self._stats is None:", "if 0:"),
    },
    "Receiver._poll": {
        "a wait goes on when the channel closes": ("self.closed or ", ""),
        "a wait goes on when a message comes": (" or self._next_lane()", ""),
    },
    "Receiver._check_buffer": {
        "anything is a buffer": ("        check_buffer(buf)\n", ""),
        "a buffer checked may go and another come in its place": (
            "        self._kept[0] = buf\n",
            "",
        ),
    },
    "Receiver._check_words": {
        "anything is an array": ("        check_words(words)\n", ""),
        "an array checked may go and another come in its place": (
            "        self._kept[1] = words\n",
            "",
        ),
        "an array checked takes the place of a buffer": ("self._kept[1]", "self._kept[0]"),
    },
    "Receiver._small_buffer": {
        "the sizes change places": ('of %d", size, room', 'of %d", room, size'),
        "it is a TypeError": ("ValueError", "TypeError"),
    },
    "Receiver._not_a_word": {
        "the size is not named": ('of 4", size', 'of 4", 4'),
        "it is a TypeError": ("ValueError", "TypeError"),
    },
    "Lanes": {
        "there are four classes": ("_classes = 5", "_classes = 4"),
        "there are six classes": ("_classes = 5", "_classes = 6"),
        "a channel counts by class": ("_by_class = False", "_by_class = True"),
    },
    "Lanes.__init__": {
        "the clock given is not used": ("if clock is None:", "if 1:"),
        "there is no clock unless given": ("clock = default()", "pass"),
        "anything is a clock": ("not isinstance(clock, Clock)", "0"),
        "a channel needs a name": ("name is not None and ", ""),
        "anything is a name": ("not isinstance(name, str)", "0"),
        "the name is forgotten": ("self.name = name", "self.name = None"),
        "it begins closed": ("self.closed = False", "self.closed = True"),
        "a block of 64 kB is too large": ("1 << 30", "1 << 16"),
        "the most a board can count is asked for": ("if size >= 1 << 30:", "if 0:"),
        "without memory it does not say how much": (
            "        except MemoryError:\n",
            "        except KeyError:\n",
        ),
    },
    "Lanes.close": {
        "messages are taken": ("+ _LIMIT, 0)", "+ _LIMIT, self.slot_size + 1)"),
        "messages of no bytes are taken": ("+ _LIMIT, 0)", "+ _LIMIT, 1)"),
        "the last sender may go on": ("range(self.senders)", "range(self.senders - 1 or 1)"),
        "it does not say so": ("        self.closed = True\n", ""),
        "the other core is not woken": ("        _send_event()\n", ""),
    },
    "Lanes.notify": {
        "the other core is not woken": ("        _send_event()\n", "        pass\n"),
    },
    "Lanes.__len__": {
        "only the first sender's count": ("range(self.senders)", "range(1)"),
        "only the first class's count": ("range(len(self._places))", "range(1)"),
        "it is the last lane's": ("queued += ", "queued = "),
    },
    "Lanes.__bool__": {
        "an empty channel is false": ("return True", "return len(self) > 0"),
    },
    "Lanes.dropped": {"it is what was refused": ("_DROPPED", "_REFUSED")},
    "Lanes.refused": {"it is what was dropped": ("_REFUSED", "_DROPPED")},
    "Lanes.received": {
        "what is queued counts": ("self._sum(_RECEIVED)", "self._sum(_RECEIVED) + len(self)")
    },
    "Lanes.sent": {
        "what is queued does not count": (" + len(self)", ""),
        "what was received does not count": ("self._sum(_RECEIVED) + ", ""),
    },
    "Lanes.high_water": {
        "it is the first sender's": ("self._most()", "self._most(0)"),
    },
    "Lanes._counters": {
        "what is queued is that of all places": ("_each(None, place)", "_each()"),
        "what was received is that of all places": (
            "self._sum(_RECEIVED, None, place)",
            "self._sum(_RECEIVED)",
        ),
        "what was sent leaves out what was received": ("queued + received", "queued"),
        "what was dropped is that of all places": (
            "self.dropped if place is None else self._sum(_DROPPED, None, place)",
            "self.dropped",
        ),
        "what all dropped is that of the lanes": (
            "self.dropped if place is None else ",
            "",
        ),
        "what was refused is that of all places": (
            "self.refused if place is None else self._sum(_REFUSED, None, place)",
            "self.refused",
        ),
        "what all refused is that of the lanes": (
            "self.refused if place is None else ",
            "",
        ),
        "high water is that of all places": ("self._most(None, place)", "self._most()"),
    },
    "Lanes._rows": {
        "a report has a channel's capacity wrong": ("self._places[0]", "0"),
    },
    "Lanes.__repr__": {
        "it does not say that it is closed": ("if self.closed else", "if 0 else"),
        "every channel is closed": ("if self.closed else", "if 1 else"),
    },
    "Lanes._title": {
        "the name is left out": ("if self.name is None else", "if 1 else"),
        "a channel without a name has one": ("if self.name is None else", "if 0 else"),
    },
    "Lanes._bytes": {
        "any slot_size will do": ('        whole("slot_size", slot_size, 1, 65535)\n', ""),
        "a slot_size of 0 will do": ("slot_size, 1, 65535", "slot_size, 0, 65535"),
        "a slot_size of 65536 will do": ("slot_size, 1, 65535", "slot_size, 1, 65536"),
        "a slot_size of 65535 will not do": ("slot_size, 1, 65535", "slot_size, 1, 65534"),
        "any number of senders will do": ('        whole("senders", senders, 1, 255)\n', ""),
        "no sender will do": ("senders, 1, 255", "senders, 0, 255"),
        "256 senders will do": ("senders, 1, 255", "senders, 1, 256"),
        "255 senders will not do": ("senders, 1, 255", "senders, 1, 254"),
        "no room for headers": ("len(capacities) * _LANE_BYTES + ", ""),
        "room for the slots of one sender": (
            "senders * (_TX_BYTES + lanes)",
            "senders * _TX_BYTES + lanes",
        ),
        "room for one receiver's words": ("receivers * _RX_BYTES", "_RX_BYTES"),
    },
    "Lanes._lay_out": {
        "with one place it has no step": ("if len(capacities) > 1 else 0", "if 1 else 0"),
        "no place has a step": ("if len(capacities) > 1 else 0", "if 0 else 0"),
        "a step is to the next lane": ("self.senders * _LANE_BYTES if", "_LANE_BYTES if"),
        "the first receiver's words alone are written": (
            "range(self._receivers)",
            "range(1)",
        ),
        "every receiver begins at the first place": ("lanes + place * step", "lanes"),
        "one receiver has the first place": (
            "if self._receivers > 1 else slots",
            "if 1 else slots",
        ),
        "every receiver has the places up to the last": (
            "own + step if self._receivers > 1 else slots",
            "slots",
        ),
        "the receiver's pitch is not written": (
            "            _store(block, word + _PITCH, pitch)\n",
            "",
        ),
        "the receiver calls the clock": (
            "_store(block, word + _RX_CLOCK, self.clock.register)",
            "_store(block, word + _RX_CLOCK, 4)",
        ),
        "the clock's period has a bit less": (
            "self.clock.period - 1",
            "(self.clock.period >> 1) - 1",
        ),
        "the clock's period is not written": (
            "            _store(block, word + _MASK, self.clock.period - 1)\n",
            "            _store(block, word + _MASK, (1 << 30) - 1)\n",
        ),
        "the first sender's words alone are written": (
            "        for number in range(self.senders):\n            part",
            "        for number in range(1):\n            part",
        ),
        "the limit is a byte less": ("self.slot_size + 1", "self.slot_size"),
        "the limit is a byte more": ("self.slot_size + 1", "self.slot_size + 2"),
        "every sender writes the first lane": (
            "lanes + number * _LANE_BYTES - part",
            "lanes - part",
        ),
        "the sender's pitch is not written": (
            "            _store(block, word + _OWN_PITCH, pitch)\n",
            "",
        ),
        "there are five classes always": ("word + _CLASSES, self._classes", "word + _CLASSES, 5"),
        "the first place's lanes alone are written": (
            "for place in range(len(capacities)):",
            "for place in range(1):",
        ),
        "all places have the first one's room": (
            "_store(block, header + _ROOM, capacities[place])",
            "_store(block, header + _ROOM, capacities[0])",
        ),
        "all places have the first one's capacity": (
            "_store(block, header + _CAPACITY, capacities[place])",
            "_store(block, header + _CAPACITY, capacities[0])",
        ),
        "all lanes share slots": ("slots + count * pitch - ", "slots - "),
        "the last sender is never merged": (
            "(self.senders - 1 - number) * _LANE_BYTES",
            "(self.senders - 2 - number) * _LANE_BYTES",
        ),
        "the number of a lane's first slot is not written": (
            "                _store(block, header + _NUMBER, count)\n",
            "",
        ),
        "lanes overlap": ("count += capacities[place]", "count += capacities[place] - 1"),
    },
    "Lanes._sender_at": {
        "senders overlap": ("number * _TX_BYTES", "number * (_TX_BYTES - 4)"),
        "the words of several receivers overlap the senders'": (
            "self._receivers * _RX_BYTES",
            "_RX_BYTES",
        ),
    },
    "Lanes._header": {
        "places and senders change places": (
            "place * self.senders + number",
            "number * len(self._places) + place",
        ),
    },
    "Lanes._lane": {
        "a class below 0 is taken": ("0 <= priority < self._classes", "priority < self._classes"),
        "a class of 5 and more is taken": ("0 <= priority < self._classes", "0 <= priority"),
        "a class of 5 is taken": ("priority < self._classes", "priority <= self._classes"),
        "class 0 is none": ("0 <= priority", "0 < priority"),
        "all classes are the first": ("priority if self._by_class else 0", "0"),
        "a channel has a lane for each class": ("priority if self._by_class else 0", "priority"),
        "a class without capacity is taken": ("if not self._places[place]:", "if 0:"),
        "the class is not named": ('not %d", priority', 'not %d", 5'),
        "the class without capacity is not named": ('capacity 0", priority', 'capacity 0", 5'),
        "it is the first sender's": ("self._header(number, place)", "self._header(0, place)"),
    },
    "Lanes._used": {
        "what is queued across the wrap counts below 0": ("if used >= 0 else", "if 1 else"),
        "an empty lane is full twice": ("used >= 0", "used > 0"),
        "a lane wraps at its capacity": ("used + 2 * capacity", "used + capacity"),
    },
    "Lanes._room": {
        "a lane that is full twice has less than none": ("max(0, ", "int("),
        "an epoch is part of the room": (
            "(_load(self._block, header + _ROOM) & 0xFFFF)",
            "_load(self._block, header + _ROOM)",
        ),
        "what is queued takes no room": (" - self._used(header)", ""),
    },
    "Lanes._free": {
        "the class is not looked at": ("if priority is not None:", "if 0:"),
        "it is the first sender's of a class": (
            "self._lane(number, priority)",
            "self._lane(0, priority)",
        ),
        "it is the first sender's of all": (
            "self._header(number, place)",
            "self._header(0, place)",
        ),
        "it is the last class's": ("free += ", "free = "),
    },
    "Lanes._each": {
        "one sender's lanes are all": ("if number is None else (number,)", "if 1 else (number,)"),
        "all senders' lanes are the first's": ("range(self.senders) if", "range(1) if"),
        "one place's lanes are all": ("if place is None else (place,)", "if 1 else (place,)"),
        "all places' lanes are the first's": ("range(len(self._places)) if", "range(1) if"),
    },
    "Lanes._sum": {
        "the sender is not looked at": ("self._each(number, place)", "self._each(None, place)"),
        "the place is not looked at": ("self._each(number, place)", "self._each(number)"),
    },
    "Lanes._most": {
        "it is the least": ("max(", "min("),
        "the sender is not looked at": ("self._each(number, place)", "self._each(None, place)"),
        "the place is not looked at": ("self._each(number, place)", "self._each(number)"),
    },
    "Sending._begin": {
        "the first sender is not kept": ("self._senders = [first]", "self._senders = []"),
        "every channel has a name": ("if self.name is not None:", "if 1:"),
        "no channel has a name": ("if self.name is not None:", "if 0:"),
        "send_at is send_word_at": (
            "self.send_at = first.send_at",
            "self.send_at = first.send_word_at",
        ),
    },
    "Sending.add_sender": {
        "there is one sender too many": ("if taken == self.senders:", "if taken > self.senders:"),
        "there is one sender too few": ("taken == self.senders", "taken == self.senders - 1"),
        "two senders are one": ("self._senders.append(sender)", "pass"),
        "a further sender is the first": ("self._sender(self, taken)", "self._sender(self, 0)"),
    },
    "Sending.check": {
        "nothing is checked": ("        self._senders[0].check(data, priority)\n", ""),
    },
    "Sending.free": {
        "the class is not looked at": ("_free(0, priority)", "_free(0, None)"),
        "it is the last sender's": ("_free(0, priority)", "_free(self.senders - 1, priority)"),
    },
    "Sending.is_full": {
        "the class is not looked at": ("_free(0, priority)", "_free(0, None)"),
        "it is the last sender's": ("_free(0, priority)", "_free(self.senders - 1, priority)"),
        "it is whether there is room": ("not self", "not not self"),
    },
    "Sending.asend": {
        "it waits for ever": ("priority, timeout_ms)\n", "priority, None)\n"),
        "it is the last sender's": ("_senders[0]", "_senders[-1]"),
    },
    "Queue.__init__": {
        "the capacity is not kept as given": ("self.capacity = capacity", "self.capacity = None"),
        "a guard needs no enter": ('hasattr(each, "enter") and ', ""),
        "a guard needs no leave": (' and hasattr(each, "leave")', ""),
        "a channel needs a guard": ("each is not None and not (", "not ("),
        "no guard goes with views": ("each is not None and views", "views"),
        "a guard goes without views only": ("each is not None and views", "each is not None"),
        "a guard and views go together": ("if each is not None and views:", "if 0:"),
        "recv_guard is not checked": (', ("recv_guard", recv_guard)', ", "),
        "guard is not checked": ('("guard", guard), ', ""),
        "guard is forgotten": ("self._guard = guard", "pass"),
        "there are no views": (
            "        if views:\n            from .zero_copy",
            "        if 0:\n            from .zero_copy",
        ),
        "the channel has no claims": (
            "        if views:\n            first",
            "        if 0:\n            first",
        ),
        "there is a view before the first peek": ("self._seen = [None]", "self._seen = [0]"),
        "nothing is measured": ("if stats:", "if 0:"),
        "every channel is measured": ("if stats:", "if 1:"),
        "the receiver has no guard": ("        if recv_guard is not None:\n", "        if 0:\n"),
        "recv_guard is forgotten": ("self._recv_guard = recv_guard", "self._recv_guard = None"),
    },
    "Queue.memory": {
        "the capacity is not checked": ("cls._capacities(capacity), ", "(capacity,), "),
        "slot_size is the default": ("slot_size, senders, 1)", "32, senders, 1)"),
        "one sender is counted": ("slot_size, senders, 1)", "slot_size, 1, 1)"),
    },
    "Queue.add_receiver": {
        "a channel without recv_guard has another": ("if self._recv_guard is None:", "if 0:"),
        "it is the channel itself": ("return GuardedReceiver(self)", "return self"),
    },
    "Queue.__getattr__": {
        "a channel without views has no view by another name": ('if name == "_seen":', "if 0:"),
        "it does not say that views=True is missing": (
            'if name in ("claim", "commit", "abandon", "peek", "release", "view"):',
            "if 0:",
        ),
        "it says so of view alone": (
            '("claim", "commit", "abandon", "peek", "release", "view")',
            '("view",)',
        ),
        "what is missing is None": (
            'raise AttributeError("%s has no attribute %r" % (self._title(), name))',
            "return None",
        ),
    },
    "Queue.view": {
        "it is None for ever": ("return self._seen[0]", "return None if self._seen else None"),
    },
    "Queue.counters": {
        "all classes is an error": ("if priority is not None:", "if 1:"),
        "no class is an error": ("if priority is not None:", "if 0:"),
        "a channel counts by class": ("if not self._by_class:", "if 0:"),
        "any class will do": ('            whole("class", priority, 0, 4)\n', ""),
        "class 4 is none": ("priority, 0, 4", "priority, 0, 3"),
        "class 0 is none": ("priority, 0, 4", "priority, 1, 4"),
        "class 5 is one": ("priority, 0, 4", "priority, 0, 5"),
        "the class is not looked at": ("self._counters(priority)", "self._counters()"),
    },
    "_pitch": {
        "a slot is not rounded up to words": ("(slot_size + 3 & ~3)", "slot_size"),
        "a slot is rounded down to words": ("slot_size + 3 & ~3", "slot_size & ~3"),
        "a slot has no stamp": ("_SLOT_BYTES + ", "4 + "),
    },
    "_forget_buffers": {
        "a new receiver knows a buffer": ("    _store(block, word + _RX_LENGTH, -1)\n", ""),
        "a new receiver knows an array": ("    _store(block, word + _WORDS_LENGTH, -1)\n", ""),
    },
    "": {
        "the other core of an rp2 is not woken": (
            'if sys.platform == "rp2":',
            'if sys.platform == "rp1":',
        ),
        "every board is an rp2": ('if sys.platform == "rp2":', "if 1:"),
    },
    "waiting": {
        "the module is not imported": ("if _waiting is None:", "if 0:"),
        "the package is taken for it": ('("Waiter",)', "None"),
    },
}
for _verb in ("send", "send_word"):
    MUTANTS[_verb].update(_SENDING)
for _verb in ("recv", "recv_word", "recv_words"):
    MUTANTS[_verb].update(_RECEIVING)
for _verb in ("recv", "recv_word"):
    MUTANTS[_verb].update(_RESULT)
for _verb in ("send", "recv"):
    MUTANTS[_verb].update(_COPYING)
