"""The engine's words and steps: what `make stamp` writes into the modules of lib/ringlane.

A call costs some 500 cycles on an RP2040, and const() folds within one file only, so the verbs
share no code and the modules no constants at run time. They share them here: WORDS says what each
word of a channel's block is, STEPS what each step of a verb does, and cog writes both between the
marks in the modules. Edit here and run `make stamp`; a test fails when a copy has drifted.

    #: words(cog.inFile) :#              the words that the module uses
    #: step("room", size="size") :#      a step, with what stands for its <names>
    #: facts("REGISTER") :#              what the boards' files say of the chip
    ...
    # stamped.
"""

import re
import textwrap
from pathlib import Path
from typing import Any

from ringlane_host import boards

# A block holds, in this order: each receiver's words, each sender's words, the lanes and the
# slots. The lanes stand row by row, within a row sender by sender; after the last lane that a
# receiver reads stands an end mark, the first words of a lane, which never looks empty. A word's
# number counts from the start of the part; figures in bytes from where the text says.
WORDS = {
    "receiver": (
        ("LANES", "bytes from here to the receiver's first lane"),
        ("STRIDE", "bytes of a slot"),
        ("RX_CLOCK", "address of the clock's register, 0: call the clock's ticks()"),
        ("MASK", "the clock's period - 1"),
        ("STAMP", "timestamp of the message last received. Owner: receiver"),
        ("RX_KNOWN", "the receive buffer last checked, as a word. Owner: receiver"),
        ("RX_META", "the META that stands in the result. Owner: receiver"),
        ("WORDS_KNOWN", "the array last checked by recv_words, as a word. Owner: receiver"),
        ("FENCED", "1: cores reorder, so a verb fences; see `Fences` in lanes.py"),
        ("EPOCH", "messages of another one were for an earlier receiver of the row"),
        ("PEEKED", "bytes from here to the lane that peek chose, 0: none. Owner: receiver"),
        ("PEEK_TAIL", "that lane's tail then"),
        ("STALE_DROPPED", "messages of another epoch, dropped unseen. Owner: receiver"),
        ("TABLE", "request-reply: bytes from here to the table of requests"),
    ),
    "sender": (
        ("CARDS", "8 words, by class: bytes from here to its lane, or to an end mark"),
        ("CLOCK", "as RX_CLOCK, but 0 while AT_SET. Owner: sender"),
        ("LIMIT", "slot_size + 1; 0 once closed. Owner: whoever closes"),
        ("TX_STRIDE", "bytes of a slot"),
        ("REGISTER", "as RX_CLOCK"),
        ("AT_SET", "1: the next message is stamped AT. Owner: sender"),
        ("AT", ""),
        ("TX_KNOWN", "the message object last checked, as a word. Owner: sender"),
        ("TX_FENCED", "as FENCED"),
        ("ROWS", "fan-out: how many receivers there may be"),
        ("ROW_STEP", "fan-out: bytes from a row's lane to the next row's"),
        ("POLICY", "fan-out: 0: all receivers, else one, chosen by the policy"),
        ("TURN", "anycast: the row to look at first. Owner: sender"),
        ("SEED", "anycast: of the policy RANDOM. Owner: sender"),
        ("CORE", "anycast: the sender's core, or the address of the register that tells it"),
    ),
    "lane": (
        ("HEAD", "messages queued since the start. Owner: producer; the consumer reads it"),
        ("TAIL", "messages taken since the start. Owner: consumer; the producer reads it"),
        ("REST", "bytes to the row's last lane; | STALE: check the epoch; LAST: an end mark"),
        (
            "ROOM",
            "with so many queued send looks closer; 0 while claimed. Owner: producer. "
            "Fan-out: max_lag or 0 | epoch << 16 | core << 24. Owner: the receiver",
        ),
        ("CAPACITY", "slots; 0: the class is not used"),
        ("WRITE", "bytes from here to the slot to write next. Owner: producer"),
        ("READ", "bytes from here to the slot to read next. Owner: consumer"),
        ("FIRST", "bytes from here to the first slot"),
        ("END", "bytes from here past the last slot"),
        ("NUMBER", "the number of the first slot in the block"),
        ("HIGH_WATER", "the most messages queued at once. Owner: producer"),
        ("DROPPED", "messages that found no room. Owner: producer"),
        ("REJECTED", "messages too large, after close() or while claimed. Owner: producer"),
        ("CLAIMED", "1: a claim is open. Owner: producer"),
    ),
    "slot": (
        ("META", "size | class << 16 | epoch << 24"),
        ("TIME", "the clock when it was sent"),
    ),
    # A recorder's ring, of one end of a channel (tap.py); its events stand behind RING_KNOWN.
    "ring": (
        ("RING_BEGUN", "events begun since the start. Owner: the end; the reader reads it"),
        ("RING_DONE", "events whole since the start. Owner: the end; the reader reads it"),
        ("RING_TAKEN", "events read, or overwritten unread. Owner: reader"),
        ("RING_LOST", "events overwritten unread. Owner: reader"),
        ("RING_NEXT", "bytes from here to the event to write next. Owner: the end"),
        ("RING_FIRST", "bytes from here to the first event"),
        ("RING_END", "bytes from here past the last event"),
        ("RING_STRIDE", "bytes of an event"),
        ("RING_PART_LOW", "address of the end's words, its low 32 bits"),
        ("RING_PART_HIGH", "and its high ones"),
        ("RING_SENDER", "the sender's number << 24"),
        ("RING_CLASSES", "7: a lane for each class; 0: one lane"),
        ("RING_FENCED", "as FENCED"),
        (
            "RING_MISSES",
            "multicast receiver: bytes from here to DROPPED of its lanes, as known",
        ),
        ("RING_KNOWN", "words, by lane: its DROPPED or TAIL at the last event. Owner: the end"),
    ),
    "event": (
        ("EVENT_TIME", "the clock: of a queued message its stamp, else now"),
        ("EVENT_NUMBER", "the message's number in its lane"),
        ("EVENT_WHAT", "size | class << 16 | outcome << 20 | sender << 24"),
        ("EVENT_FIGURE", "queued: messages queued; received: latency; taken, missed: how many"),
    ),
}
_SIZES = {"CARDS": 8}  # words that take more than one

