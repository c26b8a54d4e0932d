#include "advisor/key_frequency.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::advisor {

namespace {

// Over how much of the table the rows of a key are spread, of which `count` were seen between two places: the ends of a
// uniform sample lie (count - 1) / (count + 1) of the whole apart.
double spread_of(double first, double last, double count) {
    return std::clamp((last - first) * (count + 1.0) / (count - 1.0), 1e-6, 1.0);
}

double log_binomial(double n, double k, double share) {
    return std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) + k * std::log(share) +
           (n - k) * std::log1p(-share);
}

// Keys that stand in `rows` rows each, and how likely such a key is seen 1, 2, 3 ... times in the sample.
struct Component {
    double rows;
    double unseen;
    std::vector<double> likelihood; // given that it is seen, and not too often
    double seen_few;                // how likely that is
    double weight;                  // keys seen that are of this kind
};

std::vector<Component> components(const std::vector<KeyClass>& few, double share) {
    std::vector<Component> all;
    const double most = 2.0 * few.back().rows / share;
    for (std::int64_t step = 1; static_cast<double>(step) <= most; step = std::max(step + 1, step + step / 4)) {
        const auto rows = static_cast<double>(step);
        Component one{rows, std::exp(rows * std::log1p(-share)), std::vector<double>(few.size(), 0.0), 0.0, 1.0};
        for (int count = 1; count < static_cast<int>(SampledKeys::individual) && count <= rows; ++count)
            one.seen_few += std::exp(log_binomial(rows, count, share));
        if (one.seen_few < 1e-12)
            continue;
        for (std::size_t i = 0; i < few.size(); ++i)
            if (few[i].rows <= rows)
                one.likelihood[i] = std::exp(log_binomial(rows, few[i].rows, share)) / one.seen_few;
        all.push_back(std::move(one));
    }
    return all;
}

// Expectation maximisation of the components' weights. It takes hundreds of rounds, for each set of columns that is
// sized: the likelihoods stand in rows of equal length, four at a time are summed.
void fit(std::vector<Component>& all, const std::vector<KeyClass>& few) {
    constexpr int rounds = 1500;
    constexpr std::size_t lanes = 4;
    const std::size_t width = (all.size() + lanes - 1) / lanes * lanes;
    std::vector<double> likelihood(few.size() * width, 0.0); // a row for each number of times
    std::vector<double> weight(width, 0.0);
    std::vector<double> share(width);
    for (std::size_t j = 0; j < all.size(); ++j) {
        weight[j] = all[j].weight;
        for (std::size_t i = 0; i < few.size(); ++i)
            likelihood[i * width + j] = all[j].likelihood[i];
    }
    for (int round = 0; round < rounds; ++round) {
        std::fill(share.begin(), share.end(), 0.0);
        for (std::size_t i = 0; i < few.size(); ++i) {
            const double* own = likelihood.data() + i * width;
            double sums[lanes] = {};
            for (std::size_t j = 0; j < width; j += lanes)
                for (std::size_t k = 0; k < lanes; ++k)
                    sums[k] += weight[j + k] * own[j + k];
            const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
            if (sum <= 0.0)
                continue;
            const double keys = few[i].keys / sum;
            for (std::size_t j = 0; j < width; j += lanes)
                for (std::size_t k = 0; k < lanes; ++k)
                    share[j + k] += keys * own[j + k];
        }
        double change = 0.0;
        double sum = 0.0;
        for (std::size_t j = 0; j < width; ++j) {
            const double next = weight[j] * share[j];
            change += std::abs(next - weight[j]);
            sum += next;
            weight[j] = next;
        }
        if (change <= 1e-6 * sum)
            break;
    }
    for (std::size_t j = 0; j < all.size(); ++j)
        all[j].weight = weight[j];
}

} // namespace

double SampledKeys::seen() const {
    double sum = static_cast<double>(often.size());
    for (const KeyClass& one : few)
        sum += one.keys;
    return sum;
}

