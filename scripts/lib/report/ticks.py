"""Where an axis is labelled: round numbers that cover what is shown."""

import math


def nice_step(span, count, base=10):
    """The smallest of 1, 2, 5 times a power of ten (of 1024: times a power of two) of which `count` cover the span."""
    if not span > 0 or not math.isfinite(span):
        return 1.0
    rough = span / max(count, 1)
    if base == 1024:
        return 2.0 ** math.ceil(math.log2(rough))
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5):
        if factor * power >= rough * (1 - 1e-9):
            return factor * power
    return 10 * power


def linear_ticks(high, count=4, base=10):
    """From zero to the first round number that is not below `high`."""
    step = nice_step(high, count, base)
    steps = max(1, math.ceil(high / step - 1e-9)) if high > 0 and math.isfinite(high) else 1
    return [step * i for i in range(steps + 1)]


def log_ticks(low, high):
    """Powers of ten from the one below `low` to the one above `high`; 1, 2, 5 of each where few would be left."""
    low = low if low > 0 and math.isfinite(low) else 1e-3
    high = max(high if math.isfinite(high) else low, low * 1.0001)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first > 2:
        return [10.0 ** power for power in range(first, last + 1)]
    fine = [factor * 10.0 ** power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    below = [value for value in fine if value <= low * (1 + 1e-9)]
    above = [value for value in fine if value >= high * (1 - 1e-9)]
    begin = below[-1] if below else fine[0]
    end = above[0] if above else fine[-1]
    return [value for value in fine if begin <= value <= end]