# What is no word: its value and meaning.
FIGURES = {
    "NEXT_HEAD": (14, "HEAD of the lane behind, as seen from this one"),
    "NEXT_TAIL": (15, ""),
    "THIRD_HEAD": (28, "and of the one behind that"),
    "THIRD_TAIL": (29, ""),
    "MARK_BYTES": (20, "an end mark: the words up to CAPACITY"),
    "STALE": (1, "in REST"),
    "LAST": (2, "in REST"),
    "NOTHING": (2, "as a word, no object"),
    "QUEUED": (-1, "to tally(): messages queued"),
    "WORD_META": (0x800000, "marks RX_META after recv_word, which leaves no size in the result"),
}


def offsets(part):
    """Return {name: number} of a part's words, and how many words the part has."""
    numbers, at = {}, 0
    for name, _ in WORDS[part]:
        numbers[name] = at
        at += _SIZES.get(name, 1)
    return numbers, at


def constants():
    """Return {name: (value, meaning)} of every word and figure."""
    found = {}
    for part in WORDS:
        numbers, count = offsets(part)
        found.update({name: (numbers[name], text) for name, text in WORDS[part]})
        found[part.upper() + "_BYTES"] = 4 * count, ""
    found.update(FIGURES)
    return found


_WIDTH = 99

# A difference costs six cycles less than `==`, where a verb is hot.
# What verbs are made of; `part` is the words of the sender or receiver, `cold` its cold side.

