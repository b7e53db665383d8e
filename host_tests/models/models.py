"""What each channel promises, as plain lists and counts: no memory, no indices, no wrap.

A model's verb returns what the channel has to return or says what has to become of the message; it
raises Wrong where the channel has to raise. Its times never wrap, so that "older" is "<".
"""


class Wrong(Exception):
    """The channel has to raise `kind`, and nothing may have changed."""

    def __init__(self, kind):
        super().__init__(kind.__name__)
        self.kind = kind


class Message:
    """What was sent. Two are the same only if they are one."""

    def __init__(self, data, priority, stamp):
        self.data, self.priority, self.stamp = data, priority, stamp

    def word(self):
        """Return the value of a message of 4 bytes, signed."""
        if len(self.data) != 4:
            raise Wrong(ValueError)
        return int.from_bytes(self.data, "little", signed=True)


class Lane:
    """What one sender has queued in one place, and what was counted there."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.queued = []
        self.claimed = False
        self.sent = self.received = self.dropped = self.rejected = self.high_water = 0

    @property
    def free(self):
        return 0 if self.claimed else self.capacity - len(self.queued)

    def put(self, message):
        self.queued.append(message)
        self.sent += 1
        self.high_water = max(self.high_water, len(self.queued))

    def take(self):
        self.received += 1
        return self.queued.pop(0)

    def has_wrapped(self):
        """Return whether the indices of a ring of this capacity have started anew."""
        return self.sent > 2 * self.capacity


def oldest(lanes):
    """Return the lane whose next message was stamped first, of equal ones the first; or None."""
    waiting = [lane for lane in lanes if lane.queued]
    return min(waiting, key=lambda lane: lane.queued[0].stamp, default=None)


def total(lanes, field):
    """Return the sum of what the lanes have counted."""
    return sum(getattr(lane, field) for lane in lanes)


class End:
    """A receiving end of rows of lanes, the most urgent row first; a row has one per sender."""

    def __init__(self, rows):
        self.rows = rows
        self.lanes = [lane for row in rows for lane in row]
        self.last_stamp = 0  # what timestamp() tells
        self.peeked = None  # (lane, message)
        self.latencies = []

    def __len__(self):
        return sum(len(lane.queued) for lane in self.lanes)

    @property
    def received(self):
        return total(self.lanes, "received")

    def next_lane(self):
        for row in self.rows:
            lane = oldest(row)
            if lane is not None:
                return lane
        return None

    def recv(self, room):
        """Take and return the next message, None if there is none."""
        lane = self.next_lane()
        if lane is None:
            return None
        if len(lane.queued[0].data) > room:
            raise Wrong(ValueError)
        return self._taken(lane)

    def recv_word(self):
        lane = self.next_lane()
        if lane is None:
            return None
        lane.queued[0].word()  # raises if it is none
        return self._taken(lane)

    def recv_words(self, room):
        """Take and return up to `room` words."""
        words = []
        while len(words) < room:
            lane = self.next_lane()
            if lane is None or (words and len(lane.queued[0].data) != 4):
                break
            words.append(lane.queued[0].word())
            self._taken(lane)
        return words

    def skip(self):
        lane = self.next_lane()
        if lane is None:
            return False
        lane.take()
        return True

    def clear(self):
        return sum(self.skip() for _ in range(len(self)))

    def skip_to_latest(self):
        return sum(self.skip() for _ in range(len(self) - 1))

    def peek(self):
        """Return the next message without taking it: that of the last peek, while it is there."""
        if not self._peek_holds():
            lane = self.next_lane()
            self.peeked = None if lane is None else (lane, lane.queued[0])
        if self.peeked is None:
            return None
        self.last_stamp = self.peeked[1].stamp
        return self.peeked[1]

    def release(self):
        holds = self._peek_holds()
        if holds:
            self.peeked[0].take()
        self.peeked = None
        return holds

    def _peek_holds(self):
        return self.peeked is not None and self.peeked[1] in self.peeked[0].queued

    def _taken(self, lane):
        message = lane.take()
        self.last_stamp = message.stamp
        return message


class Queue(End):
    """Channel and PriorityChannel: `capacities` has one number, or one for each class."""

    def __init__(self, capacities, slot_size, senders):
        End.__init__(self, [[Lane(each) for _ in range(senders)] for each in capacities])
        self.by_class = len(capacities) > 1
        self.slot_size, self.senders = slot_size, senders
        self.closed = False

    def lane(self, sender, priority):
        if not 0 <= priority <= 4:
            raise Wrong(ValueError)
        return self.rows[priority if self.by_class else 0][sender]

    def of_sender(self, sender):
        return [row[sender] for row in self.rows]

    def send(self, sender, data, priority, stamp):
        """Return "queued", "dropped" or "rejected"."""
        lane = self.lane(sender, priority)
        if not lane.capacity:
            raise Wrong(ValueError)
        if self.closed or len(data) > self.slot_size or lane.claimed:
            return self._count(lane, "rejected")
        if not lane.free:
            return self._count(lane, "dropped")
        lane.put(Message(data, priority, stamp))
        return "queued"

    def claim(self, sender, priority):
        """Return "claimed", "dropped" or "rejected"."""
        lane = self.lane(sender, priority)
        if not lane.capacity:
            raise Wrong(ValueError)
        if self.closed or lane.claimed:
            return self._count(lane, "rejected")
        if not lane.free:
            return self._count(lane, "dropped")
        lane.claimed = True
        return "claimed"

    def commit(self, sender, data, priority, stamp):
        """Return "queued" or "rejected"."""
        lane = self._claimed(sender, priority)
        if self.closed:
            lane.claimed = False
            return self._count(lane, "rejected")
        if len(data) > self.slot_size:
            raise Wrong(ValueError)
        lane.claimed = False
        lane.put(Message(data, priority, stamp))
        return "queued"

    def abort(self, sender, priority):
        self._claimed(sender, priority).claimed = False

    def _claimed(self, sender, priority):
        lane = self.lane(sender, priority)
        if not lane.claimed:
            raise Wrong(ValueError)
        return lane

    def _count(self, lane, outcome):
        setattr(lane, outcome, getattr(lane, outcome) + 1)
        return outcome

    def counters(self, priority=None):
        lanes = self.lanes if priority is None else self.rows[priority]
        received = total(lanes, "received")
        queued = sum(len(lane.queued) for lane in lanes)
        return (
            queued,
            queued + received,
            received,
            total(lanes, "dropped"),
            total(lanes, "rejected"),
            max(lane.high_water for lane in lanes),
        )


class FanoutEnd(End):
    """A receiver of several: a lane for each sender, of which `limit` slots may be in use."""

    def __init__(self, place, senders, limit, core=0):
        End.__init__(self, [[Lane(limit) for _ in range(senders)]])
        self.place, self.limit, self.core = place, limit, core
        self.open = True

    @property
    def dropped(self):
        return total(self.lanes, "dropped")

    def close(self):
        unread = len(self)
        for lane in self.lanes:
            lane.queued.clear()
        self.open = False
        return unread


class Fanout:
    """What MulticastChannel and AnycastChannel have in common."""

    def __init__(self, capacity, slot_size, max_receivers, senders):
        self.capacity, self.slot_size, self.senders = capacity, slot_size, senders
        self.places = [None] * max_receivers
        self.ends = []  # those that have closed, too
        self.closed = False
        self.unread = 0
        self.rejected = [0] * senders
        self.passed_over = [0] * senders  # messages that nobody had room for

    def is_open(self):
        return [end for end in self.places if end is not None]

    def add_receiver(self, limit, core=0):
        if self.closed or None not in self.places or not 1 <= limit <= self.capacity:
            raise Wrong(ValueError)
        place = self.places.index(None)
        end = FanoutEnd(place, self.senders, limit, core)
        self.places[place] = end
        self.ends.append(end)
        return end

    def close_receiver(self, end):
        if not end.open:
            return 0
        self.places[end.place] = None
        unread = end.close()
        self.unread += unread
        return unread

    def lanes(self, sender=None):
        each = range(self.senders) if sender is None else (sender,)
        return [end.lanes[number] for end in self.ends for number in each]

    def high_water(self, sender=None):
        return max((lane.high_water for lane in self.lanes(sender)), default=0)

    def dropped(self, sender=None):
        passed = sum(self.passed_over) if sender is None else self.passed_over[sender]
        return total(self.lanes(sender), "dropped") + passed

    def __len__(self):
        return sum(len(end) for end in self.ends)

    def _refuses(self, sender, data, priority):
        if not 0 <= priority <= 4:
            raise Wrong(ValueError)
        if self.closed or len(data) > self.slot_size:
            self.rejected[sender] += 1
            return True
        return False


class Multicast(Fanout):
    def send(self, sender, data, priority, stamp):
        """Return the receivers that got it."""
        if self._refuses(sender, data, priority):
            return []
        took = []
        for end in self.is_open():
            lane = end.lanes[sender]
            if lane.free:
                lane.put(Message(data, priority, stamp))
                took.append(end)
            else:
                lane.dropped += 1
        return took

    def free(self, sender):
        if self.closed:
            return 0
        return min((end.lanes[sender].free for end in self.is_open()), default=self.capacity)


class Anycast(Fanout):
    """`cores`: each sender's. `turn`: the place that each sender comes to next."""

    def __init__(self, capacity, slot_size, max_receivers, cores, policy):
        Fanout.__init__(self, capacity, slot_size, max_receivers, len(cores))
        self.cores, self.policy = cores, policy
        self.turn = [0] * len(cores)

    def may_send(self, sender, data, priority):
        """Return the receivers that the policy allows, the only one if it leaves no choice.

        None if the message is rejected; it is counted, and so it is if the list is empty.
        """
        if self._refuses(sender, data, priority):
            return None
        turn = self.turn[sender]
        in_turn = [end for end in self.places[turn:] + self.places[:turn] if end is not None]
        able = [end for end in in_turn if end.lanes[sender].free]
        if not able:
            self.passed_over[sender] += 1
        elif self.policy == "LEAST_LOADED":
            able = [min(able, key=len)]
        elif self.policy == "AFFINITY_FIRST":
            able = [min(able, key=lambda end: end.core != self.cores[sender])]
        elif self.policy == "ROUND_ROBIN":
            able = able[:1]
        return able

    def deliver(self, sender, end, data, priority, stamp):
        end.lanes[sender].put(Message(data, priority, stamp))
        self.turn[sender] = (end.place + 1) % len(self.places)

    def free(self, sender):
        return 0 if self.closed else sum(end.lanes[sender].free for end in self.is_open())


