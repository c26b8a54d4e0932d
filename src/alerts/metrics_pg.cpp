// citadel.metrics(): every view citadel.metric_NAME as Prometheus metrics.
//
// A text column is a label, a numeric column COLUMN the metric citadel_NAME_COLUMN with its comment as HELP. So a room
// that has something to show adds a view, and nothing here knows of it; deploy/prometheus reads the same views.
#include "pg/server.hpp"

#include "alerts/exposition.hpp"
#include "pg/boundary.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace citadel::alerts {

namespace {

struct Column {
    std::string name, help;
    bool label = false;
};

struct View {
    std::string name; // without metric_
    std::vector<Column> columns;
};

std::vector<View> views() {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT substr(c.relname, 8), a.attname, t.typcategory <> 'N', coalesce(col_description(c.oid, a.attnum), "
        "a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE "
        "c.relnamespace = 'citadel'::regnamespace AND c.relkind = 'v' AND c.relname ~ '^metric_[a-z0-9_]+$' AND "
        "a.attnum > 0 "
        "AND NOT a.attisdropped ORDER BY c.relname, a.attnum");
    std::vector<View> found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (found.empty() || found.back().name != rows.text(i, 0))
            found.push_back({rows.text(i, 0), {}});
        found.back().columns.push_back({rows.text(i, 1), rows.text(i, 3), rows.boolean(i, 2)});
    }
    return found;
}

// Prometheus takes UTF-8 alone. Every encoding but this one is converted on the way to the client.
std::string label_value(std::string text) {
    if (GetDatabaseEncoding() == PG_SQL_ASCII)
        for (char& c : text)
            if (static_cast<unsigned char>(c) > 0x7f)
                c = '?';
    return text;
}

std::string metrics_of(const View& view, const std::string& database) {
    std::string list;
    for (const Column& column : view.columns)
        list +=
            (list.empty() ? "" : ", ") + (column.label ? "coalesce(" + pg::quote_identifier(column.name) + "::text, '')"
                                                       : pg::quote_identifier(column.name) + "::float8");
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT " + list + " FROM citadel." + pg::quote_identifier("metric_" + view.name));
    std::string text;
    for (std::size_t metric = 0; metric < view.columns.size(); ++metric) {
        if (view.columns[metric].label)
            continue;
        Family family{"citadel_" + view.name + "_" + view.columns[metric].name, view.columns[metric].help, {}};
        for (std::size_t row = 0; row < rows.size(); ++row) {
            if (rows.is_null(row, metric))
                continue;
            Sample sample{{{"database", database}}, rows.float8(row, metric)};
            for (std::size_t label = 0; label < view.columns.size(); ++label)
                if (view.columns[label].label)
                    sample.labels.emplace_back(view.columns[label].name, label_value(rows.text(row, label)));
            family.samples.push_back(std::move(sample));
        }
        text += exposition(family);
    }
    return text;
}

std::string metrics() {
    std::string database;
    {
        pg::Spi spi;
        database = label_value(spi.query("SELECT current_database()").text(0, 0));
    }
    std::string text;
    Family failed{"citadel_metrics_failed", "1 for a view of metrics that could not be read, 0 for the others", {}};
    for (const View& view : views()) {
        // What does not work on a standby, or without preload, leaves the rest readable.
        const auto error = pg::try_subtransaction([&] { text += metrics_of(view, database); });
        pg::rethrow_cancel(error);
        failed.samples.push_back({{{"database", database}, {"view", "metric_" + view.name}}, error ? 1.0 : 0.0});
    }
    return text + exposition(failed);
}

} // namespace

} // namespace citadel::alerts

CITADEL_FUNCTION(citadel_metrics) {
    const std::string result = citadel::alerts::metrics();
    PG_RETURN_TEXT_P(citadel::pg::to_text(result));
}