STEPS = {
    # The words of the sender or receiver, whose address the verb closes over, divided by 4.
    "part": """
        part = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        """,
    # -- sending
    # The clock comes first: until head is loaded, whatever runs in between does no harm.
    "stamp": """
        register = part[_CLOCK]
        if register:
            now = ptr32(register)[0]
        elif part[_AT_SET]:
            now = part[_AT]
            part[_AT_SET] = 0
            part[_CLOCK] = part[_REGISTER]
        else:
            now = int(cold._ticks())
        """,
    "known message": """
        known = data if 1 else 0  # the object as a word: see `Objects as words` in verbs.py
        if (known - <known>) & 0x3FFFFFFF:
            if cold._check_message(data):
                cold._kept[<kept>] = data
                <known> = known
        """,
    "span": """
        size = int(size_of(data))
        source = int(ptr8(data))
        """,
    "class": """
        double = (priority if 1 else 0) ^ 1  # of a small int, twice its value
        if double & -15:
            level = int(priority)
            if level & -8:
                cold._no_lane(level)
            double = level << 1
        lane = ptr32(int(part) + ptr32(int(part) + (double << 1))[_CARDS])
        """,
    "lane of class": """
        lane = ptr32(int(part) + ptr32(int(part) + ((priority & 7) << 2))[_CARDS])
        """,
    "room": """
        head = lane[_HEAD]
        # Bound: tail may move meanwhile, so what is queued can only be fewer.
        # Both differences are below 0, modulo 2**32, if there is room and it is not too large.
        if not (head - lane[_TAIL] - lane[_ROOM] & <size> - part[_LIMIT]) >> 31 & 1:
            if not cold._admit(double >> 1, <size>):
                return False
        """,
    "slot": """
        slot = ptr32(int(lane) + lane[_WRITE])
        slot[_META] = <meta>
        slot[_TIME] = now
        """,
    "copy in": """
        to = ptr32(int(slot) + 8)
        words = ptr32(<source>)
        count = <size>
        """,
    # From `words` to `to`, `count` bytes, in any order. One of the two is a slot's payload, which
    # is aligned.
    "copy": """
        if int(<outer>) & 3:  # an unaligned word access is a HardFault on the M0+
            while count:
                count -= 1
                ptr8(to)[count] = ptr8(words)[count]
        if count & 15:  # from the end, so that the blocks need no pointers behind them
            rest = count & 15
            count -= rest
            while rest & 3:
                rest -= 1
                ptr8(to)[count + rest] = ptr8(words)[count + rest]
            while rest:
                rest -= 4
                ptr32(int(to) + count)[rest >> 2] = ptr32(int(words) + count)[rest >> 2]
        if count >> 5:
            blocks = count >> 6
            while blocks:
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                to[4] = words[4]
                to[5] = words[5]
                to[6] = words[6]
                to[7] = words[7]
                to[8] = words[8]
                to[9] = words[9]
                to[10] = words[10]
                to[11] = words[11]
                to[12] = words[12]
                to[13] = words[13]
                to[14] = words[14]
                to[15] = words[15]
                to = ptr32(int(to) + 64)
                words = ptr32(int(words) + 64)
                blocks -= 1
            if count & 32:
                to[0] = words[0]
                to[1] = words[1]
                to[2] = words[2]
                to[3] = words[3]
                to[4] = words[4]
                to[5] = words[5]
                to[6] = words[6]
                to[7] = words[7]
                to = ptr32(int(to) + 32)
                words = ptr32(int(words) + 32)
        if count & 16:
            to[0] = words[0]
            to[1] = words[1]
            to[2] = words[2]
            to[3] = words[3]
        """,
    "copy plain": """
        rest = count & 3
        if int(<outer>) & 3:
            rest = count
        count -= rest
        while count:
            to[0] = words[0]
            to = ptr32(int(to) + 4)
            words = ptr32(int(words) + 4)
            count -= 4
        while rest:
            rest -= 1
            ptr8(to)[rest] = ptr8(words)[rest]
        """,
    "publish": """
        write = lane[_WRITE] + part[_TX_STRIDE]
        if not write - lane[_END]:
            write = lane[_FIRST]
        lane[_WRITE] = write
        if part[_TX_FENCED]:
            cold._fence()
        # Order: slot before head, so the consumer sees no half-written message.
        lane[_HEAD] = head + 1
        """,
    # -- receiving
    "known buffer": """
        known = buf if 1 else 0
        if (known - <known>) & 0x3FFFFFFF:
            if cold._check_buffer(buf):
                cold._kept[<kept>] = buf
                <known> = known
        room = int(size_of(buf))
        target = int(ptr8(buf))
        """,
    "choose": """
        lane = ptr32(int(part) + part[_LANES])
        while not lane[_HEAD] - lane[_TAIL]:  # the most urgent class first
            if lane[_NEXT_HEAD] - lane[_NEXT_TAIL]:
                lane = ptr32(int(lane) + _LANE_BYTES)
                break
            if lane[_THIRD_HEAD] - lane[_THIRD_TAIL]:
                lane = ptr32(int(lane) + 2 * _LANE_BYTES)
                break
            lane = ptr32(int(lane) + 3 * _LANE_BYTES)
        if lane[_REST]:
            rest = lane[_REST]
            if not rest - _LAST:
                return None
            other = ptr32(int(lane) + _LANE_BYTES)
            while rest and not rest & _STALE and not other[_HEAD] - other[_TAIL]:
                other = ptr32(int(other) + _LANE_BYTES)
                rest -= _LANE_BYTES
            if rest:  # several senders, or receivers one after the other
                rest = int(cold._next_lane())
                if not rest:
                    return None
                lane = ptr32(int(part) + rest)
        if part[_FENCED]:
            cold._fence()  # head before slot, so that no part of it is older
        slot = ptr32(int(lane) + lane[_READ])
        """,
    "copy out": """
        words = ptr32(int(slot) + 8)
        to = ptr32(target)
        """,
    # What recv and recv_word leave in the list that they return.
    "result": """
        if meta - part[_RX_META]:  # a store into the list costs as much as copying 100 bytes
            result[0] = count
            result[1] = meta >> 16 & 0xFF
            part[_RX_META] = meta
        result[2] = (now - stamp) & part[_MASK]
        """,
    "size": """
        meta = slot[_META]
        count = meta & 0xFFFF
        """,
    "word size": """
        meta = slot[_META] | _WORD_META
        if meta - part[_RX_META]:
            if (meta & 0xFFFF) - 4:
                cold._not_a_word(meta & 0xFFFF)
            result[1] = meta >> 16 & 0x7F
            part[_RX_META] = meta
        """,
    "word result": """
        value |= (0 - (value >> 31 & 1)) << 31  # the sign, where a register is 64 bits wide
        result[0] = value  # may raise MemoryError, so before anything that counts
        result[2] = (now - stamp) & part[_MASK]
        """,
    "age": """
        stamp = slot[_TIME]
        if part[_RX_CLOCK]:
            now = ptr32(part[_RX_CLOCK])[0]
        else:
            now = int(cold._ticks())
        """,
    "give back": """
        read = lane[_READ] + part[_STRIDE]
        if not read - lane[_END]:
            read = lane[_FIRST]
        lane[_READ] = read
        if part[_FENCED]:
            cold._fence()
        # Order: slot read before tail, so the producer cannot reuse it early.
        lane[_TAIL] = lane[_TAIL] + 1
        """,
    # -- a tap's event
    "ring only": """
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        """,
    "ring": """
        ring = ptr32((here if 1 else 0) - 1 << 1)  # see `Ints as words` in port.py
        # Twice by 16, as a register of 32 bits cannot be shifted by 32.
        part = ptr32(ring[_RING_PART_LOW] + (ring[_RING_PART_HIGH] << 16 << 16))
        """,
    "begin event": """
        # Order: before the event, so that a reader knows which one is being overwritten.
        ring[_RING_BEGUN] = ring[_RING_DONE] + 1
        if ring[_RING_FENCED]:
            fence()
        event = ptr32(int(ring) + ring[_RING_NEXT])
        """,
    "head of message": """
        left = ring[_RING_STRIDE] - _EVENT_BYTES
        if left > size:
            left = size
        to = ptr8(int(event) + _EVENT_BYTES)
        source = ptr8(<data>)
        while left:
            left -= 1
            to[left] = source[left]
        """,
    "end event": """
        following = ring[_RING_NEXT] + ring[_RING_STRIDE]
        if not following - ring[_RING_END]:
            following = ring[_RING_FIRST]
        ring[_RING_NEXT] = following
        if ring[_RING_FENCED]:
            fence()
        # Order: event before done, so that a reader sees no half-written one.
        ring[_RING_DONE] = ring[_RING_DONE] + 1
        """,
}
# The message just queued in `lane`: its slot stays as it is until the sender's next one.
STEPS["slot event"] = (
    """
        write = lane[_WRITE]
        if not write - lane[_FIRST]:
            write = lane[_END]
        slot = ptr32(int(lane) + write - part[_TX_STRIDE])
        """
    + STEPS["begin event"]
    + """
        event[_EVENT_TIME] = slot[_TIME]
        event[_EVENT_NUMBER] = <number>
        event[_EVENT_WHAT] = <meta> | ring[_RING_SENDER]
        event[_EVENT_FIGURE] = <figure>
        left = ring[_RING_STRIDE] - _EVENT_BYTES
        while left:
            left -= 4
            word = ptr32(int(slot) + left + _SLOT_BYTES)[0]
            ptr32(int(event) + left + _EVENT_BYTES)[0] = word
        """
    + STEPS["end event"]
)
# The lane of which something was just taken, and what is known of it.
STEPS["taken lane"] = """
        lane = ptr32(int(part) + part[_LANES])
        known = ptr32(ring)
        sender = 0
        row = 0
        while not lane[_TAIL] - known[_RING_KNOWN] and lane[_REST] != _LAST:
            sender += 1
            if not lane[_REST]:
                sender = 0
                row += 1
            lane = ptr32(int(lane) + _LANE_BYTES)
            known = ptr32(int(known) + 4)
        """

