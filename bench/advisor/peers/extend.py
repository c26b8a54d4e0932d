"""Extend: R. Schlosser, J. Kossmann, M. Boissier, "Efficient Scalable Multi-attribute Index Selection Using Recursive
Strategies", ICDE 2019. From nothing, each round either adds an index on one column or appends a column to an index that
was chosen before, whichever gains most for each byte that it adds."""

# A step has to lower the cost by this fraction.
MIN_IMPROVEMENT = 0.003


def extend(what_if, budget, width):
    singles = what_if.single_columns()
    columns = {}
    for index in singles:
        columns.setdefault(index.table, []).append(index.columns[0])
    chosen = []
    costs = what_if.costs(())
    used = 0
    while True:
        total = sum(costs)
        best = None
        for replaced, added in steps(chosen, singles, columns, width):
            size = what_if.size(added) - (what_if.size(replaced) if replaced else 0)
            if used + size > budget:
                continue
            then = frozenset([index for index in chosen if index != replaced] + [added])
            touched = set(what_if.touched_by(added))
            if replaced:
                touched.update(what_if.touched_by(replaced))
            gain = sum(costs[i] - what_if.cost(i, then) for i in touched)
            if gain <= MIN_IMPROVEMENT * total:
                continue
            ratio = gain / max(size, 8192)
            if best is None or ratio > best[0]:
                best = (ratio, size, replaced, added)
        if best is None:
            return chosen
        _, size, replaced, added = best
        chosen = [added if index == replaced else index for index in chosen] if replaced else chosen + [added]
        used += size
        configuration = frozenset(chosen)
        costs = what_if.costs(configuration)
        what_if.improved(chosen)


def steps(chosen, singles, columns, width):
    """Pairs (index that is replaced or None, index that is added)."""
    for index in singles:
        if index not in chosen:
            yield None, index
    for index in chosen:
        if index.width < width:
            for column in columns[index.table]:
                if column not in index.columns:
                    longer = index.appended(column)
                    if longer not in chosen:
                        yield index, longer
