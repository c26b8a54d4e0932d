// Archives in a schema of this database: the relation is moved, nothing is copied.
#pragma once

#include "lifecycle/archive_entry_pg.hpp"

#include <string>

namespace citadel::lifecycle::archive::schema {

// Why `owner` cannot archive to the schema and tablespace; empty when he can.
std::string problem(const std::string& place, const std::string& tablespace, Oid owner);
// Creates the default schema.
void prepare(pg::Spi& spi, const std::string& place);
// Moves and renames the relation, and moves it to the tablespace if one is given, with its indexes. Repeatable.
void move(pg::Spi& spi, Oid relation, const std::string& place, const std::string& name, const std::string& tablespace);

} // namespace citadel::lifecycle::archive::schema