# A message and a receive buffer, from the object to where its bytes are.
STEPS["message"] = (
    STEPS["known message"]
    + """
        count = int(size_of(data))
        words = ptr32(data)
        """
)
STEPS["buffer"] = STEPS["known buffer"].replace("target = int(ptr8(buf))", "to = ptr32(buf)")
# What the verbs close over.
STEPS["sender"] = """
        size_of = len  # a closure is read faster than a global
        here = at >> 2
        """
STEPS["receiver"] = """
        size_of = len
        here = at >> 2
        result = [0, 0, 0]
        """

# The steps that the direct form has otherwise: where a verb meets an object of Python.
DIRECT = {
    # One cell costs less than several.
    "sender": """
        own = [at >> 2, cold, True, False, bytearray, bytes]
        """,
    "receiver": """
        own = [at >> 2, cold, [0, 0, 0], bytearray]
        """,
    "part": """
        mine = ptr32(ptr32(own if 1 else 0)[3])
        part = ptr32(mine[0] - 1 << 1)  # see `Ints as words` in port.py
        """,
    "message": """
        obj = ptr32(data if 1 else 0)
        if int(obj) & 3 or (obj[0] - mine[4] and obj[0] - mine[5]):
            # Not an object, or a memoryview, an array, or what raises.
            known = int(obj)
            if (known - <known>) & 0x3FFFFFFF:
                if cold._check_message(data):
                    cold._kept[<kept>] = data
                    <known> = known
            words = ptr32(data)
            count = obj[2]
        else:
            count = obj[2]
            words = ptr32(obj[3])
        """,
    "buffer": """
        obj = ptr32(buf if 1 else 0)
        if int(obj) & 3 or obj[0] - mine[3]:
            known = int(obj)
            if (known - <known>) & 0x3FFFFFFF:
                if cold._check_buffer(buf):
                    cold._kept[<kept>] = buf
                    <known> = known
            to = ptr32(buf)
            room = obj[2]
        else:
            room = obj[2]
            to = ptr32(obj[3])
        """,
    "result": """
        obj = ptr32(mine[2])
        if obj[2] - 3:
            own[2][2] = 0  # raises if someone has taken items out of it
        items = ptr32(obj[3])
        items[0] = count << 1 | 1
        items[1] = ptr8(slot)[2] << 1 | 1
        items[2] = ((now - stamp) & part[_MASK]) << 1 | 1
        """,
    "size": """
        count = ptr16(slot)[0]
        """,
    "word size": """
        if ptr16(slot)[0] - 4:
            cold._not_a_word(ptr16(slot)[0])
        """,
    "word result": """
        obj = ptr32(mine[2])
        if obj[2] - 3:
            own[2][2] = 0  # raises if someone has taken items out of it
        items = ptr32(obj[3])
        if (value >> 30) + 1 >> 1:
            own[2][0] = value  # may raise MemoryError, so before anything that counts
        else:
            items[0] = value << 1 | 1
        items[1] = ptr8(slot)[2] << 1 | 1
        items[2] = ((now - stamp) & part[_MASK]) << 1 | 1
        """,
}

