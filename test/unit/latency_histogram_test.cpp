#include "capture/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace citadel::capture;

namespace {

constexpr double shares[] = {0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1};

// Every percentile against the exact one: the value of that rank in the sorted data.
void expect_percentiles_within_bound(std::vector<double> latencies, const char* what) {
    LatencyHistogram histogram;
    for (const double ms : latencies)
        histogram.add(ms);
    std::sort(latencies.begin(), latencies.end());
    ASSERT_EQ(histogram.count(), latencies.size());
    for (const double p : shares) {
        const double exact = latencies[static_cast<std::size_t>(p * static_cast<double>(latencies.size() - 1))];
        const double told = histogram.percentile(p);
        EXPECT_LE(std::abs(told - exact) / exact, latency_relative_error) << what << " p" << p * 100;
    }
}

TEST(LatencyHistogram, LogNormal) {
    for (const unsigned seed : {1U, 2U, 3U}) {
        std::mt19937_64 random(seed);
        for (const double spread : {0.1, 0.7, 2.0}) {
            std::lognormal_distribution<double> draw(std::log(3.0), spread);
            std::vector<double> latencies(20000);
            for (double& ms : latencies)
                ms = draw(random) + 0.002;
            expect_percentiles_within_bound(latencies, "log-normal");
        }
    }
}

TEST(LatencyHistogram, Bimodal) { // a cache that answers nine times of ten
    for (const unsigned seed : {1U, 2U, 3U}) {
        std::mt19937_64 random(seed);
        std::normal_distribution<double> fast(0.2, 0.02), slow(450, 40);
        std::bernoulli_distribution hit(0.9);
        std::vector<double> latencies(20000);
        for (double& ms : latencies)
            ms = std::max(0.001, hit(random) ? fast(random) : slow(random));
        expect_percentiles_within_bound(latencies, "bimodal");
    }
}

TEST(LatencyHistogram, HeavyTail) { // Pareto with infinite variance, and with infinite mean
    for (const double shape : {1.5, 0.7}) {
        std::mt19937_64 random(7);
        std::uniform_real_distribution<double> uniform(1e-6, 1);
        std::vector<double> latencies(50000);
        for (double& ms : latencies)
            ms = std::min(0.05 * std::pow(uniform(random), -1 / shape), 6e7);
        expect_percentiles_within_bound(latencies, "heavy tail");
    }
}

TEST(LatencyHistogram, EveryBucketKeepsItsBoundsAndTheError) {
    for (int bucket = 0; bucket < latency_bucket_count; ++bucket) {
        const double lower = std::max(latency_bucket_lower(bucket), 0.001);
        const double upper = latency_bucket_upper(bucket);
        ASSERT_LT(lower, upper);
        EXPECT_EQ(latency_bucket(lower * (1 + 1e-9)), bucket);
        EXPECT_EQ(latency_bucket(upper * (1 - 1e-9)), bucket);
        const double value = latency_bucket_value(bucket);
        EXPECT_LE((value - lower) / lower, latency_relative_error);
        EXPECT_LE((upper - value) / upper, latency_relative_error);
    }
}

TEST(LatencyHistogram, BucketsGrowWithLatency) {
    std::mt19937_64 random(11);
    std::uniform_real_distribution<double> exponent(-12, 12);
    for (int i = 0; i < 100000; ++i) {
        const double a = std::pow(10, exponent(random));
        const double b = a * (1 + 1e-12);
        ASSERT_LE(latency_bucket(a), latency_bucket(b)) << a;
    }
}

TEST(LatencyHistogram, OddLatenciesHaveABucket) {
    EXPECT_EQ(latency_bucket(0), 0);
    EXPECT_EQ(latency_bucket(-5), 0);
    EXPECT_EQ(latency_bucket(1e-300), 0);
    EXPECT_EQ(latency_bucket(std::numeric_limits<double>::quiet_NaN()), 0);
    EXPECT_EQ(latency_bucket(1e300), latency_bucket_count - 1);
    EXPECT_EQ(latency_bucket(std::numeric_limits<double>::infinity()), latency_bucket_count - 1);
}

TEST(LatencyHistogram, MergingIsExact) {
    std::mt19937_64 random(5);
    std::lognormal_distribution<double> draw(1, 1.5);
    LatencyHistogram whole;
    std::vector<LatencyHistogram> parts(7);
    for (int i = 0; i < 10000; ++i) {
        const double ms = draw(random);
        whole.add(ms);
        parts[static_cast<std::size_t>(i) % parts.size()].add(ms);
    }
    LatencyHistogram merged, by_serial;
    for (const LatencyHistogram& part : parts) {
        merged.merge(part);
        EXPECT_TRUE(by_serial.merge_serial(part.serial()));
    }
    EXPECT_EQ(merged.serial(), whole.serial());
    EXPECT_EQ(by_serial.serial(), whole.serial());
}

TEST(LatencyHistogram, SerialFormIsShort) {
    LatencyHistogram histogram;
    EXPECT_EQ(histogram.serial().size(), 1U);
    histogram.add(1);
    EXPECT_EQ(histogram.serial().size(), 3U + (latency_bucket(1) > 127 ? 1 : 0));
    std::mt19937_64 random(5);
    std::lognormal_distribution<double> draw(1, 0.5);
    for (int i = 0; i < 1000; ++i)
        histogram.add(draw(random));
    EXPECT_LE(histogram.serial().size(), 64U);
}

TEST(LatencyHistogram, ForeignBytesAreRefused) {
    LatencyHistogram histogram;
    histogram.add(3);
    const std::string before = histogram.serial();
    using namespace std::string_literals;
    for (const std::string& bytes :
         {""s, "\x02"s, "\0"s, "\x01\x05"s, "\x01\x05\x00"s, "\x01\x80\x80"s, "\x01\xb3\x01\x01\x00\x01"s,
          "\x01\xb4\x01\x01"s, "\x01\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s,
          "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"s})
        EXPECT_FALSE(histogram.merge_serial(bytes)) << bytes.size();
    EXPECT_EQ(histogram.serial(), before);
    std::mt19937_64 random(3);
    for (int i = 0; i < 100000; ++i) { // any bytes at all
        std::string bytes(random() % 12, '\x01');
        for (std::size_t at = 1; at < bytes.size(); ++at)
            bytes[at] = static_cast<char>(random());
        (void)histogram.merge_serial(bytes);
    }
}

TEST(LatencyHistogram, CountsSaturate) {
    LatencyHistogram histogram;
    histogram.add(10, std::numeric_limits<std::uint64_t>::max());
    histogram.add(10, 5);
    histogram.add(20, 5);
    EXPECT_EQ(histogram.count(), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(histogram.percentile(0.5), latency_bucket_value(10));
}

TEST(LatencyHistogram, NothingCountedHasNoPercentile) {
    EXPECT_EQ(LatencyHistogram().percentile(0.95), 0);
}

} // namespace