class Request:
    """`reply`: None while pending, else (data, status). `over`: taken or cancelled."""

    def __init__(self, id, data, stamp):
        self.id, self.data, self.stamp = id, data, stamp
        self.reply = None
        self.over = False


class RequestReply:
    def __init__(self, capacity, slot_size):
        self.capacity, self.slot_size = capacity, slot_size
        self.lane = Lane(capacity)
        self.requests = {}  # by id, every one that there was
        self.answered = self.late = self.no_id = self.too_large = 0
        self.closed = False
        self.latencies = []

    @property
    def outstanding(self):
        return [each for each in self.requests.values() if not each.over]

    def free(self):
        return 0 if self.closed else min(self.capacity - len(self.outstanding), self.lane.free)

    def may_request(self, data):
        """Return "queued", "dropped" or "rejected"."""
        if len(self.outstanding) == self.capacity:
            self.no_id += 1
            return "dropped"
        if self.closed or len(data) > self.slot_size:
            self.lane.rejected += 1
            return "rejected"
        if not self.lane.free:
            self.lane.dropped += 1
            return "dropped"
        return "queued"

    def request(self, id, data, stamp):
        self.requests[id] = request = Request(id, data, stamp)
        self.lane.put(request)

    def find(self, id):
        """Return the request that is outstanding under `id`, or None."""
        request = self.requests.get(id)
        return None if request is None or request.over else request

    def recv_request(self, room):
        """Return the next request that nobody has given up; pass over the others."""
        while self.lane.queued and self.lane.queued[0].over:
            self.lane.take()
        if not self.lane.queued:
            return None
        if len(self.lane.queued[0].data) > room:
            raise Wrong(ValueError)
        return self.lane.take()

    def send_status(self, id, data, status):
        """Return "replied", "late" or "rejected"."""
        request = self.find(id)
        if request is None or request.reply is not None:
            self.late += 1
            return "late"
        if len(data) > self.slot_size:
            self.too_large += 1
            return "rejected"
        request.reply = (data, status)
        return "replied"

    def recv_response(self, id, room):
        """Return the request with its reply, or None while that is pending."""
        request = self.find(id)
        if request is None:
            raise Wrong(ValueError)
        if request.reply is None:
            return None
        if len(request.reply[0]) > room:
            raise Wrong(ValueError)
        request.over = True
        self.answered += 1
        return request

    def cancel(self, id):
        request = self.find(id)
        if request is None:
            return False
        request.over = True
        return True


def exact_stats(latencies):
    """Return (count, average, p50, p99, max), the average rounded down."""
    ranked = sorted(latencies)
    count = len(ranked)
    if not count:
        return (0,) * 5
    return count, sum(ranked) // count, ranked_at(ranked, 50), ranked_at(ranked, 99), ranked[-1]


def ranked_at(ranked, percent):
    """Return the value whose rank is `percent` of the count, rounded up."""
    return ranked[-int(-len(ranked) * percent // 100) - 1]
