#include "advisor/index_size_methods.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::advisor {

namespace {

constexpr double block = 8192.0;
constexpr double page_header = 24.0;
constexpr double line_pointer = 4.0;

double max_align(double bytes) {
    return std::ceil(bytes / 8.0) * 8.0;
}

std::uint64_t whole_pages(double pages) {
    return static_cast<std::uint64_t>(std::max(std::ceil(pages - 1e-9), 0.0));
}

} // namespace

double SampledKeys::distinct_of(double total) const {
    if (distinct <= 0.0 || total <= 0.0)
        return 0.0;
    if (whole || total <= occurrences)
        return std::min(distinct, total);
    const double estimate = occurrences * distinct / (occurrences - once + once * occurrences / total);
    return std::clamp(estimate, distinct, total);
}

SampledKeys count_keys(std::vector<std::uint64_t>& hashes, double rows, bool whole) {
    SampledKeys keys;
    keys.rows = rows;
    keys.whole = whole;
    keys.occurrences = static_cast<double>(hashes.size());
    std::sort(hashes.begin(), hashes.end());
    // In a part of the table, a key must be seen often enough to tell how often it stands in the whole.
    const std::size_t often = whole ? 2 : 8;
    for (std::size_t i = 0; i < hashes.size();) {
        std::size_t end = i + 1;
        while (end < hashes.size() && hashes[end] == hashes[i])
            ++end;
        keys.distinct += 1.0;
        if (end - i == 1)
            keys.once += 1.0;
        if (end - i >= often)
            keys.common.push_back(static_cast<double>(end - i));
        i = end;
    }
    std::sort(keys.common.begin(), keys.common.end(), std::greater<>());
    return keys;
}

// ---- Hash: hash.h, hashpage.c.

namespace {

constexpr double hash_tuple = 16.0 + line_pointer; // header, hash code, alignment
constexpr double hash_page = block - page_header - 16.0;

// Buckets that exist when `wanted` are asked for: whole splitpoint phases, four to a doubling beyond the first nine.
double hash_buckets(double wanted) {
    if (wanted <= 2.0)
        return 2.0;
    const double doubling = std::pow(2.0, std::floor(std::log2(wanted)));
    if (doubling == wanted)
        return wanted;
    if (doubling < 512.0)
        return doubling * 2.0;
    return doubling + std::ceil((wanted - doubling) / (doubling / 4.0)) * (doubling / 4.0);
}

} // namespace

IndexSize hash_size(double rows, double distinct, const std::vector<double>& common, int fill_factor) {
    IndexSize size;
    size.tuples = std::max(rows, 0.0);
    const double target = std::max(std::floor(block * fill_factor / 100.0 / hash_tuple), 10.0);
    const double buckets = hash_buckets(std::ceil(size.tuples / target));
    const double capacity = std::floor(hash_page / hash_tuple);
    double overflow = 0.0;
    double rows_left = size.tuples;
    double keys_left = distinct > 0.0 ? std::min(distinct, size.tuples) : size.tuples;
    for (const double often : common) {
        if (keys_left < 1.0 || rows_left < often)
            break;
        if (often > capacity / 4.0) { // one that matters to its bucket
            overflow += std::max(std::ceil(often / capacity) - 1.0, 0.0);
            rows_left -= often;
            keys_left -= 1.0;
        }
    }
    // The others: the number of keys in a bucket is Poisson distributed.
    const double keys = std::max(keys_left, 1.0);
    const double rows_per_key = std::max(rows_left / keys, 1.0);
    const double mean = keys / buckets;
    if (mean > 200.0) {
        // Normal approximation of the overflow beyond the page.
        const double deviation = std::sqrt(mean) * rows_per_key;
        const double excess = (mean * rows_per_key - capacity) / std::max(deviation, 1e-9);
        overflow += buckets * 0.5 * std::erfc(-excess / std::sqrt(2.0));
    } else {
        double probability = std::exp(-mean);
        for (int n = 0; n <= 400; ++n) {
            if (n > 0)
                probability *= mean / n;
            overflow += buckets * probability * std::max(std::ceil(n * rows_per_key / capacity) - 1.0, 0.0);
        }
    }
    const double bitmaps = std::ceil((buckets + overflow) / (block * 8.0) + 1e-9);
    size.pages = whole_pages(1.0 + buckets + overflow + bitmaps);
    return size;
}

// ---- BRIN: brin_page.h, brin_revmap.c.

IndexSize brin_size(double table_pages, int pages_per_range, double tuple_bytes) {
    IndexSize size;
    const double ranges = std::max(std::ceil(table_pages / std::max(pages_per_range, 1)), 1.0);
    const double usable = block - page_header - 8.0;
    const double per_page = std::max(std::floor(usable / (max_align(tuple_bytes) + line_pointer)), 1.0);
    const double map_entries = std::floor(usable / 6.0);
    size.tuples = ranges;
    size.pages = 1 + whole_pages(ranges / map_entries) + whole_pages(ranges / per_page);
    return size;
}

