#include "advisor/index_size.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::advisor {

namespace {

// Page layout of the server, 64 bit: bufpage.h, itup.h, nbtree.h.
constexpr int page_header = 24;       // SizeOfPageHeaderData
constexpr int page_special = 16;      // MAXALIGN(sizeof(BTPageOpaqueData))
constexpr int line_pointer = 4;       // sizeof(ItemIdData)
constexpr int tuple_header = 8;       // sizeof(IndexTupleData)
constexpr int null_bitmap = 8;        // MAXALIGN(header + INDEX_MAX_KEYS / 8) - header
constexpr int heap_pointer = 6;       // sizeof(ItemPointerData)
constexpr int inner_fill_factor = 70; // BTREE_NONLEAF_FILLFACTOR
constexpr int short_varlena = 127;    // longer values carry a 4-byte header and are aligned

double max_align(double bytes) {
    return std::ceil(bytes / 8.0) * 8.0;
}

double align_to(double bytes, int alignment) {
    return std::ceil(bytes / alignment) * alignment;
}

// Bytes of a tuple in which the columns marked in `null` are NULL. A width that varies from row to row lands anywhere
// between two alignment steps: half a step on average.
double size_with_nulls(const std::vector<SizedColumn>& columns, std::uint64_t null) {
    double bytes = null != 0 ? tuple_header + null_bitmap : tuple_header;
    bool varies = false;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if ((null >> i & 1) != 0)
            continue;
        const SizedColumn& column = columns[i];
        if (!column.variable_width)
            bytes = varies ? bytes + (column.alignment - 1) / 2.0 : align_to(bytes, column.alignment);
        else if (column.width > short_varlena)
            bytes = align_to(bytes, 4);
        bytes += column.width;
        varies = varies || column.variable_width;
    }
    return varies ? bytes + 3.5 : max_align(bytes);
}

// How many items a page takes before _bt_buildadd() starts the next one. `truncates` is what the high key saves when
// the last item becomes one (a posting list's heap pointers).
double items_per_page(double item, double truncates, double free_target, int block_size, bool varies) {
    // One line pointer is reserved for the high key, and PageGetFreeSpace() keeps one back for the item to come.
    const double usable = block_size - page_header - page_special - 2.0 * line_pointer;
    const double threshold = usable - std::max(free_target - truncates, 0.0);
    // The item that crosses the threshold moves to the next page, its key stays as the high key.
    double items = threshold / (item + line_pointer);
    const double fits = (usable - (item - truncates)) / (item + line_pointer);
    items = std::min(items, fits);
    items = varies ? items - 0.5 : std::floor(items + 1e-9);
    return std::max(items, 1.0);
}

// Physical tuples after deduplication: full posting lists, which all have one size, and the others.
struct Tuples {
    double full = 0.0;
    double others = 0.0;
    double other_bytes = 0.0;
    void add(const Tuples& more, double times) {
        full += more.full * times;
        others += more.others * times;
        other_bytes += more.other_bytes * times;
    }
};

struct PostingList {
    double base;     // bytes of the tuple without pointers
    double pointers; // heap pointers of a full one
    explicit PostingList(double base_size, int block_size) : base(base_size) {
        // _bt_load(): a tenth of a page, less a line pointer.
        const int tenth = block_size / 10 / 8 * 8;
        const double largest = tenth - line_pointer;
        pointers = std::max(std::floor((std::floor(largest / 8.0) * 8.0 - base) / heap_pointer), 1.0);
    }
    double full_size() const { return max_align(base + pointers * heap_pointer); }

    // The tuples of `rows` equal keys.
    Tuples of(double rows) const {
        Tuples tuples;
        if (rows <= 1.0) {
            tuples.others = 1.0;
            tuples.other_bytes = base;
            return tuples;
        }
        tuples.full = std::floor(rows / pointers);
        const double rest = rows - tuples.full * pointers;
        if (rest > 0.0) {
            tuples.others = 1.0;
            tuples.other_bytes = rest <= 1.0 ? base : max_align(base + rest * heap_pointer);
        }
        return tuples;
    }

    // The mean over keys that rows fall on at random: how many keys have one row, two, three ... A Poisson distribution
    // without its zero, which is what an average of few rows a key looks like; beyond that the average stands for all.
    Tuples of_average(double rows_per_key) const {
        if (rows_per_key >= 50.0)
            return of(rows_per_key);
        double lambda = rows_per_key; // solves mean = lambda / (1 - exp(-lambda))
        for (int i = 0; i < 60; ++i)
            lambda = rows_per_key * (1.0 - std::exp(-lambda));
        if (lambda < 1e-6)
            return of(1.0);
        Tuples mean;
        double probability = std::exp(-lambda) / (1.0 - std::exp(-lambda));
        for (int rows = 1; rows <= 150; ++rows) {
            probability *= lambda / rows;
            mean.add(of(rows), probability);
        }
        return mean;
    }
};

} // namespace

