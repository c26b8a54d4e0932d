// The SQL functions of this room.
#include "pg/server.hpp"

#include "jobs/figures.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "pg/tuplestore.hpp"

extern "C" {
#include "access/htup_details.h"
#include "commands/trigger.h"
}

using namespace citadel;

CITADEL_FUNCTION(citadel_figure_definitions) {
    pg::ResultSet rows(fcinfo);
    for (std::size_t i = 0; i < jobs::figure_count(); ++i) {
        const jobs::Figure& figure = jobs::figure_at(i);
        rows.row(
            {pg::arg(figure.name), pg::arg(figure.unit), pg::arg(figure.description), pg::arg(figure.cluster_wide)});
    }
    return 0;
}

// citadel.acknowledge_alert(alert_id bigint, note text)
CITADEL_FUNCTION(citadel_acknowledge_alert) {
    constexpr std::size_t longest_note = 10000;
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "alert_id must not be null");
    const std::int64_t alert_id = PG_GETARG_INT64(0);
    pg::Arg note = pg::null();
    if (!PG_ARGISNULL(1)) {
        const std::string given = pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(1); }));
        if (given.size() > longest_note)
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "the note is longer than 10000 bytes");
        note = pg::arg(given);
    }
    const TimestampTz now = pg::now();
    pg::Spi spi;
    // The scheduler may be resolving it at this moment: the row is locked before its state is looked at.
    const pg::Rows rows =
        spi.query("SELECT state FROM citadel.alert WHERE alert_id = $1 FOR UPDATE", {pg::arg(alert_id)});
    if (rows.empty())
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "alert " + std::to_string(alert_id) + " does not exist");
    if (rows.text(0, 0) == "resolved")
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "alert " + std::to_string(alert_id) + " is over");
    spi.execute(
        "UPDATE citadel.alert SET state = 'acknowledged', acknowledged_at = $2, acknowledged_by = session_user, "
        "note = $3 WHERE alert_id = $1",
        {pg::arg(alert_id), pg::arg_timestamptz(now), note});
    spi.execute("INSERT INTO citadel.alert_event (alert_id, at, event, by_role, note) VALUES ($1, $2, 'acknowledged', "
                "session_user, $3)",
                {pg::arg(alert_id), pg::arg_timestamptz(now), note});
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_alert_rule_merge) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        pg::raise(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "alert_rule_merge() is a trigger function");
    const auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    if (!TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
        !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
        pg::raise(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "alert_rule_merge() fires before an insert, for each row");
    HeapTuple row = trigger->tg_trigtuple;
    TupleDesc columns = RelationGetDescr(trigger->tg_relation);
    const Datum record = pg::guard([=] { return heap_copy_tuple_as_datum(row, columns); });
    const std::string text = pg::to_string(record, columns->tdtypeid);
    pg::Spi spi;
    const std::uint64_t merged = spi.execute(
        "UPDATE citadel.alert_rule r SET description = n.description, figure = n.figure, subject_pattern = "
        "n.subject_pattern, comparison = n.comparison, threshold = n.threshold, unit = n.unit, clear_threshold = "
        "n.clear_threshold, for_duration = n.for_duration, clear_duration = n.clear_duration, severity = n.severity, "
        "enabled = n.enabled, shipped = n.shipped FROM (SELECT ($1::text::citadel.alert_rule).*) n WHERE r.rule = "
        "n.rule",
        {pg::arg(text)});
    return PointerGetDatum(merged > 0 ? nullptr : row);
}