// ---- GIN: ginblock.h, ginentrypage.c, ginpostinglist.c.

namespace {

constexpr double gin_usable = block - page_header - 8.0;
constexpr double gin_largest = 2712.0;           // GinMaxItemSize
constexpr double gin_data_usable = block - 40.0; // GinDataPageMaxDataSize
constexpr double gin_segment = 384.0;            // GinPostingListSegmentMaxSize
constexpr double gin_entry_fill = 0.48;          // keys come in order and pages are split in halves

// Mean bytes of the difference between two neighbouring row pointers of a key that stands in every `gap`-th row.
// A pointer is packed as block << 11 | offset; seven bits go into a byte.
double pointer_bytes(double gap, double rows_per_page) {
    const double pages = std::max(gap, 1.0) / rows_per_page; // mean distance in pages
    const double same = 1.0 - pages * (1.0 - std::exp(-1.0 / pages));
    const double two = std::exp(-7.5 / pages);
    const double three = std::exp(-1023.5 / pages);
    return same * 1.0 + (1.0 - same) * ((1.0 - two) * 2.0 + (two - three) * 3.0 + three * 4.0);
}

struct GinPages {
    double entries = 0.0; // bytes in the entry tree
    double data = 0.0;    // pages of posting trees
};

void add_entries(GinPages& pages, const SizedGin& index, double often, double times) {
    if (times <= 0.0)
        return;
    const double rows = std::max(often, 1.0);
    const double key = max_align(8.0 + (index.several_columns ? 2.0 : 0.0) + index.key_bytes);
    const double list = rows > 1.0 ? (rows - 1.0) * pointer_bytes(index.rows / rows, index.rows_per_page) : 0.0;
    const double packed = 8.0 + list;
    if (key + packed <= gin_largest) {
        pages.entries += times * (max_align(key + packed) + line_pointer);
        return;
    }
    pages.entries += times * (key + line_pointer);
    const double segments = std::max(std::ceil(list / (gin_segment - 16.0)), 1.0);
    const double leaves = std::max(std::ceil((list + segments * 8.0) / gin_data_usable), 1.0);
    pages.data += times * (leaves > 1.0 ? leaves + std::ceil(leaves / 800.0) : leaves);
}

} // namespace

IndexSize gin_size(const SizedGin& index) {
    IndexSize size;
    if (index.rows < 1.0 || index.keys.rows < 1.0) {
        size.pages = 2;
        return size;
    }
    const double scale = std::max(index.rows / index.keys.rows, 1.0);
    const double total = index.keys.occurrences * scale;
    const double distinct = index.keys.distinct_of(total);
    GinPages pages;
    double occurrences_left = total;
    double keys_left = distinct;
    for (const double often : index.keys.common) {
        add_entries(pages, index, often * scale, 1.0);
        occurrences_left -= often * scale;
        keys_left -= 1.0;
    }
    if (keys_left >= 1.0 && occurrences_left >= 1.0)
        add_entries(pages, index, std::max(occurrences_left / keys_left, 1.0), keys_left);
    const double leaves = std::max(std::ceil(pages.entries / (gin_usable * gin_entry_fill)), 1.0);
    const double fanout = gin_usable * gin_entry_fill / (max_align(8.0 + index.key_bytes) + line_pointer);
    double inner = 0.0;
    for (double level = leaves; level > 1.0;) {
        level = std::ceil(level / std::max(fanout, 2.0));
        inner += level;
    }
    size.tuples = total;
    size.pages = 1 + whole_pages(leaves + inner) + whole_pages(pages.data);
    return size;
}

// ---- GiST: gistbuild.c, gistsplit.c.

IndexSize gist_size(double rows, double tuple_bytes, double inner_bytes, bool sorted, int fill_factor) {
    IndexSize size;
    size.tuples = std::max(rows, 0.0);
    constexpr double usable = block - page_header - 16.0;
    constexpr double split_fill = 0.67; // what picksplit leaves, measured
    const double fill = sorted ? fill_factor / 100.0 : split_fill;
    const auto per_page = [=](double bytes) {
        return std::max(std::floor(usable * fill / (max_align(bytes) + line_pointer)), 2.0);
    };
    double level = std::max(std::ceil(size.tuples / per_page(tuple_bytes)), 1.0);
    double pages = level;
    size.leaf_pages = whole_pages(level);
    while (level > 1.0) {
        level = std::ceil(level / per_page(inner_bytes));
        pages += level;
        ++size.tree_height;
    }
    size.pages = whole_pages(pages);
    return size;
}

} // namespace citadel::advisor
