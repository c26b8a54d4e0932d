#include "pg/server.hpp"

#include "alerts/rates.hpp"
#include "alerts/readings_pg.hpp"
#include "history/arrays_pg.hpp"
#include "jobs/figures.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

#include <cmath>
#include <map>

namespace citadel::alerts {

namespace {

constexpr int longest_subject = 200; // characters

struct Readings {
    history::TextArray figures, subjects, details;
    history::ValueArray values{FLOAT8OID}, positions{INT4OID};
};

// Of all databases with a scheduler, the one with the lowest OID speaks for the server, so that an alert about it is
// one alert. When that scheduler goes, the next one takes over and this alert ends here.
bool speaks_for_the_server() {
    pg::Spi spi;
    return spi
        .query("SELECT coalesce(min(d.oid::bigint) = $1, true) FROM citadel.worker_status() w JOIN pg_database d ON "
               "d.datname = w.database WHERE w.kind = 'scheduler' AND w.pid IS NOT NULL",
               {pg::arg(static_cast<std::int64_t>(MyDatabaseId))})
        .boolean(0, 0);
}

std::optional<double> value_of(const jobs::Figure& figure, const pg::Rows& rows, std::size_t row, TimestampTz now) {
    static Rates rates;
    if (rows.is_null(row, 1))
        return std::nullopt;
    const FigureSubject of{figure.name, rows.text(row, 0)};
    const double value = rows.float8(row, 1);
    switch (figure.kind) {
    case jobs::FigureKind::gauge:
        return value;
    case jobs::FigureKind::per_minute:
        return rates.per_minute(of, value, now);
    case jobs::FigureKind::share:
        return rates.share(of, value, rows.float8(row, 2));
    }
    return std::nullopt;
}

void read(const jobs::Figure& figure, TimestampTz now, Readings& readings) {
    pg::Spi spi;
    // Two subjects that are the same after shortening would be one key: the first one, the worse one, counts.
    const pg::Rows rows = spi.query(
        "SELECT s, v, d FROM (SELECT left(coalesce(f.s, ''), " + std::to_string(longest_subject) +
            ") AS s, f.v, f.d, row_number() OVER () AS n, row_number() OVER (PARTITION BY left(coalesce(f.s, ''), " +
            std::to_string(longest_subject) + ")) AS same FROM (" + figure.sql +
            ") AS f (s, v, d)) AS f WHERE same = 1 ORDER BY n",
        {}, static_cast<long>(jobs::max_subjects));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::optional<double> value = value_of(figure, rows, i, now);
        if (!value || std::isnan(*value))
            continue;
        readings.figures.add(figure.name);
        readings.subjects.add(rows.text(i, 0));
        readings.values.add(Float8GetDatum(*value));
        readings.positions.add(Int32GetDatum(static_cast<std::int32_t>(i + 1)));
        if (rows.is_null(i, 2) || figure.kind == jobs::FigureKind::share)
            readings.details.add_null();
        else
            readings.details.add(rows.text(i, 2));
    }
}

void note_failures(const std::map<std::string, std::string>& failures, TimestampTz now) {
    history::TextArray figures, messages;
    for (const auto& [figure, message] : failures) {
        figures.add(figure);
        messages.add(message);
    }
    pg::Spi spi;
    spi.execute("DELETE FROM citadel.figure_failure f WHERE NOT f.figure = ANY ($1)", {figures.arg()});
    const pg::Rows fresh = spi.query(
        "INSERT INTO citadel.figure_failure AS f (figure, failed_at, message) SELECT n.figure, $3, n.message "
        "FROM unnest($1, $2) AS n (figure, message) ON CONFLICT (figure) DO NOTHING RETURNING figure, message",
        {figures.arg(), messages.arg(), pg::arg_timestamptz(now)});
    for (std::size_t i = 0; i < fresh.size(); ++i) {
        const char* figure = fresh.text(i, 0).c_str();
        const char* message = fresh.text(i, 1).c_str();
        pg::guard([=] { ereport(LOG, (errmsg("citadel_opt cannot read the figure %s: %s", figure, message))); });
    }
}

} // namespace

std::set<std::string> read_figures(TimestampTz now) {
    const bool for_the_server = speaks_for_the_server();
    Readings readings;
    std::map<std::string, std::string> failures;
    for (std::size_t i = 0; i < jobs::figure_count(); ++i) {
        const jobs::Figure& figure = jobs::figure_at(i);
        if (figure.cluster_wide && !for_the_server)
            continue;
        Readings before = readings;
        if (const auto error = pg::try_subtransaction([&] { read(figure, now, readings); })) {
            readings = std::move(before);
            failures[figure.name] = error->what();
        }
    }
    note_failures(failures, now);
    pg::Spi spi;
    spi.execute(
        "DELETE FROM citadel.figure_value v WHERE NOT EXISTS (SELECT FROM unnest($1, $2) AS f (figure, subject) "
        "WHERE f.figure = v.figure AND f.subject = v.subject)",
        {readings.figures.arg(), readings.subjects.arg()});
    spi.execute("INSERT INTO citadel.figure_value (figure, subject, value, detail, position, read_at) SELECT f.figure, "
                "f.subject, f.value, f.detail, f.position, $6 FROM unnest($1, $2, $3, $4, $5) AS f (figure, subject, "
                "value, detail, position) ON CONFLICT (figure, subject) DO UPDATE SET value = excluded.value, "
                "detail = excluded.detail, position = excluded.position, read_at = excluded.read_at",
                {readings.figures.arg(), readings.subjects.arg(), readings.values.arg(), readings.details.arg(),
                 readings.positions.arg(), pg::arg_timestamptz(now)});
    std::set<std::string> unread;
    for (const auto& [figure, message] : failures)
        unread.insert(figure);
    return unread;
}

} // namespace citadel::alerts
