"""Which versions of MicroPython ringlane runs on."""

OLDEST = (1, 23)  # the first that loads .mpy 6.3
OLDEST_RISC_V = (1, 24)  # the first with viper there
TESTED = ((1, 28), (1, 29))
# On ARM their viper spoils an index that is a variable, or that of an augmented assignment:
# `word[k] = 1`, `word[k + 1] += 1`. From MicroPython's commit b6d269ee32 to b46f9f503f. ringlane's
# own source has neither, which host_tests/engine/test_versions.py holds.
SPOILING = ((1, 26), (1, 27))
_ARM = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")


def of_version(version, processor):
    """Return (line, whether that is fine) for MicroPython `version`, as "1.28.0", there."""
    major, minor = map(int, version.split(".")[:2])
    text = f"MicroPython {version}"
    oldest = OLDEST_RISC_V if processor == "rv32imc" else OLDEST
    if (major, minor) < oldest:
        return "{} is older than {}.{}: flash 1.28 or newer".format(text, *oldest), False
    if (major, minor) in SPOILING and processor in _ARM:
        return (
            f"{text} miscompiles some viper on this processor, which ringlane's own source avoids "
            "and yours may not: better flash 1.28 or newer",
            True,
        )
    if (major, minor) in TESTED:
        return f"{text} is of a version that ringlane is tested with", True
    return f"{text} should do; ringlane is tested with 1.28 and a preview of 1.29", True


__all__ = ["OLDEST", "OLDEST_RISC_V", "SPOILING", "TESTED", "of_version"]
