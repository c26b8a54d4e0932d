#include "capture/latency_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace citadel::capture {

namespace {

constexpr char serial_version = 1;
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

// The mantissas at which the buckets of a doubling begin, and 2: where the interpolation reaches k / 5, by bisection.
constexpr auto mantissas = [] {
    std::array<double, latency_buckets_per_doubling + 1> found{};
    for (int k = 0; k <= latency_buckets_per_doubling; ++k) {
        double low = 1;
        double high = 2;
        for (int step = 0; step < 60; ++step) {
            const double middle = (low + high) / 2;
            (latency_buckets_per_doubling * interpolated_log2(middle) < k ? low : high) = middle;
        }
        found[static_cast<std::size_t>(k)] = high;
    }
    return found;
}();

// The stated error holds: with bounds l and u, the value 2lu / (l + u) is off by (u - l) / (u + l) at most.
constexpr double widest = [] {
    double error = 0;
    for (std::size_t k = 0; k < latency_buckets_per_doubling; ++k)
        error = std::max(error, (mantissas[k + 1] - mantissas[k]) / (mantissas[k + 1] + mantissas[k]));
    return error;
}();
static_assert(widest <= latency_relative_error);

void append_number(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

bool take_number(std::string_view& in, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        if (shift == 63 && byte > 1)
            return false;
        value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
        if ((byte & 0x80U) == 0)
            return true;
    }
    return false;
}

std::uint64_t saturated_sum(std::uint64_t a, std::uint64_t b) {
    return a > most - b ? most : a + b;
}

} // namespace

double latency_bucket_lower(int bucket) {
    if (bucket <= 0)
        return 0;
    const int within = bucket % latency_buckets_per_doubling;
    return std::ldexp(mantissas[static_cast<std::size_t>(within)], bucket / latency_buckets_per_doubling) / 1000;
}

double latency_bucket_upper(int bucket) {
    return latency_bucket_lower(bucket + 1);
}

double latency_bucket_value(int bucket) {
    const double upper = latency_bucket_upper(bucket);
    const double lower = bucket <= 0 ? 0.001 : latency_bucket_lower(bucket);
    return 2 * lower * upper / (lower + upper);
}

void LatencyHistogram::add(int bucket, std::uint64_t count) {
    std::uint64_t& counted = counts_[static_cast<std::size_t>(std::clamp(bucket, 0, latency_bucket_count - 1))];
    counted = saturated_sum(counted, count);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i)
        counts_[i] = saturated_sum(counts_[i], other.counts_[i]);
}

std::uint64_t LatencyHistogram::count() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts_)
        sum = saturated_sum(sum, count);
    return sum;
}

double LatencyHistogram::percentile(double p) const {
    const std::uint64_t all = count();
    if (all == 0)
        return 0;
    // The nearest rank, counted from 0.
    const double share = p >= 0 ? std::min(p, 1.0) : 0; // NaN: 0
    const auto rank = std::min(all - 1, static_cast<std::uint64_t>(share * static_cast<double>(all - 1)));
    std::uint64_t passed = 0;
    for (int bucket = 0; bucket < latency_bucket_count; ++bucket) {
        passed = saturated_sum(passed, in_bucket(bucket));
        if (passed > rank)
            return latency_bucket_value(bucket);
    }
    return latency_bucket_value(latency_bucket_count - 1);
}

std::string LatencyHistogram::serial() const {
    std::string out(1, serial_version);
    int previous = -1;
    for (int bucket = 0; bucket < latency_bucket_count; ++bucket) {
        if (in_bucket(bucket) == 0)
            continue;
        append_number(out, static_cast<std::uint64_t>(bucket - previous - 1));
        append_number(out, in_bucket(bucket));
        previous = bucket;
    }
    return out;
}

bool LatencyHistogram::merge_serial(std::string_view serial) {
    if (serial.empty() || serial.front() != serial_version)
        return false;
    LatencyHistogram read;
    serial.remove_prefix(1);
    for (std::uint64_t next = 0; !serial.empty(); ++next) {
        std::uint64_t distance = 0;
        std::uint64_t count = 0;
        if (!take_number(serial, distance) || !take_number(serial, count) || count == 0 ||
            distance >= latency_bucket_count || next + distance >= latency_bucket_count)
            return false;
        next += distance;
        read.add(static_cast<int>(next), count);
    }
    merge(read);
    return true;
}

} // namespace citadel::capture
