// Latencies counted in buckets whose width is a fixed share of their value, so that any percentile can be told within
// 7 % of the exact one, and histograms of any two processes, minutes or hours merge exactly: DDSketch (Masson, Rim,
// Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019).
//
// A bucket's number is found without a logarithm, by that paper's cubic interpolation between powers of two: a few
// multiplications. Five buckets for each doubling from a microsecond to 2^36 microseconds (19 hours) make 180. What is
// shorter is counted in the first, what is longer in the last.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace citadel::capture {

inline constexpr int latency_buckets_per_doubling = 5;
inline constexpr int latency_doublings = 36;
inline constexpr int latency_bucket_count = latency_buckets_per_doubling * latency_doublings;
// |told - exact| / exact of any percentile of latencies between 1 microsecond and 19 hours.
inline constexpr double latency_relative_error = 0.07;

// Where a mantissa in [1, 2) stands between two powers of two, 0 to 1: close to its logarithm.
constexpr double interpolated_log2(double mantissa) {
    const double s = mantissa - 1;
    return ((6.0 / 35 * s - 3.0 / 5) * s + 10.0 / 7) * s;
}

// The bucket of a latency. NaN and what is not positive count as 0.
inline int latency_bucket(double milliseconds) {
    const double microseconds = milliseconds * 1000;
    if (!(microseconds >= 1))
        return 0;
    const auto bits = std::bit_cast<std::uint64_t>(microseconds);
    const int exponent = static_cast<int>(bits >> 52) - 1023;
    if (exponent >= latency_doublings)
        return latency_bucket_count - 1;
    const double mantissa = std::bit_cast<double>((bits & 0xfffffffffffffULL) | (1023ULL << 52));
    return static_cast<int>(latency_buckets_per_doubling * (exponent + interpolated_log2(mantissa)));
}

// Bounds of a bucket in milliseconds; the first begins at 0.
double latency_bucket_lower(int bucket);
double latency_bucket_upper(int bucket);
// The latency that stands for all in a bucket: as far from both bounds in relative terms.
double latency_bucket_value(int bucket);

class LatencyHistogram {
  public:
    void add(double milliseconds) { add(latency_bucket(milliseconds), 1); }
    void add(int bucket, std::uint64_t count); // saturates
    void merge(const LatencyHistogram& other);

    std::uint64_t count() const;
    std::uint64_t in_bucket(int bucket) const { return counts_[static_cast<std::size_t>(bucket)]; }
    bool empty() const { return count() == 0; }

    // The latency (ms) that a share `p` (0..1) of the runs does not exceed; 0 when there are none. p outside its bounds
    // counts as the nearer one.
    double percentile(double p) const;

    // A version byte, then for each bucket that is not empty its distance to the one before and its count, as LEB128
    // numbers: two bytes for most.
    std::string serial() const;
    // Merges a serial form into this; false, and nothing merged, when it is not one.
    bool merge_serial(std::string_view serial);

  private:
    std::array<std::uint64_t, latency_bucket_count> counts_{};
};

} // namespace citadel::capture