double btree_tuple_size(const std::vector<SizedColumn>& columns) {
    // All columns present, or exactly one NULL: the combinations that make up nearly all rows. More NULLs at once are
    // folded in by taking the columns as independent and the saving as additive.
    double none_null = 1.0;
    const double all_present = size_with_nulls(columns, 0);
    for (const SizedColumn& column : columns)
        none_null *= 1.0 - column.null_fraction;
    if (none_null >= 1.0)
        return all_present;
    if (columns.size() == 1)
        return none_null * all_present + (1.0 - none_null) * size_with_nulls(columns, 1);
    // What the rows with a NULL keep of the other columns' bytes.
    double kept = 0.0;
    for (std::size_t i = 0; i < columns.size() && i < 64; ++i) {
        const double share = columns[i].null_fraction;
        kept += share * size_with_nulls(columns, std::uint64_t{1} << i);
    }
    double shares = 0.0;
    for (const SizedColumn& column : columns)
        shares += column.null_fraction;
    return none_null * all_present + (1.0 - none_null) * (kept / shares);
}

IndexSize btree_size(const SizedIndex& index) {
    IndexSize size;
    size.tuples = std::max(index.rows, 0.0);
    if (index.rows < 1.0) {
        size.leaf_pages = 0;
        size.pages = 1; // the metapage alone: an empty index has no root
        return size;
    }
    const bool varies = index.tuple_bytes > 0.0
                            ? index.tuples_vary
                            : std::any_of(index.columns.begin(), index.columns.end(),
                                          [](const SizedColumn& column) { return column.variable_width; });
    const bool nullable = std::any_of(index.columns.begin(), index.columns.end(),
                                      [](const SizedColumn& column) { return column.null_fraction > 0.0; });
    const double base = index.tuple_bytes > 0.0 ? index.tuple_bytes : btree_tuple_size(index.columns);
    double distinct = index.distinct_keys > 0.0 ? std::min(index.distinct_keys, index.rows) : index.rows;
    if (!index.classes.empty()) {
        distinct = 0.0;
        for (const KeyClass& alike : index.classes)
            distinct += alike.keys;
    }

    const double leaf_free = index.block_size * (100 - index.fill_factor) / 100.0;
    double level = 0.0;
    if (index.deduplicates && distinct < index.rows) {
        const PostingList posting(base, index.block_size);
        Tuples tuples;
        double rows_left = index.rows;
        double keys_left = distinct;
        for (const KeyClass& alike : index.classes) {
            tuples.add(posting.of(alike.rows), alike.keys);
            rows_left -= alike.rows * alike.keys;
        }
        if (!index.classes.empty())
            rows_left = 0.0;
        for (const double rows : index.common) {
            if (keys_left < 1.0 || rows_left < rows)
                break;
            tuples.add(posting.of(rows), 1.0);
            rows_left -= rows;
            keys_left -= 1.0;
        }
        if (rows_left >= 1.0) {
            const double keys = std::min(std::max(keys_left, 1.0), rows_left);
            tuples.add(posting.of_average(rows_left / keys), keys);
        }
        // The high key that a page ends with is stripped of its pointers. Full lists are of one size whatever their
        // keys.
        if (tuples.full > 0.0) {
            const PostingList whole(max_align(base), index.block_size);
            level += tuples.full / items_per_page(whole.full_size(), whole.full_size() - whole.base, leaf_free,
                                                  index.block_size, false);
        }
        if (tuples.others > 0.0) {
            const double item = tuples.other_bytes / tuples.others;
            level += tuples.others / items_per_page(item, item - base, leaf_free, index.block_size, true);
        }
    } else {
        level = index.rows / items_per_page(base, 0.0, leaf_free, index.block_size, varies || nullable);
    }
    level = std::max(std::ceil(level - 1e-9), 1.0);
    size.leaf_pages = static_cast<std::uint64_t>(level);

    // Inner levels: one pivot a page below, as wide as the key (suffix truncation drops trailing columns at best).
    double pages = level;
    const double inner_free = index.block_size * (100 - inner_fill_factor) / 100.0;
    const double inner_items =
        std::max(items_per_page(base, 0.0, inner_free, index.block_size, varies || nullable), 2.0);
    while (level > 1.0) {
        level = std::ceil(level / inner_items - 1e-9);
        pages += level;
        ++size.tree_height;
    }
    size.pages = static_cast<std::uint64_t>(pages) + 1;
    return size;
}

} // namespace citadel::advisor
