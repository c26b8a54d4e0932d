// The Prometheus text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace citadel::alerts {

struct Sample {
    std::vector<std::pair<std::string, std::string>> labels; // in this order
    double value = 0;
};

// All samples of one metric. A name that ends in _total is a counter, any other a gauge.
struct Family {
    std::string name;
    std::string help;
    std::vector<Sample> samples;
};

// Letters, digits and underscores, not beginning with a digit: what may be a metric or a label.
bool valid_name(const std::string& name);
std::string sample_value(double value);

// The text of one metric: HELP, TYPE, samples. Empty for one without samples. Throws std::invalid_argument for a name
// that is none.
std::string exposition(const Family& family);

} // namespace citadel::alerts