std::vector<KeyClass> SampledKeys::classes(double total) const {
    std::vector<KeyClass> found;
    if (occurrences <= 0.0 || total <= 0.0)
        return found;
    const double scale = total / occurrences;
    for (KeyClass one : often) {
        one.rows *= scale;
        found.push_back(one);
    }
    if (few.empty())
        return found;
    if (whole || scale <= 1.0 + 1e-9) {
        // Of a table that has grown or shrunk since, keys that were unique stay so.
        for (KeyClass one : few) {
            (one.rows == 1.0 ? one.keys : one.rows) *= scale;
            one.rows = std::max(one.rows, 1.0);
            found.push_back(one);
        }
        return found;
    }
    double spread = 0.0;
    double bytes = 0.0;
    double keys = 0.0;
    double several = 0.0;
    for (const KeyClass& one : few) {
        keys += one.keys;
        bytes += one.keys * one.bytes;
        if (one.rows > 1.0) {
            several += one.keys * one.rows;
            spread += one.keys * one.rows * one.spread;
        }
    }
    // Two rows of a key are few to tell; of keys seen once, nothing is known.
    spread = several > 0.0 ? std::min(spread / several, 1.0) : 1.0;
    std::vector<Component> all = components(few, 1.0 / scale);
    fit(all, few);
    for (const Component& one : all)
        if (one.weight > 1e-9)
            found.push_back({one.rows, one.weight * (1.0 + one.unseen / one.seen_few), spread, bytes / keys});
    return found;
}

double SampledKeys::distinct_of(double total) const {
    double sum = 0.0;
    for (const KeyClass& one : classes(total))
        sum += one.keys;
    return std::clamp(sum, std::min(seen(), total), std::max(total, 0.0));
}

SampledKeys count_keys(const std::vector<SeenKey>& keys, double rows, bool whole) {
    struct Key {
        std::uint64_t hash = 0;
        std::uint32_t count = 0;
        float first = 0.0F; // place
        float last = 0.0F;
        float bytes = 0.0F;
    };
    SampledKeys found;
    found.rows = rows;
    found.whole = whole;
    found.occurrences = static_cast<double>(keys.size());
    // A table with open addressing: each candidate is sized, and sorting would take most of that time.
    std::size_t slots = 16;
    while (slots < 2 * keys.size())
        slots *= 2;
    std::vector<Key> all(slots);
    for (const SeenKey& seen : keys) {
        std::size_t slot = (seen.hash * 0x9e3779b97f4a7c15ULL >> 32) & (slots - 1);
        while (all[slot].count != 0 && all[slot].hash != seen.hash)
            slot = (slot + 1) & (slots - 1);
        Key& key = all[slot];
        if (key.count++ == 0)
            key = {seen.hash, 1, seen.place, seen.place, seen.bytes};
        key.first = std::min(key.first, seen.place);
        key.last = std::max(key.last, seen.place);
    }
    std::vector<KeyClass> by_count(SampledKeys::individual, KeyClass{0.0, 0.0, 0.0, 0.0});
    for (const Key& key : all) {
        if (key.count == 0)
            continue;
        const auto count = static_cast<double>(key.count);
        const double spread = key.count > 1 ? spread_of(key.first, key.last, count) : 1.0;
        if (key.count >= SampledKeys::individual) {
            found.often.push_back({count, 1.0, spread, key.bytes});
        } else {
            KeyClass& alike = by_count[key.count];
            alike.rows = count;
            alike.keys += 1.0;
            alike.spread += spread;
            alike.bytes += key.bytes;
        }
    }
    for (KeyClass& one : by_count) {
        if (one.keys <= 0.0)
            continue;
        one.spread /= one.keys;
        one.bytes /= one.keys;
        found.few.push_back(one);
    }
    std::sort(found.often.begin(), found.often.end(),
              [](const KeyClass& a, const KeyClass& b) { return a.rows > b.rows; });
    return found;
}

} // namespace citadel::advisor
