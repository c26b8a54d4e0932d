// What is recommended, and the evidence for it.
#pragma once

#include "advisor/model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace citadel::advisor {

// A statement that an index makes cheaper, in planner cost of one execution.
struct Beneficiary {
    std::size_t statement = 0; // position in the workload
    double cost_before = 0.0;
    double cost_after = 0.0;
    std::string plan_before; // EXPLAIN JSON; empty unless asked for
    std::string plan_after;
    bool known_values = false;
};

// What somebody would try first instead of the recommended index.
struct Alternative {
    std::string definition;
    std::uint64_t bytes = 0;
    double share_of_gain = 0.0; // of what the recommended index saves, 0..1
};

struct Recommendation {
    enum class Action : std::uint8_t { create, drop, replace };
    Action action = Action::create;
    IndexId existing = 0;      // the index to drop or to replace
    std::string existing_name; // schema.name
    Candidate index;           // for a drop: as if it were to be created
    std::string name;
    std::string definition; // CREATE INDEX CONCURRENTLY ..., or CREATE INDEX on a partitioned table
    std::string build_note; // what to know before running it; may be empty
    std::uint64_t bytes = 0;
    double cost_before = 0.0; // of the workload
    double cost_after = 0.0;
    double write_cost = 0.0;
    std::string reason;
    std::vector<Beneficiary> helped; // largest weighted gain first
    std::vector<Alternative> alternatives;
    double known_values_share = 0.0; // of the gain: of statements without parameters, or planned with known values
    double measured_share = 0.0;     // of the gain: of statements whose load was measured
};

const char* action_name(Recommendation::Action action);

} // namespace citadel::advisor
