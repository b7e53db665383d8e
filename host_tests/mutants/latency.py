"""What the tests must find broken in latency.py."""

MUTANTS = {
    "add": {
        "the bits beyond 30 count": ("        ticks &= 0x3FFFFFFF\n", ""),
        "nothing is counted": ("own[_COUNT] += 1", "pass"),
        "each is counted twice": ("own[_COUNT] += 1", "own[_COUNT] += 2"),
        "the maximum is the last": ("if ticks > own[_MAX]:", "if 1:"),
        "the maximum is the least": ("ticks > own[_MAX]", "ticks < own[_MAX]"),
        "the carry of the sum is lost": ("own[_SUM_HIGH] += total >> 20", "pass"),
        "the carry of the sum is counted again": ("total & 0xFFFFF\n", "total\n"),
        "a bit of the sum is lost": ("total & 0xFFFFF\n", "total & 0x7FFFF\n"),
        "the values from 1 << 20 on are not halved": ("if ticks >= 1 << 20:", "if 0:"),
        "the values from 1 << 12 on are not halved": ("if ticks >= 1 << 12:", "if 0:"),
        "the values from 1 << 8 on are not halved": ("if ticks >= 1 << 8:", "if 0:"),
        "the values from 1 << 6 on are not halved": ("if ticks >= 1 << 6:", "if 0:"),
        "the values from 1 << 5 on are not halved": ("if ticks >= 1 << 5:", "if 0:"),
        "what is below 1 << 12 is halved 8 times": ("ticks >= 1 << 12", "ticks >= 1 << 11"),
        "what is below 1 << 5 is halved": ("ticks >= 1 << 5", "ticks >= 1 << 4"),
        "a bucket is another value's": (
            "own[bucket + ticks] += 1",
            "own[bucket + ticks + 1] += 1",
        ),
        "a bucket counts twice": ("own[bucket + ticks] += 1", "own[bucket + ticks] += 2"),
    },
    "summarise": {
        "the average is rounded down once too often": ("if rest >= count:", "if rest > count:"),
        "the value of the last rank is left out": (
            "half = count - (count >> 1)",
            "half = count >> 1",
        ),
        "the count is not written": ("        out[0] = count\n", ""),
        "figures of before stay where there is no value": (
            "        out[1] = out[2] = out[3] = 0\n",
            "",
        ),
        "the maximum is not written": ("        out[4] = own[_MAX]\n", ""),
        "no value has an average": ("if not count:", "if 0:"),
        "a bit of the average is left out": ("bit = 20", "bit = 19"),
        "the average has no low bits": ("while bit:", "while 0:"),
        "the rest of the division is lost": ("rest = own[_SUM_HIGH] % count", "rest = 0"),
        "a bit of the sum is not brought down": (" + (low >> bit & 1)", ""),
        "the rest grows": ("                rest -= count\n", ""),
        "the rank of 99 % is rounded down": ("count - count // 100", "count - count // 100 - 1"),
        "99 % are all": ("most = count - count // 100", "most = count"),
        "the search ends before the last rank": ("while seen < most:", "while seen < most - 1:"),
        "values from 32 on are buckets": ("if bucket >= 32:", "if 0:"),
        "a bucket's top is the next one's first": ("<< shift) - 1", "<< shift)"),
        "a percentile is above the maximum": ("if top > own[_MAX]:", "if 0:"),
        "the median is that of every bucket": ("if before < half and seen >= half:", "if 1:"),
        "the median is the last value": ("before < half and ", ""),
        "the median's rank is one too high": ("seen >= half", "seen > half"),
        "99 % is not found": ("if seen >= most:", "if seen > most:"),
    },
    "measure": {
        "nothing is measured by recv": (
            "m = take(buf)\n        if m:",
            "m = take(buf)\n        if 0:",
        ),
        "nothing is measured by recv_word": (
            "m = take_word()\n        if m:",
            "m = take_word()\n        if 0:",
        ),
        "an empty channel is measured": (
            "m = take(buf)\n        if m:",
            "m = take(buf)\n        if 1:",
        ),
        "an empty channel of words is measured": (
            "m = take_word()\n        if m:",
            "m = take_word()\n        if 1:",
        ),
        "the class is measured": (
            "take(buf)\n        if m:\n            add(m[2])",
            "take(buf)\n        if m:\n            add(m[1])",
        ),
    },
    "average": {
        "the high part of the sum is lost": ("(words[_SUM_HIGH] << 20) + ", ""),
        "the low part of the sum is lost": (" + words[_SUM_LOW]", ""),
        "no value has an average": (" if words[_COUNT] else 0", ""),
    },
    "percentile": {
        "0 percent is taken": ("not 0 < percent <=", "not 0 <= percent <="),
        "100 percent is refused": ("if not 0 < percent <= 100", "if not 0 < percent < 100"),
        "101 percent is taken": ("if not 0 < percent <= 100", "if not 0 < percent <= 101"),
        "the rank is rounded down": (
            "-int(-words[_COUNT] * percent // 100)",
            "int(words[_COUNT] * percent // 100)",
        ),
        "the value of the rank is passed over": ("if rank <= 0:", "if rank < 0:"),
        "a percentile is above the maximum": (
            "min(_top(bucket), words[_MAX])",
            "_top(bucket)",
        ),
    },
    "stats_into": {
        "any array is taken": ("        check_words(words)\n", ""),
        "four items are enough": ("len(words) < 5", "len(words) < 4"),
        "five items are not enough": ("len(words) < 5", "len(words) <= 5"),
    },
    "reset": {
        "the count is kept": ("range(_WORDS)", "range(1, _WORDS)"),
        "the buckets are kept": ("range(_WORDS)", "range(_BUCKETS)"),
    },
    "_top": {
        "values from 32 on are buckets": ("if bucket < 32:", "if 1:"),
        "a bucket's top is the next one's first": ("<< shift) - 1", "<< shift)"),
    },
}
