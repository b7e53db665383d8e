"""Find heart beats (QRS complexes) in an electrocardiogram, one sample at a time.

    detector = Detector(rate=360)
    ago = detector.feed(adc_counts)  # for every sample
    if ago:
        ...  # a beat; its R peak was `ago` samples before this one

The method is that of Pan and Tompkins, in integers:

    sample -> low-pass -> high-pass -> |slope| -> moving mean -> pulses -> beat or noise

- Pan J, Tompkins WJ. A real-time QRS detection algorithm. IEEE Trans Biomed Eng 32(3):230-236
  (1985): the chain, the two running levels, the 200 ms refractory time, the T-wave rule (here on
  the pulse, a mean slope, rather than on the greatest slope), the search-back.
- Hamilton PS, Tompkins WJ. Quantitative investigation of QRS detection rules using the MIT/BIH
  arrhythmia database. IEEE Trans Biomed Eng 33(12):1157-1165 (1986): a pulse ends when it has
  fallen to half its height; one threshold, a fixed part of the way from the noise level to the
  signal level.
- Hamilton PS. Open source ECG analysis. Computers in Cardiology 29:101-104 (2002): the absolute
  slope instead of its square (the square of a 16-bit signal is no small int), the 10 ms slope,
  the 80 ms mean, the fresh start after 8 s without a beat.

Delays, in samples at 360 Hz. Every filter is symmetric, so one of n samples delays by (n - 1) / 2:
two means of 11 delay by 2 * (11 - 1) / 2 = 10, and the high-pass subtracts the mean of 58 from the
middle one of them, 29 back. A peak of the filtered signal is thus an R peak 39 samples ago. The
pulse must then pass (a slope over 4 samples and a mean of 29 put its top 2 + 14 later) and fall to
half: on a recorded minute a beat is reported 71 to 94 samples (0.20 to 0.26 s) after its R peak.
One found by search-back is reported later, when the next beat is overdue.

Bounds: |sample - first sample| < 2**16, and the largest value, low-pass * 16 with means of 30
(1000 Hz), is 2**16 * 30 * 30 * 16 < 2**30: no integer leaves the small-int range of a 32-bit
MicroPython, so feed() never allocates.
"""

from array import array

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# Lengths in milliseconds.
_LOW_PASS_MS = const(30)  # 6 samples at 200 Hz in Pan and Tompkins: first zero at 33 Hz
_HIGH_PASS_MS = const(160)  # 32 samples at 200 Hz there: passes from 5 Hz
_SLOPE_MS = const(10)
_MEAN_MS = const(80)  # about one QRS; longer ones merge it with its T wave
_PULSE_MS = const(100)  # a pulse on a noisy floor may never fall to half: then it ends here
_REFRACTORY_MS = const(200)  # the ventricles cannot beat again sooner
_T_WAVE_MS = const(360)  # until then a pulse under half the last beat's is its T wave
_LISTEN_MS = const(1000)  # no beats are told yet
_LEARN_MS = const(2000)  # until then the signal level follows the largest pulse
_SILENCE_MS = const(8000)  # no beat for so long: the levels are wrong, learn again

# Pulse heights are sixteenths of an ADC count per _SLOPE_MS.
_FLOOR = const(64)  # 4 counts (20 uV at 200 counts/mV) per 10 ms is no beat, whatever the levels