# And lines that it has otherwise. Of fences it has none, or each always: from `own`, as a global
# costs a viper function 150 cycles at each call.
_FENCE = r"(?m)^( *)if part\[_(TX_)?FENCED\]:\n +cold\._fence\(\)(.*\n)"
_FENCED_OWN = {"bytearray, bytes]": "bytearray, bytes, cold._fence]"}
_FENCED_OWN |= {"[0, 0, 0], bytearray]": "[0, 0, 0], bytearray, cold._fence]"}
_LINES = {
    "return True": "yes = mine[2] if 1 else own\nreturn yes",
    "return False": "no = mine[3] if 1 else own\nreturn no",
    "return result": "found = mine[2] if 1 else own\nreturn found",
    "nonlocal here\n        here = address >> 2": "own[0] = address >> 2",
}


def step(name, **values):
    """Print a step, with each <name> replaced by what `values` says."""
    print(_filled(name, STEPS[name], values))


def direct(path, fenced=False):
    """Print the module at `path` in the direct form, with what is stamped in it, and its words.

    `fenced`: with its fences; else without them.
    """
    text = Path(path).read_text()
    text = text[text.index('"""', 3) + 4 :]  # it has a docstring of its own
    text = re.sub(r"(?ms)^#: words.*?# stamped\.\n", "<words>", text)
    text = re.sub(r"(?ms)^( *)#: step\(([^\n]*)\) :#\n.*?# stamped\.\n", _in_direct_form, text)
    for line, lines in _LINES.items():
        text = re.sub(rf"(?m)^( *){line}$", r"\1" + lines.replace("\n", "\n\\1"), text)
    text = re.sub(_FENCE, _fence if fenced else "", text)
    text = text.replace("cold._", "own[1]._").replace(" -> bool:", ":")
    for line, other in _FENCED_OWN.items() if fenced else ():
        text = text.replace(line, other)
    before, after = text.split("<words>")
    print(before.strip("\n") + "\n")
    _print_words(after)
    print(after.rstrip("\n"))


