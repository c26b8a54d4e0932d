// The setting citadel_opt.databases: which databases the launcher looks into.
#pragma once

#include <string_view>

namespace citadel::jobs {

// True when the comma-separated list names the database. Empty or '*' allows all. Names are compared exactly, as in
// pg_hba.conf: no folding to lower case. A name may be put into double quotes ("" stands for one quote), which it must
// be when it holds a comma, a quote, or blanks at its ends, and which takes the meaning from "*".
bool database_allowed(std::string_view list, std::string_view database);

} // namespace citadel::jobs
