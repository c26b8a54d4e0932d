"""DB2Advis: G. Valentin, M. Zuliani, D. Zilio, G. Lohman, A. Skelley, "DB2 Advisor: An Optimizer Smart Enough to
Recommend Its Own Indexes", ICDE 2000. One planner call a statement with every candidate in place; what the plan uses
gets the gain; a knapsack by gain for each byte; then random exchanges for a while."""
import itertools
import random
import time

from model import Index


def db2advis(what_if, budget, width):
    initial = what_if.costs(())
    gains = {}
    for i in range(len(what_if.statements)):
        cost, used = what_if.used(i, frozenset(candidates(what_if.columns[i], width)))
        gain = initial[i] - cost
        if gain > 0:
            for index in used:
                gains[index] = gains.get(index, 0.0) + gain
    rated = combine_subsumed(what_if, gains)
    chosen, used_bytes = [], 0
    for index, _ in rated:
        size = what_if.size(index)
        if used_bytes + size <= budget:
            chosen.append(index)
            used_bytes += size
    what_if.improved(chosen)
    return variations(what_if, chosen, [index for index, _ in rated], budget)


def candidates(columns, width):
    """Every order of up to `width` of the columns that a statement mentions of a table."""
    return [Index(table, order) for table, names in columns.items() for n in range(1, width + 1)
            for order in itertools.permutations(names, n)]


def combine_subsumed(what_if, gains):
    """By gain for each byte; an index that a longer and better rated one begins with adds its gain to that one."""
    gains = dict(gains)
    order = sorted(gains, key=lambda index: (-gains[index] / what_if.size(index), index))
    kept = []
    for index in order:
        longer = next((other for other in kept if index.is_prefix_of(other)), None)
        if longer is not None:
            gains[longer] += gains[index]
        else:
            kept.append(index)
    return sorted(((index, gains[index]) for index in kept), key=lambda pair: (-pair[1] / what_if.size(pair[0]), pair[0]))


def variations(what_if, chosen, pool, budget):
    generator = random.Random(1)
    best = list(chosen)
    best_cost = sum(what_if.costs(frozenset(best)))
    outside = [index for index in pool if index not in best]
    finish = time.perf_counter() + what_if.exchange_seconds
    while best and outside and time.perf_counter() < finish:
        trial = list(best)
        out = generator.sample(trial, min(generator.randint(1, 4), len(trial)))
        trial = [index for index in trial if index not in out]
        used = sum(what_if.size(index) for index in trial)
        added = generator.sample(outside, min(generator.randint(1, 4), len(outside)))
        for index in added + out:
            if index not in trial and used + what_if.size(index) <= budget:
                trial.append(index)
                used += what_if.size(index)
        cost = sum(what_if.costs(frozenset(trial)))
        if cost < best_cost:
            best, best_cost = trial, cost
            outside = [index for index in pool if index not in best]
            what_if.improved(best)
    return best
