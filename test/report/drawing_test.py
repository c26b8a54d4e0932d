"""The parts of scripts/report that need no server: ticks, clocks, words, drawings. Run by test/tap/830_report.pl, or by
python3 test/report/drawing_test.py"""

import math
import pathlib
import re
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from datetime import datetime, timezone

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib"))
sys.dont_write_bytecode = True

from report import charts, figures, page, sections, svg, ticks  # noqa: E402
from report.clock import Clock, DAY, HOUR  # noqa: E402


def at(*moment):
    return datetime(*moment, tzinfo=timezone.utc).timestamp()


def words(value):
    return str(value)


class Ticks(unittest.TestCase):
    def test_round_numbers_cover_the_values(self):
        for high in (0.0003, 0.7, 1, 9.99, 10, 12345, 7e11):
            found = ticks.linear_ticks(high)
            self.assertEqual(found[0], 0)
            self.assertGreaterEqual(found[-1], high * (1 - 1e-9))
            self.assertLessEqual(len(found), 6)
        self.assertEqual(ticks.linear_ticks(10), [0, 5, 10])
        self.assertEqual(ticks.linear_ticks(3 * 1024**2, base=1024)[1], 1024**2)

    def test_nothing_to_cover(self):
        for high in (0, -1, math.nan, math.inf):
            self.assertEqual(len(ticks.linear_ticks(high)), 2)

    def test_logarithmic(self):
        self.assertEqual(ticks.log_ticks(0.2, 5000), [0.1, 1, 10, 100, 1000, 10000])
        few = ticks.log_ticks(3, 40)
        self.assertTrue(few[0] <= 3 and few[-1] >= 40 and len(few) <= 6, few)
        self.assertGreater(ticks.log_ticks(0, 0)[-1], 0)


class Clocks(unittest.TestCase):
    def test_never_more_than_asked_for_and_inside(self):
        clock = Clock("Europe/Berlin")
        for span in (60, 600, HOUR, 5 * HOUR, DAY, 3 * DAY, 30 * DAY, 400 * DAY, 3000 * DAY):
            begin = at(2026, 3, 27, 13, 7)
            found = clock.ticks(begin, begin + span)
            self.assertTrue(1 <= len(found) <= 9, (span, found))
            self.assertTrue(all(begin <= tick[0] <= begin + span for tick in found))

    def test_days_begin_at_local_midnight_when_the_clock_changes(self):
        clock = Clock("Europe/Berlin")
        found = clock.ticks(at(2026, 10, 23, 12), at(2026, 10, 28, 12))
        self.assertEqual([tick[1] for tick in found], ["Sat 24 Oct", "Sun 25 Oct", "Mon 26 Oct", "Tue 27 Oct", "Wed 28 Oct"])
        self.assertEqual([b[0] - a[0] for a, b in zip(found, found[1:])], [DAY, 25 * HOUR, DAY, DAY])

    def test_an_hour_that_does_not_exist_has_no_label(self):
        clock = Clock("Europe/Berlin")
        labels = [tick[1] for tick in clock.ticks(at(2026, 3, 28, 23), at(2026, 3, 29, 6))]
        self.assertNotIn("02:00", labels)
        self.assertIn("03:00", labels)

    def test_changes_of_the_clock(self):
        clock = Clock("Europe/Berlin")
        self.assertEqual(clock.changes(at(2026, 10, 24), at(2026, 10, 26)), [(at(2026, 10, 25, 1), -3600)])
        self.assertEqual(clock.changes(at(2026, 6, 1), at(2026, 7, 1)), [])
        self.assertEqual(Clock("UTC").changes(at(2026, 1, 1), at(2026, 12, 31)), [])

    def test_a_zone_that_there_is_not(self):
        self.assertEqual(Clock("Nowhere/Land").name, "UTC")
        self.assertEqual(Clock("../../etc/passwd").name, "UTC")


class Words(unittest.TestCase):
    def test_units(self):
        self.assertEqual(figures.duration(0.0123), "12.3\u00a0µs")
        self.assertEqual(figures.duration(999.6), "1\u00a0s")
        self.assertEqual(figures.duration(90000), "1.5\u00a0min")
        self.assertEqual(figures.size(1536), "1.5\u00a0kB")
        self.assertEqual(figures.count(1234567), "1.23\u00a0M")
        self.assertEqual(figures.share(0.0004), "<\u00a00.1\u00a0%")
        self.assertEqual(figures.signed(-2048, figures.size), "−2\u00a0kB")

    def test_what_is_not_known(self):
        for value in (None, math.nan, math.inf, "Infinity", True):
            self.assertEqual(figures.size(value), figures.UNKNOWN)
            self.assertEqual(figures.share(value), figures.UNKNOWN)

    def test_hostile_texts_are_harmless(self):
        text = "SELECT '<script>alert(1)</script>' AS \"x\" & \x00\x1b[31m \u202egnp.exe \ud800"
        shown = figures.sql(text)
        self.assertNotIn("<script", shown)
        self.assertNotRegex(shown, "[\x00-\x08\x1b\u202e\ud800]")
        self.assertIn("\\u202e", shown)
        shown.encode("utf-8")
        self.assertEqual(re.findall(r"<[^>]*>", shown), ["<b>", "</b>", "<b>", "</b>"])

    def test_names_of_statements(self):
        self.assertEqual(figures.statement_name("SELECT a FROM shop.orders AS o WHERE o.id = $1", 1), "SELECT orders by id")
        self.assertEqual(figures.statement_name('insert into "Odd Name" values ($1)', 1), 'INSERT "Odd Name"')
        self.assertEqual(figures.statement_name("SELECT now()", 1), "SELECT now()")
        self.assertEqual(figures.statement_name(None, 7), "statement 7")
        self.assertEqual(figures.statement_name("x", 0), "the rest")


