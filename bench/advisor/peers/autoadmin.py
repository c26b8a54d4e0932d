"""AutoAdmin: S. Chaudhuri, V. Narasayya, "An Efficient, Cost-Driven Index Selection Tool for Microsoft SQL Server", VLDB
1997. The best indexes of each statement alone are the candidates for all; from the best one of them the set grows greedily
by plain gain. For a statement alone all pairs of one-column indexes are tried before. Widths grow from one column to
`width`: what was chosen is extended by one column. A step that does not fit the storage budget is not taken."""
import itertools

# Indexes a statement may have for itself.
STATEMENT_INDEXES = 8


def autoadmin(what_if, budget, width):
    pool = set(what_if.single_columns())
    columns = {}
    for index in pool:
        columns.setdefault(index.table, []).append(index.columns[0])
    chosen = []
    everything = list(range(len(what_if.statements)))
    for present_width in range(1, width + 1):
        candidates = set()
        for i in everything:
            relevant = sorted(index for index in pool if what_if.is_relevant(i, index))
            candidates.update(enumerate_sets(what_if, [i], relevant, float("inf"), STATEMENT_INDEXES, present_width == 1))
        chosen = enumerate_sets(what_if, everything, sorted(candidates | set(chosen)), budget, 10**6, False, note=True)
        if present_width < width:
            # Leading parts: what was chosen, and what single statements want.
            leading = set(chosen) | candidates
            pool = leading | {index.appended(column) for index in leading if index.width == present_width
                              for column in columns[index.table] if column not in index.columns}
    return chosen


def enumerate_sets(what_if, statements, candidates, budget, limit, pairs, note=False):
    """Best set of candidates for these statements: exhaustive seed, then greedy."""
    base = {i: what_if.cost(i, ()) for i in statements}
    wanted = set(statements)

    def gain(configuration, added, costs):
        touched = set()
        for index in added:
            touched.update(i for i in what_if.touched_by(index) if i in wanted)
        return sum(costs[i] - what_if.cost(i, configuration) for i in touched)

    best, best_gain = (), 0.0
    single = {}
    for index in candidates:
        if what_if.size(index) <= budget:
            single[index] = gain(frozenset([index]), [index], base)
            if single[index] > best_gain:
                best, best_gain = (index,), single[index]
    if pairs:
        for pair in itertools.combinations([index for index in candidates if index in single], 2):
            # Indexes of different statements do not meet: their gains add up.
            if not set(what_if.touched_by(pair[0])) & set(what_if.touched_by(pair[1])) & wanted:
                together = single[pair[0]] + single[pair[1]]
            elif sum(what_if.size(index) for index in pair) > budget:
                continue
            else:
                together = gain(frozenset(pair), pair, base)
            if together > best_gain and sum(what_if.size(index) for index in pair) <= budget:
                best, best_gain = pair, together
    chosen = list(best)
    if note and chosen:
        what_if.improved(chosen)
    used = sum(what_if.size(index) for index in chosen)
    costs = {i: what_if.cost(i, frozenset(chosen)) for i in statements}
    while chosen and len(chosen) < limit:
        step, step_gain = None, 1e-6 * sum(base.values())
        for index in candidates:
            if index in chosen or used + what_if.size(index) > budget:
                continue
            found = gain(frozenset(chosen + [index]), [index], costs)
            if found > step_gain:
                step, step_gain = index, found
        if step is None:
            break
        chosen.append(step)
        used += what_if.size(step)
        costs = {i: what_if.cost(i, frozenset(chosen)) for i in statements}
        if note:
            what_if.improved(chosen)
    return chosen