def _fence(match):
    indent, sends, comment = match.groups()
    return f"{indent}order = mine[{6 if sends else 4}] if 1 else own\n{indent}order(){comment}"


def _in_direct_form(match):
    # A stamped region as it is in the direct form, without its marks.
    name, values = eval(f"(lambda name, **values: (name, values))({match[2]})")
    text = _filled(name, DIRECT.get(name, STEPS[name]), values)
    if name in DIRECT:
        text = f"# Accessor: {name}.\n{text}\n# As verbs.py again.\n"
    return textwrap.indent(text.rstrip("\n") + "\n", match[1])


def _filled(name, text, values):
    text = textwrap.dedent(text).strip("\n").rstrip()
    for key, value in values.items():
        if f"<{key}>" not in text:
            raise KeyError(f"step {name!r} has no <{key}>")
        text = text.replace(f"<{key}>", str(value))
    left = re.findall(r"<[a-z ]+>", text)
    if left:
        raise KeyError(f"step {name!r} needs a value for {', '.join(left)}")
    return text


def words(path):
    """Print the definitions of the words that the module at `path` uses, with their meanings."""
    source = re.sub(r"(?m)^_[A-Z_]+ = const\(.*$", "", Path(path).read_text())
    for each in re.findall(r'step\("([^"]+)"', source):
        source += STEPS[each]  # the step may not stand there yet
    _print_words(source)


# What is asked of a board's file, where it is not 0; of boards with the same chip it is the same.
FACTS = {
    "REGISTER": lambda board: board.clock.register,
    "CPU_ID": lambda board: board.cpu_id,
    "fenced": lambda board: board.fence != "none",
    "CYCLES": lambda board: board.cycles,
    "EXCEPTION": lambda board: board.exception,
    "RAM_END": lambda board: board.ram_end,
}


def facts(*names):
    """Print the assignment of the facts `names` of the chip on which it runs, from boards/*.toml.

    A chip is known by the end of what its firmware says, and what is none of them is as unix.
    """
    rows: dict[str, tuple[Any, ...]] = {}
    for name in boards.names():
        board = boards.load(name)
        row = tuple(FACTS[each](board) for each in names)
        if rows.setdefault(board.mcu, row) != row:
            raise ValueError(f"{name} and another board with {board.mcu} differ in {names}")
    others = rows.pop(boards.load("unix").mcu)
    # By ifs, as a module keeps its constant tuples for as long as it has functions.
    print('mcu = getattr(sys.implementation, "_machine", "").split(" with ")[-1]')
    for name, value in zip(names, others, strict=True):
        print(f"{name} = {_literal(value)}")
    word = "if"
    for row in sorted({tuple(row) for row in rows.values()} - {tuple(others)}):
        print(
            word, " or ".join(f'mcu == "{mcu}"' for mcu in rows if tuple(rows[mcu]) == row) + ":"
        )
        word = "elif"
        for name, value, other in zip(names, row, others, strict=True):
            if value != other:
                print(f"    {name} = {_literal(value)}")
    print("del mcu")


def _literal(value):
    return f"0x{value:08X}" if type(value) is int and value else repr(value)


def _print_words(source):
    used = set(re.findall(r"\b_([A-Z][A-Z_]*)\b", source))
    for name, (value, text) in constants().items():
        if name in used:
            line = f"_{name} = const({value})"
            if text and len(line) + 3 + len(text) <= _WIDTH:
                line += f"  # {text}"
            elif text:
                line = "\n".join(
                    textwrap.wrap(f"# {text}:", _WIDTH, subsequent_indent="# ") + [line]
                )
            print(line)
