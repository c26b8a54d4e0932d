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

IndexSize hash_size(double rows, const std::vector<KeyClass>& classes, int fill_factor) {
    IndexSize size;
    size.tuples = std::max(rows, 0.0);
    const double target = std::max(std::floor(block * fill_factor / 100.0 / hash_tuple), 10.0);
    const double buckets = hash_buckets(std::ceil(size.tuples / target));
    const double capacity = std::floor(hash_page / hash_tuple);
    double overflow = 0.0;
    double rows_left = size.tuples;
    double keys_left = 0.0;
    for (const KeyClass& alike : classes) {
        keys_left += alike.keys;
        if (alike.rows <= capacity / 4.0)
            continue;
        // One that matters to its bucket.
        overflow += alike.keys * std::max(std::ceil(alike.rows / capacity) - 1.0, 0.0);
        rows_left -= alike.keys * alike.rows;
        keys_left -= alike.keys;
    }
    if (classes.empty())
        keys_left = rows_left;
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

// ---- GiST: gistbuild.c, gistsplit.c.

IndexSize gist_size(double rows, double tuple_bytes, double inner_bytes, double fill) {
    IndexSize size;
    size.tuples = std::max(rows, 0.0);
    constexpr double usable = block - page_header - 16.0;
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
