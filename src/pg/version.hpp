// The library and the SQL that is installed in a database are replaced one after the other: by a package and a restart,
// and by ALTER EXTENSION ... UPDATE. Between the two they must not touch each other.
#pragma once

#include <optional>
#include <string>

namespace citadel::pg {

// The version of the SQL that this library was made for: default_version of citadel_opt.control.
inline constexpr const char* library_version = "0.1.0";

// What is wrong between the library and the extension in this database, and what to do about it.
struct VersionProblem {
    std::string message;
    std::string hint;
};

// Nothing when both are of one version, and where the extension is not installed. Needs a transaction.
std::optional<VersionProblem> version_problem();

// Raises 55000 with a hint when there is a problem. Cheap: looks once a transaction. Does nothing while an extension's
// script runs, because each step of an update has a version of its own.
void require_same_version();

} // namespace citadel::pg
