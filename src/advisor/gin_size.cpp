#include "advisor/gin_size.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::advisor {

namespace {

// ginblock.h, ginpostinglist.c
constexpr double block = 8192.0;
constexpr double usable = block - 24.0 - 8.0; // header, special space
constexpr double line_pointer = 4.0;
constexpr double largest = 2712.0;       // GinMaxItemSize
constexpr double segments_a_page = 31.0; // GinPostingListSegmentTargetSize in GinDataPageMaxDataSize
constexpr double segment = 256.0 - 8.0;  // without its header, which holds the first pointer
constexpr double downlinks = 815.0;      // PostingItems on an inner page of a tree of pointers

double max_align(double bytes) {
    return std::ceil(bytes / 8.0) * 8.0;
}

// Mean bytes of the difference between two neighbouring row pointers that are `pages` apart on average. A pointer is
// packed as block << 11 | offset; seven bits go into a byte.
double pointer_bytes(double pages) {
    pages = std::max(pages, 1e-6);
    const double same = 1.0 - pages * (1.0 - std::exp(-1.0 / pages));
    const double three = std::exp(-7.5 / pages); // three bytes or more
    const double four = std::exp(-1023.5 / pages);
    return same + 2.0 * std::max(1.0 - same - three, 0.0) + 3.0 * (three - four) + 4.0 * four;
}

double mean_pointer(const SizedGin& index, const KeyClass& alike) {
    return pointer_bytes(index.table_pages * alike.spread / std::max(alike.rows, 1.0));
}

double key_tuple(const SizedGin& index, double bytes) {
    return max_align(8.0 + (index.several_columns ? 2.0 : 0.0) + bytes);
}

// What the entry of a key with `rows` rows takes on its page; the list is elsewhere when it would be too large.
double entry_bytes(const SizedGin& index, const KeyClass& alike, double rows, bool& outside) {
    const double key = key_tuple(index, alike.bytes);
    const double list = std::max(rows - 1.0, 0.0) * mean_pointer(index, alike);
    const double packed = list > 32.0 ? list + 12.0 : max_align(8.0 + 2.0 * std::ceil(list / 2.0 - 1e-9));
    outside = key + packed > largest;
    return (outside ? key : key + packed) + line_pointer;
}

// Memory of the entries of a part of the rows: GinEntryAccumulator, key, and a list that doubles when it is full, each
// in a chunk of its own, a power of two with a header.
double memory_of(const SizedGin& index, double share) {
    double bytes = 0.0;
    for (const KeyClass& alike : index.classes) {
        const double present = alike.keys * (1.0 - std::exp(alike.rows * std::log1p(-std::min(share, 1.0 - 1e-12))));
        if (present <= 0.0)
            continue;
        const double rows = std::max(alike.keys * alike.rows * share / present, 1.0);
        const double room = 5.0 * std::exp2(std::max(std::ceil(std::log2(rows / 5.0) - 1e-9), 0.0));
        const double list = 6.0 * room <= block ? std::exp2(std::ceil(std::log2(6.0 * room))) : 6.0 * room;
        const double key =
            index.keys_by_reference ? 16.0 + std::exp2(std::ceil(std::log2(std::max(alike.bytes, 8.0)))) : 0.0;
        bytes += present * (64.0 + 16.0 + list + key);
    }
    return bytes;
}

// The share of the rows that fills the memory.
double share_of_round(const SizedGin& index) {
    if (memory_of(index, 1.0) <= index.work_memory)
        return 1.0;
    double low = 1e-4;
    double high = 1.0;
    for (int i = 0; i < 30; ++i) {
        const double middle = (low + high) / 2.0;
        (memory_of(index, middle) <= index.work_memory ? low : high) = middle;
    }
    return low;
}

// Entries of the first rows of the table: bytes, and the mean tuple that a byte lies in.
struct Entries {
    double bytes = 0.0;
    double tuple = 0.0;
    double present = 0.0; // keys
};

Entries entries_of(const SizedGin& index, double share) {
    Entries found;
    double squares = 0.0;
    for (const KeyClass& alike : index.classes) {
        const double present =
            share >= 1.0 ? alike.keys : alike.keys * (1.0 - std::exp(alike.rows * std::log1p(-share)));
        if (present <= 1e-9)
            continue;
        bool outside = false;
        const double tuple =
            entry_bytes(index, alike, std::max(alike.keys * alike.rows * share / present, 1.0), outside);
        found.bytes += present * tuple;
        squares += present * tuple * tuple;
        found.present += present;
    }
    found.tuple = found.bytes > 0.0 ? squares / found.bytes : 0.0;
    return found;
}

// Leaf pages of the entries, after all rounds.
double entry_leaves(const SizedGin& index) {
    const double round = share_of_round(index);
    Entries now = entries_of(index, round);
    // A page that is full is split where the left half is just larger than the right one, and then only the right one
    // grows. So pages stay half full, and a little more the larger the tuples are.
    const double fill = std::min(0.5 + 0.75 * now.tuple / usable, 0.95);
    double pages = now.bytes / (usable * fill);
    // Further rounds: pages of several fills, which grow evenly and are split in halves.
    constexpr int kinds = 32;
    std::vector<double> fills(kinds);
    std::vector<double> counts(kinds, pages / kinds);
    for (int i = 0; i < kinds; ++i)
        fills[static_cast<std::size_t>(i)] = fill * (0.85 + 0.3 * (i + 0.5) / kinds);
    for (double share = round; share < 1.0;) {
        share = std::min(share + round, 1.0);
        const Entries next = entries_of(index, share);
        const double growth = now.bytes > 0.0 ? next.bytes / now.bytes : 1.0;
        pages = 0.0;
        for (std::size_t i = 0; i < fills.size(); ++i) {
            fills[i] *= growth;
            while (fills[i] > 1.0) {
                fills[i] /= 2.0;
                counts[i] *= 2.0;
            }
            pages += counts[i];
        }
        now = next;
    }
    return std::max(std::ceil(pages), 1.0);
}

} // namespace

IndexSize gin_size(const SizedGin& index) {
    IndexSize size;
    size.tuples = index.occurrences;
    size.pages = 2; // metapage, root
    if (index.occurrences < 1.0 || index.classes.empty())
        return size;
    double data = 0.0;
    double keys = 0.0;
    double key_bytes = 0.0;
    for (const KeyClass& alike : index.classes) {
        bool outside = false;
        entry_bytes(index, alike, alike.rows, outside);
        keys += alike.keys;
        key_bytes += alike.keys * key_tuple(index, alike.bytes);
        if (!outside)
            continue;
        // Pointers come in order, so that pages are filled one after the other.
        const double a_page = segments_a_page * (1.0 + (segment - 1.0) / mean_pointer(index, alike));
        double level = std::ceil(alike.rows / a_page);
        data += alike.keys * level;
        while (level > 1.0) {
            level = std::ceil(level / downlinks);
            data += alike.keys * level;
        }
    }
    const double leaves = entry_leaves(index);
    const double fanout = std::max(usable * 0.5 / (key_bytes / keys + line_pointer), 2.0);
    double inner = 0.0;
    for (double level = leaves; level > 1.0;) {
        level = std::ceil(level / fanout);
        inner += level;
    }
    size.pages = 1 + static_cast<std::uint64_t>(std::ceil(leaves + inner + data - 1e-9));
    return size;
}

} // namespace citadel::advisor
