#!/usr/bin/env python3
"""Median of paired ratios with a confidence interval, from lines "without with" (transactions a second).

The interval is the one of order statistics: between the k-th smallest and the k-th largest ratio lies the true median
with probability 1 - 2 * P(Binomial(n, 1/2) < k), whatever the distribution. k is the largest that gives 95 % or more.
"""
import math
import statistics
import sys


def interval(values):
    """(low, high, coverage) of the median."""
    n = len(values)
    ordered = sorted(values)
    best = (ordered[0], ordered[-1], 1 - 2 * 0.5**n)
    below = 0.0
    for k in range(1, n // 2 + 1):
        below += math.comb(n, k - 1) * 0.5**n  # P(Binomial < k)
        coverage = 1 - 2 * below
        if coverage < 0.95:
            break
        best = (ordered[k - 1], ordered[n - k], coverage)
    return best


def main():
    pairs = [tuple(map(float, line.split())) for line in sys.stdin if line.strip()]
    ratios = [with_it / without for without, with_it in pairs]
    low, high, coverage = interval(ratios)
    print(
        f"{len(pairs)} pairs: median {statistics.median(p[0] for p in pairs):.0f} tps without, "
        f"{statistics.median(p[1] for p in pairs):.0f} with; ratio {statistics.median(ratios):.4f}, "
        f"{100 * coverage:.1f} % interval [{low:.4f}, {high:.4f}] (order statistics)"
    )


if __name__ == "__main__":
    main()