class Detector:
    """Recognise beats in a stream of ADC samples.

    rate: samples per second, 100 to 1000; ValueError otherwise.
    Context: one caller | alloc: here only, 5 rings of 32-bit words | time: O(1) | blocks: never
    """

    def __init__(self, rate=360):
        if not 100 <= rate <= 1000:
            raise ValueError("rate must be 100 to 1000 samples per second, not %r" % (rate,))
        self._low = (rate * _LOW_PASS_MS + 500) // 1000
        self._high = (rate * _HIGH_PASS_MS + 500) // 1000
        self._span = (rate * _SLOPE_MS + 500) // 1000
        self._width = (rate * _MEAN_MS + 500) // 1000
        self._pulse_max = rate * _PULSE_MS // 1000
        self._refractory = rate * _REFRACTORY_MS // 1000
        self._t_wave = rate * _T_WAVE_MS // 1000
        self._learn_from = rate * _LEARN_MS // 1000
        self._listen_until = self._learn_from - rate * _LISTEN_MS // 1000
        self._silence = rate * _SILENCE_MS // 1000
        self._low_gain = self._low * self._low
        self._middle = self._high // 2
        self._delay = self._low - 1 + self._middle  # from an R peak to the filtered peak

        # Five histories share one position; a power of two makes the wrap a mask.
        size = 32
        while size < self._high:
            size *= 2
        self._mask = size - 1
        self._at = 0
        self._raw = array("i", [0] * size)
        self._once = array("i", [0] * size)  # low-pass, first mean
        self._twice = array("i", [0] * size)  # low-pass, second mean
        self._band = array("i", [0] * size)  # after the high-pass
        self._slope = array("i", [0] * size)
        self._base = -1  # the first sample: the filters start at rest there
        self._sum_once = 0
        self._sum_twice = 0
        self._sum_high = 0
        self._sum_slope = 0

        self._height = 0  # of the moving mean, now
        self._peak = 0  # highest since the last pulse ended; 0: no pulse has begun
        self._peak_age = 0
        self._swing = 0  # largest |band| since then: the R peak, if this is a beat
        self._swing_age = 0

        self._since = 0  # samples since the last R peak
        self._interval = rate  # running mean of R to R; 60 beats per minute to begin with
        self._last = 0  # pulse height of the last beat
        self._start_learning()

    def _start_learning(self):
        self._learn = self._learn_from  # samples left to learn
        self._signal = 0  # running height of beats
        self._noise = 0  # running height of other pulses
        self._since = 0
        self._last = 0
        self._missed = 0  # highest pulse taken for noise since the last beat
        self._missed_at = 0  # samples from the last R peak to it
        self._peak = 0
        self._swing = 0

    def feed(self, sample):
        """Take the next sample; return 0, or how many samples ago the R peak of a new beat was.

        sample: ADC counts, 0 to 65535.
        Context: one caller | alloc: none | time: O(1) | blocks: never
        """
        if self._base < 0:
            self._base = sample
        mask = self._mask
        at = (self._at + 1) & mask
        self._at = at

        # Low-pass: the mean of a mean. Sixteenths of a count keep what the division drops.
        value = sample - self._base
        ring = self._raw
        once = self._sum_once + value - ring[(at - self._low) & mask]
        ring[at] = value
        self._sum_once = once
        ring = self._once
        twice = self._sum_twice + once - ring[(at - self._low) & mask]
        ring[at] = once
        self._sum_twice = twice
        value = twice * 16 // self._low_gain

        # High-pass: the middle of a stretch less the stretch's mean.
        ring = self._twice
        total = self._sum_high + value - ring[(at - self._high) & mask]
        ring[at] = value
        self._sum_high = total
        band = ring[(at - self._middle) & mask] - total // self._high

        # Steepness, and its moving mean: one pulse for each QRS.
        ring = self._band
        value = band - ring[(at - self._span) & mask]
        ring[at] = band
        if value < 0:
            value = -value
        ring = self._slope
        total = self._sum_slope + value - ring[(at - self._width) & mask]
        ring[at] = value
        self._sum_slope = total
        height = total // self._width
        rising = height > self._height
        self._height = height

        since = self._since + 1
        self._since = since
        if self._learn:
            self._learn -= 1
            if height > self._signal:
                self._signal = height
            if self._learn >= self._listen_until:
                return 0

        # An R peak is the largest swing, up or down, since the pulse before ended.
        if band < 0:
            band = -band
        if band >= self._swing:
            self._swing = band
            self._swing_age = self._delay
        else:
            self._swing_age += 1

        peak = self._peak
        if rising and height > peak:
            self._peak = height
            self._peak_age = 0
            return 0
        self._peak_age += 1
        if peak and (height < peak >> 1 or self._peak_age > self._pulse_max):
            self._peak = 0
            self._swing = 0
            return self._judge(peak, self._swing_age)
        if since > self._interval * 5 // 3 + self._delay:  # 166 % of the usual interval
            return self._search_back()
        return 0

    def _threshold(self):
        # 5/16 of the way: 0.3125, as in Hamilton's 2002 program. From 0.22 to 0.5 the recorded
        # minute has equally many beats.
        threshold = self._noise + ((self._signal - self._noise) * 5 >> 4)
        return threshold if threshold > _FLOOR else _FLOOR

    def _judge(self, peak, ago):
        """Decide whether a pulse that has ended is a beat."""
        interval = self._since - ago
        if interval < self._refractory:
            return 0
        t_wave = interval < self._t_wave and peak < self._last >> 1
        if peak > self._threshold() and not t_wave:
            self._signal += (peak - self._signal) >> 3
            return self._beat(peak, ago)
        self._noise += (peak - self._noise) >> 3
        if interval >= self._t_wave and peak > self._missed:
            self._missed = peak
            self._missed_at = interval
        return 0

    def _search_back(self):
        """A beat is overdue: take the highest pulse since the last one, if half high enough."""
        peak = self._missed
        if peak > _FLOOR and peak > self._threshold() >> 1:
            self._signal += (peak - self._signal) >> 2
            return self._beat(peak, self._since - self._missed_at)
        if self._since >= self._silence:
            self._start_learning()
        return 0

    def _beat(self, peak, ago):
        interval = self._since - ago
        usual = self._interval
        if interval > usual * 5 // 3:  # a gap, not a rhythm
            interval = usual * 5 // 3
        self._interval = usual + ((interval - usual) >> 3)
        self._since = ago
        self._last = peak
        self._missed = 0
        return ago
