// How often keys stand in a table, told from a sample of its rows.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace citadel::advisor {

// One sight of a key: an entry of a sampled row.
struct SeenKey {
    std::uint64_t hash = 0;
    float place = 0.0F; // of the row in the table, 0..1
    float bytes = 0.0F; // of the key as stored
};

// Keys of about one frequency.
struct KeyClass {
    double rows = 1.0; // in which each of them stands
    double keys = 0.0;
    double spread = 1.0; // the share of the table over which the rows of one are spread
    double bytes = 0.0;  // of one key as stored, on average
};

struct SampledKeys {
    double rows = 0.0;        // sampled
    double occurrences = 0.0; // of keys in them
    bool whole = false;       // the sample is the table
    // Keys seen 1, 2, 3 ... times, up to `individual` (`rows` and `keys` as seen); then each of the others by itself,
    // the most frequent first.
    std::vector<KeyClass> few;
    std::vector<KeyClass> often;

    double seen() const; // keys

    // The keys among `total` occurrences, of which the sample is a part. Keys that were seen often are as frequent as
    // they were seen. How frequent the others are, and how many were not seen at all, is the mixture of binomial
    // distributions under which the counts are likeliest (the nonparametric estimate of Norris and Pollock, 1998),
    // found by expectation maximisation. Unlike Duj1, which ANALYZE uses and which takes all keys for equally frequent,
    // it does right by a few words in every row beside a number that is unique.
    std::vector<KeyClass> classes(double total) const;

    double distinct_of(double total) const;

    static constexpr std::size_t individual = 64;
};

// With the classes that were worked out last: indexes over the same columns in another order ask for the same ones.
class CountedKeys {
  public:
    explicit CountedKeys(SampledKeys keys) : keys_(std::move(keys)) {}
    const std::vector<KeyClass>& classes(double total) {
        if (total != total_) {
            classes_ = keys_.classes(total);
            total_ = total;
        }
        return classes_;
    }

  private:
    SampledKeys keys_;
    double total_ = -1.0;
    std::vector<KeyClass> classes_;
};

// Counts equal hashes.
SampledKeys count_keys(const std::vector<SeenKey>& keys, double rows, bool whole);

} // namespace citadel::advisor