class Drawings(unittest.TestCase):
    clock = Clock("UTC")

    def well_formed(self, drawing):
        root = ElementTree.fromstring(drawing)
        for node in root.iter():
            for name, value in node.attrib.items():
                if name in ("d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "cx", "cy", "r", "viewBox"):
                    for part in re.findall(r"[^MLZ\s]+", value):
                        self.assertTrue(math.isfinite(float(part)), (name, value))
        name = root.find("{http://www.w3.org/2000/svg}title")
        self.assertTrue(name is not None and name.text)
        return root

    def test_areas(self):
        values = {60.0 * i: (i % 7) / 3 for i in range(30)}
        drawing = charts.stacked_areas([("a <b>", "c1", values), ("rest", "other", {})], 0, 1800, 60, self.clock, words, "n", "d", "id")
        self.assertEqual(len(self.well_formed(drawing).findall(".//{*}path")), 2)

    def test_areas_of_one_step_and_of_nothing(self):
        self.well_formed(charts.stacked_areas([("a", "c1", {0.0: 5})], 0, 60, 60, self.clock, words, "n", "d", "id"))
        self.well_formed(charts.stacked_areas([("a", "c1", {})], 0, 60, 60, self.clock, words, "n", "d", "id"))
        self.well_formed(charts.stacked_areas([("a", "c1", {0.0: None})], 0, 7, 60, self.clock, words, "n", "d", "id", since=600))
        self.well_formed(charts.stacked_areas([("a", "c1", {0.0: 1})], 0, 600, 60, self.clock, words, "n", "d", "id", events=[(30, "<DDL>"), (9e9, "later")]))

    def test_gaps_and_single_points(self):
        self.assertEqual(charts.runs([(0, 1), (60, 2), (120, None), (180, 3), (600, 4)], 90), [[(0, 1), (60, 2)], [(180, 3)], [(600, 4)]])
        series = [(name, name, [(0, 1.0), (60, None), (600, 2000.0)]) for name in ("p50", "p95", "p99")]
        root = self.well_formed(charts.percentiles(series, 0, 1200, 60, self.clock, words, "n", "d", "id", [(300, None, "slow", "slower")], since=100))
        self.assertEqual(len(root.findall(".//{*}circle")), 6)

    def test_no_value_no_drawing(self):
        self.assertEqual(charts.percentiles([("p50", "p50", [(0, None)])] * 3, 0, 60, 60, self.clock, words, "n", "d", "id"), "")
        self.assertEqual(charts.small_line([(0, None)], 0, 60, "n", "id"), "")

    def test_other_drawings(self):
        self.well_formed(charts.growth([("t", "c1", [(0, 5), (30, None), (60, 9)]), ("u", "c2", [])], 0, 60, self.clock, words, "n", "d", "id"))
        self.well_formed(charts.small_line([(0, 7)], 0, 60, "n", "id"))
        self.well_formed(charts.bars([("rule <x>", [(0, 30, "warning", "w")])], 0, 60, self.clock, "n", "d", "id"))
        self.well_formed(charts.runway([("t", 30.5, "good", "30 days"), ("u", None, "good", "w"), ("v", -1, "critical", "w")], self.clock, 0, "n", "d", "id"))

    def test_a_coordinate_that_is_none(self):
        for value in (math.nan, math.inf):
            with self.assertRaises(ValueError):
                svg.number(value)


class Pages(unittest.TestCase):
    def test_steps(self):
        for span in (30, 3600, DAY, 30 * DAY, 4000 * DAY):
            self.assertLessEqual(span / page.step_of(span), page.MOST_STEPS)
        self.assertEqual(page.step_of(DAY), 600)
        self.assertEqual(page.step_of_statement(100000, DAY, 600), 600)
        self.assertGreater(page.step_of_statement(50, DAY, 600), 600)

    def test_every_part_says_when_it_has_nothing(self):
        server = dict(database="<d>", role="r", version="15", zone="UTC", encoding="UTF8", extension="0.1.0", sees_all=True)
        for answer in ([], "permission denied for table <x>"):
            data = dict(server=server, begin=0.0, end=86400.0, now=86400.0, step=600, grid=0.0, since=None, first_minute=None, first_day=None, slow_ids=[],
                        steps={}, **{name: answer for name in ("statements", "load", "curves", "regressions", "recommendations", "tables", "indexes",
                                                               "runway", "alerts", "changes", "size")})
            text = page.render(data)
            self.assertEqual(text.count("<section"), len(page.PARTS))
            self.assertGreaterEqual(text.count('class="note"'), len(page.PARTS))
            self.assertNotIn("<x>", text)
            self.assertNotIn("<d>", text)
            self.assertEqual("permission denied" in text, bool(answer))


if __name__ == "__main__":
    unittest.main()
