// Plain tables under a policy: conversion into a partitioned table, splitting, and moving old rows in batches.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace citadel::lifecycle::plain {

// What is to be done for a policy whose table is plain (TableMode::convert or keep), or was converted and is to be
// split: steps convert, split, move_rows. Reads alone. What the server cannot do is said in Step::blocked. `impatient`:
// pauses after failures do not count, because somebody asked for this run.
std::vector<Step> plan(const Policy& policy, std::int64_t now, bool impatient);

// Opens the operation of such a step, unless it is open already; its operation_id.
std::int64_t begin(const Policy& policy, const Step& step);

// Goes on with an open operation of kind convert, split or move_rows as far as it gets now: until it has ended, or has
// to wait (allowed hours, replication lag, a lock that was not granted), which it notes in state, not_before and
// last_error. In the job `lifecycle` alone, outside any RoleScope; commits many times (jobs::checkpoint). Errors come
// as pg::Error with the work so far committed; the caller notes them and tries again later.
void advance(std::int64_t operation_id);

// Whether the kind of an operation belongs here.
bool is_ours(const std::string& kind);

} // namespace citadel::lifecycle::plain
