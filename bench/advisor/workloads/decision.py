"""Decision support in the style of the standard benchmarks, on a schema of our own: joins of up to eight tables,
subqueries of all kinds, EXISTS and IN, CTEs, windows, unions, grouping sets, and point statements between them."""
from model import Statement, Workload

ORDERS = {"quick": 30_000, "full": 300_000}

SCHEMA = """
CREATE TABLE zone (zo_id int PRIMARY KEY, zo_name text NOT NULL);
CREATE TABLE land (la_id int PRIMARY KEY, la_zone int NOT NULL, la_name text NOT NULL);
CREATE TABLE vendor (ve_id int PRIMARY KEY, ve_land int NOT NULL, ve_name text NOT NULL, ve_phone text NOT NULL,
    ve_balance numeric(11, 2) NOT NULL, ve_comment text NOT NULL);
CREATE TABLE buyer (bu_id int PRIMARY KEY, bu_land int NOT NULL, bu_name text NOT NULL, bu_phone text NOT NULL,
    bu_balance numeric(11, 2) NOT NULL, bu_branch text NOT NULL, bu_comment text NOT NULL);
CREATE TABLE part (pt_id int PRIMARY KEY, pt_name text NOT NULL, pt_make text NOT NULL, pt_kind text NOT NULL, pt_size int NOT NULL,
    pt_box text NOT NULL, pt_retail numeric(9, 2) NOT NULL);
CREATE TABLE offer (of_part int NOT NULL, of_vendor int NOT NULL, of_available int NOT NULL, of_cost numeric(9, 2) NOT NULL,
    PRIMARY KEY (of_part, of_vendor));
CREATE TABLE booking (bo_id int PRIMARY KEY, bo_buyer int NOT NULL, bo_state char(1) NOT NULL, bo_total numeric(12, 2) NOT NULL,
    bo_day date NOT NULL, bo_urgency text NOT NULL, bo_clerk text NOT NULL, bo_comment text NOT NULL);
CREATE TABLE entry (po_booking int NOT NULL, po_number int NOT NULL, po_part int NOT NULL, po_vendor int NOT NULL,
    po_quantity numeric(9, 2) NOT NULL, po_price numeric(12, 2) NOT NULL, po_discount numeric(4, 2) NOT NULL, po_tax numeric(4, 2) NOT NULL,
    po_flag char(1) NOT NULL, po_state char(1) NOT NULL, po_shipped date NOT NULL, po_promised date NOT NULL, po_received date NOT NULL,
    po_mode text NOT NULL, po_comment text NOT NULL, PRIMARY KEY (po_booking, po_number));
CREATE TABLE visit (vi_id bigint PRIMARY KEY, vi_buyer int, vi_part int, vi_at timestamp NOT NULL, vi_page text NOT NULL, vi_seconds int NOT NULL);
INSERT INTO zone SELECT g, 'zone ' || g FROM generate_series(1, 5) AS g;
INSERT INTO land SELECT g, 1 + g % 5, 'land ' || g FROM generate_series(1, 25) AS g;
INSERT INTO vendor SELECT g, 1 + g * 7 % 25, 'vendor ' || g, (10 + g * 7 % 25) || '-' || g, round((9000 * random() - 900)::numeric, 2),
    repeat('vendor comment ', 4) FROM generate_series(1, {orders} / 150) AS g;
INSERT INTO buyer SELECT g, 1 + floor(25 * random())::int, 'buyer ' || g, (10 + floor(25 * random())::int) || '-' || g,
    round((9000 * random() - 900)::numeric, 2), (ARRAY['auto', 'building', 'furniture', 'machines', 'household'])[1 + g % 5],
    repeat('buyer comment ', 5) FROM generate_series(1, {orders} / 10) AS g;
INSERT INTO part SELECT g, (ARRAY['red', 'green', 'forest', 'azure', 'misty'])[1 + g % 5] || ' ' || (ARRAY['nut', 'bolt', 'gear', 'belt'])[1 + g % 4]
    || ' ' || g, 'make ' || g % 25, (ARRAY['large', 'small', 'medium', 'promo', 'plain'])[1 + g * 3 % 5] || ' ' ||
    (ARRAY['brass', 'steel', 'tin', 'copper', 'nickel'])[1 + g * 11 % 7 % 5], 1 + floor(50 * random())::int, (ARRAY['sm', 'lg', 'med', 'jumbo'])[1 + g % 4]
    || ' ' || (ARRAY['case', 'box', 'bag', 'jar', 'pack'])[1 + g % 5], 900 + g % 1000 FROM generate_series(1, {orders} * 2 / 15) AS g;
INSERT INTO offer SELECT p, 1 + (p * 13 + s * 29) % ({orders} / 150), floor(9999 * random())::int, round((1 + 1000 * random())::numeric, 2)
FROM generate_series(1, {orders} * 2 / 15) AS p, generate_series(1, 4) AS s ON CONFLICT DO NOTHING;
INSERT INTO booking SELECT g * 4, 1 + 3 * floor({orders} / 30 * random())::int, CASE WHEN d.day < '1995-06-17' THEN 'F' WHEN random() < 0.05 THEN 'P' ELSE 'O'
    END, round((1000 + 300000 * power(random(), 2))::numeric, 2), d.day, (ARRAY['1-urgent', '2-high', '3-medium', '4-low', '5-none'])[1 + floor(5 *
    random())::int], 'clerk ' || floor({orders} / 1500 * random())::int, repeat('booking comment ', 3)
FROM generate_series(1, {orders}) AS g CROSS JOIN LATERAL (SELECT date '1992-01-01' + floor(2400 * random())::int + 0 * g AS day OFFSET 0) AS d;
INSERT INTO entry SELECT b.bo_id, n, r.part, 1 + (r.part * 13 + (n % 4 + 1) * 29) % ({orders} / 150), 1 + floor(50 * random())::int,
    round((900 + 90000 * random())::numeric, 2), round((0.1 * random())::numeric, 2), round((0.08 * random())::numeric, 2),
    CASE WHEN r.shipped > '1995-06-17' THEN 'N' WHEN random() < 0.5 THEN 'R' ELSE 'A' END, CASE WHEN r.shipped > '1995-06-17' THEN 'O' ELSE 'F' END,
    r.shipped, b.bo_day + 30 + floor(60 * random())::int, r.shipped + 1 + floor(30 * random())::int,
    (ARRAY['rail', 'truck', 'air', 'ship', 'mail', 'post', 'air reg'])[1 + floor(7 * random())::int], repeat('comment ', 3)
FROM booking AS b, generate_series(1, 1 + b.bo_id % 7) AS n CROSS JOIN LATERAL (SELECT 1 + floor({orders} * 2 / 15 * random())::int + 0 * n AS part,
    b.bo_day + 1 + floor(120 * random())::int AS shipped OFFSET 0) AS r;
INSERT INTO visit SELECT g, CASE WHEN random() < 0.7 THEN 1 + floor({orders} / 10 * power(random(), 2))::int END, CASE WHEN random() < 0.6 THEN
    1 + floor({orders} * 2 / 15 * power(random(), 3))::int END, timestamp '1998-01-01' + g * interval '11 seconds', 'page ' || g % 60, (g::bigint * 7919) % 600
FROM generate_series(1, {orders} * 3) AS g;
"""

STATEMENTS = [
    ("pricing_summary", "SELECT po_flag, po_state, sum(po_quantity), sum(po_price * (1 - po_discount)), avg(po_discount), count(*) FROM entry WHERE "
     "po_shipped <= date '1998-09-01' GROUP BY po_flag, po_state ORDER BY po_flag, po_state"),
    ("cheapest_offer", "SELECT ve_balance, ve_name, la_name, pt_id FROM part, vendor, offer, land, zone WHERE pt_id = of_part AND ve_id = of_vendor AND "
     "pt_size = 15 AND pt_kind LIKE '%brass' AND ve_land = la_id AND la_zone = zo_id AND zo_name = 'zone 3' AND of_cost = (SELECT min(of_cost) FROM offer, "
     "vendor, land, zone WHERE pt_id = of_part AND ve_id = of_vendor AND ve_land = la_id AND la_zone = zo_id AND zo_name = 'zone 3') ORDER BY ve_balance "
     "DESC LIMIT 100"),
    ("shipping_queue", "SELECT po_booking, sum(po_price * (1 - po_discount)) AS revenue, bo_day FROM buyer, booking, entry WHERE bu_branch = 'building' AND "
     "bu_id = bo_buyer AND po_booking = bo_id AND bo_day < date '1995-03-15' AND po_shipped > date '1995-03-15' GROUP BY po_booking, bo_day ORDER BY revenue "
     "DESC, bo_day LIMIT 10"),
    ("urgency_check", "SELECT bo_urgency, count(*) FROM booking WHERE bo_day >= date '1993-07-01' AND bo_day < date '1993-10-01' AND EXISTS (SELECT FROM "
     "entry WHERE po_booking = bo_id AND po_promised < po_received) GROUP BY bo_urgency ORDER BY bo_urgency"),
    ("local_vendor", "SELECT la_name, sum(po_price * (1 - po_discount)) FROM buyer, booking, entry, vendor, land, zone WHERE bu_id = bo_buyer AND "
     "po_booking = bo_id AND po_vendor = ve_id AND bu_land = ve_land AND ve_land = la_id AND la_zone = zo_id AND zo_name = 'zone 2' AND bo_day >= date "
     "'1994-01-01' AND bo_day < date '1995-01-01' GROUP BY la_name"),
    ("forecast", "SELECT sum(po_price * po_discount) FROM entry WHERE po_shipped >= date '1994-01-01' AND po_shipped < date '1995-01-01' AND po_discount "
     "BETWEEN 0.05 AND 0.07 AND po_quantity < 24"),
    ("volume", "SELECT s.la_name, b.la_name, extract(year FROM po_shipped), sum(po_price) FROM vendor, entry, booking, buyer, land s, land b WHERE ve_id = "
     "po_vendor AND bo_id = po_booking AND bu_id = bo_buyer AND ve_land = s.la_id AND bu_land = b.la_id AND (s.la_name = 'land 6' AND b.la_name = 'land 7' OR "
     "s.la_name = 'land 7' AND b.la_name = 'land 6') AND po_shipped BETWEEN date '1995-01-01' AND date '1996-12-31' GROUP BY 1, 2, 3"),
    ("share", "SELECT year, sum(CASE WHEN origin = 'land 8' THEN volume ELSE 0 END) / sum(volume) FROM (SELECT extract(year FROM bo_day) AS year, po_price AS "
     "volume, n2.la_name AS origin FROM part, vendor, entry, booking, buyer, land n1, land n2, zone WHERE pt_id = po_part AND ve_id = po_vendor AND "
     "po_booking = bo_id AND bo_buyer = bu_id AND bu_land = n1.la_id AND n1.la_zone = zo_id AND zo_name = 'zone 4' AND ve_land = n2.la_id AND bo_day BETWEEN "
     "date '1995-01-01' AND date '1996-12-31' AND pt_kind = 'large steel') AS all_lands GROUP BY year ORDER BY year"),
    ("profit", "SELECT la_name, extract(year FROM bo_day), sum(po_price - of_cost * po_quantity) FROM part, vendor, entry, offer, booking, land WHERE ve_id = "
     "po_vendor AND of_vendor = po_vendor AND of_part = po_part AND pt_id = po_part AND bo_id = po_booking AND ve_land = la_id AND pt_name LIKE 'green gear%' "
     "GROUP BY 1, 2"),
    ("returns", "SELECT bu_id, bu_name, sum(po_price) AS revenue FROM buyer, booking, entry, land WHERE bu_id = bo_buyer AND po_booking = bo_id AND bo_day >= "
     "date '1993-10-01' AND bo_day < date '1994-01-01' AND po_flag = 'R' AND bu_land = la_id GROUP BY bu_id, bu_name ORDER BY revenue DESC LIMIT 20"),
    ("important_stock", "SELECT of_part, sum(of_cost * of_available) AS value FROM offer, vendor, land WHERE of_vendor = ve_id AND ve_land = la_id AND la_name = "
     "'land 9' GROUP BY of_part HAVING sum(of_cost * of_available) > (SELECT sum(of_cost * of_available) * 0.001 FROM offer, vendor, land WHERE of_vendor = "
     "ve_id AND ve_land = la_id AND la_name = 'land 9') ORDER BY value DESC"),
    ("modes", "SELECT po_mode, sum(CASE WHEN bo_urgency IN ('1-urgent', '2-high') THEN 1 ELSE 0 END) FROM booking, entry WHERE bo_id = po_booking AND po_mode "
     "IN ('mail', 'ship') AND po_promised < po_received AND po_shipped < po_promised AND po_received >= date '1994-01-01' AND po_received < date '1994-02-01' "
     "GROUP BY po_mode"),
    ("distribution", "SELECT n, count(*) FROM (SELECT bu_id, count(bo_id) AS n FROM buyer LEFT JOIN booking ON bu_id = bo_buyer AND bo_comment NOT LIKE "
     "'%special%' GROUP BY bu_id) AS c GROUP BY n ORDER BY 2 DESC"),
    ("promo", "SELECT 100 * sum(CASE WHEN pt_kind LIKE 'promo%' THEN po_price ELSE 0 END) / sum(po_price) FROM entry, part WHERE po_part = pt_id AND po_shipped "
     ">= date '1995-09-01' AND po_shipped < date '1995-09-08'"),
    ("top_vendor", "WITH revenue AS (SELECT po_vendor AS vendor, sum(po_price) AS total FROM entry WHERE po_shipped >= date '1996-01-01' AND po_shipped < date "
     "'1996-02-01' GROUP BY po_vendor) SELECT ve_id, ve_name, total FROM vendor, revenue WHERE ve_id = vendor AND total = (SELECT max(total) FROM revenue)"),
    ("part_vendors", "SELECT pt_make, pt_kind, count(DISTINCT of_vendor) FROM offer, part WHERE pt_id = of_part AND pt_make <> 'make 12' AND pt_kind NOT LIKE "
     "'medium%' AND pt_size IN (3, 14, 49) AND of_vendor NOT IN (SELECT ve_id FROM vendor WHERE ve_comment LIKE '%complaints%') GROUP BY 1, 2"),
    ("small_quantity", "SELECT sum(po_price) / 7 FROM entry, part WHERE pt_id = po_part AND pt_make = 'make 13' AND pt_box = 'med box' AND po_quantity < (SELECT "
     "0.2 * avg(po_quantity) FROM entry WHERE po_part = pt_id)"),
    ("large_orders", "SELECT bu_name, bo_id, bo_total, sum(po_quantity) FROM buyer, booking, entry WHERE bo_id IN (SELECT po_booking FROM entry GROUP BY "
     "po_booking HAVING sum(po_quantity) > 270) AND bu_id = bo_buyer AND bo_id = po_booking GROUP BY bu_name, bo_id, bo_total ORDER BY bo_total DESC LIMIT 100"),
    ("discounted", "SELECT sum(po_price) FROM entry, part WHERE pt_id = po_part AND po_mode IN ('air', 'air reg') AND (pt_make = 'make 12' AND pt_size BETWEEN 1 "
     "AND 5 AND po_quantity BETWEEN 1 AND 11 OR pt_make = 'make 23' AND pt_size BETWEEN 1 AND 10 AND po_quantity BETWEEN 10 AND 20)"),
    ("excess_stock", "SELECT ve_name, ve_phone FROM vendor, land WHERE ve_id IN (SELECT of_vendor FROM offer WHERE of_part IN (SELECT pt_id FROM part WHERE pt_name "
     "LIKE 'forest%') AND of_available > (SELECT 0.5 * sum(po_quantity) FROM entry WHERE po_part = of_part AND po_vendor = of_vendor AND po_shipped >= date "
     "'1994-01-01' AND po_shipped < date '1995-01-01')) AND ve_land = la_id AND la_name = 'land 4'"),
    ("waiting", "SELECT ve_name, count(*) FROM vendor, entry l1, booking, land WHERE ve_id = l1.po_vendor AND bo_id = l1.po_booking AND bo_state = 'F' AND "
     "l1.po_received > l1.po_promised AND EXISTS (SELECT FROM entry l2 WHERE l2.po_booking = l1.po_booking AND l2.po_vendor <> l1.po_vendor) AND NOT EXISTS "
     "(SELECT FROM entry l3 WHERE l3.po_booking = l1.po_booking AND l3.po_vendor <> l1.po_vendor AND l3.po_received > l3.po_promised) AND ve_land = la_id AND "
     "la_name = 'land 21' GROUP BY ve_name ORDER BY 2 DESC LIMIT 100"),
    ("idle_buyers", "SELECT substring(bu_phone, 1, 2), count(*), sum(bu_balance) FROM buyer WHERE substring(bu_phone, 1, 2) IN ('13', '31', '23') AND bu_balance > "
     "(SELECT avg(bu_balance) FROM buyer WHERE bu_balance > 0) AND NOT EXISTS (SELECT FROM booking WHERE bo_buyer = bu_id) GROUP BY 1"),
    ("rolling", "SELECT bo_day, sum(sum(bo_total)) OVER (ORDER BY bo_day ROWS 6 PRECEDING) FROM booking WHERE bo_day BETWEEN date '1996-05-01' AND date '1996-05-31' "
     "GROUP BY bo_day"),
    ("rollup", "SELECT la_name, bu_branch, sum(bo_total) FROM booking JOIN buyer ON bu_id = bo_buyer JOIN land ON la_id = bu_land WHERE bo_day = date '1996-02-29' GROUP "
     "BY ROLLUP (la_name, bu_branch)"),
    ("union_months", "SELECT 'shipped' AS what, count(*) FROM entry WHERE po_shipped = date '1996-06-06' UNION ALL SELECT 'promised', count(*) FROM entry WHERE "
     "po_promised = date '1996-06-06' UNION ALL SELECT 'booked', count(*) FROM booking WHERE bo_day = date '1996-06-06'"),
    ("intersect", "SELECT bo_buyer FROM booking WHERE bo_day BETWEEN '1994-01-01' AND '1994-01-05' INTERSECT SELECT vi_buyer FROM visit WHERE vi_page = 'page 7' "
     "AND vi_seconds > 550"),
    ("year_over_year", "WITH y AS (SELECT bo_clerk, extract(year FROM bo_day) AS year, sum(bo_total) AS total FROM booking WHERE bo_clerk IN ('clerk 5', 'clerk 9') "
     "GROUP BY 1, 2) SELECT a.bo_clerk, a.year, a.total - b.total FROM y a JOIN y b ON b.bo_clerk = a.bo_clerk AND b.year = a.year - 1"),
    ("last_booking", "SELECT bu_id, l.bo_id, l.bo_total FROM buyer CROSS JOIN LATERAL (SELECT bo_id, bo_total FROM booking WHERE bo_buyer = bu_id ORDER BY bo_day DESC "
     "LIMIT 1) AS l WHERE bu_land = 11 AND bu_branch = 'auto'"),
    ("lag_days", "SELECT * FROM (SELECT bo_id, bo_day - lag(bo_day) OVER (PARTITION BY bo_buyer ORDER BY bo_day) AS gap FROM booking WHERE bo_buyer BETWEEN 100 AND 130) "
     "AS g WHERE gap > 300"),
    ("visits_of_part", "SELECT vi_page, count(*), avg(vi_seconds) FROM visit JOIN part ON pt_id = vi_part WHERE pt_make = 'make 3' AND vi_at >= '1998-01-05' AND vi_at < "
     "'1998-01-07' GROUP BY vi_page"),
    ("lost_visits", "SELECT vi_part, count(*) FROM visit WHERE vi_buyer IS NULL AND vi_seconds < 3 GROUP BY vi_part ORDER BY 2 DESC LIMIT 10"),
    ("visitors_who_buy", "SELECT count(DISTINCT vi_buyer) FROM visit WHERE vi_at > '1998-01-03' AND vi_page = 'page 44' AND vi_buyer IN (SELECT bo_buyer FROM booking WHERE "
     "bo_day > '1998-01-01')"),
    ("recursive", "WITH RECURSIVE chain AS (SELECT bo_id, bo_buyer, bo_day, 1 AS depth FROM booking WHERE bo_id = 4000 UNION ALL SELECT b.bo_id, b.bo_buyer, b.bo_day, "
     "depth + 1 FROM chain c JOIN booking b ON b.bo_buyer = c.bo_buyer AND b.bo_day > c.bo_day WHERE depth < 3) SELECT count(*) FROM chain"),
    ("point_booking", "SELECT * FROM booking WHERE bo_id = 48000"),
    ("point_phone", "SELECT bu_id, bu_name FROM buyer WHERE bu_phone = '17-811'"),
    ("point_name", "SELECT ve_id FROM vendor WHERE ve_name = 'vendor 77'"),
    ("bookings_of", "SELECT bo_id, bo_day, bo_total FROM booking WHERE bo_buyer = 301 AND bo_state = 'O' ORDER BY bo_day DESC LIMIT 10"),
    ("visits_of", "SELECT vi_at, vi_page FROM visit WHERE vi_buyer = 17 ORDER BY vi_at DESC LIMIT 20"),
    ("latest_visits", "SELECT vi_id, vi_page, vi_seconds FROM visit ORDER BY vi_at DESC LIMIT 50"),
    ("clerk_open", "SELECT bo_id, bo_total FROM booking WHERE bo_clerk = 'clerk 3' AND bo_state = 'P'"),
    ("either", "SELECT po_booking, po_number FROM entry WHERE po_part = 1717 OR po_shipped = date '1992-01-03'"),
    ("highest", "SELECT max(bo_total) FROM booking WHERE bo_day = date '1997-01-01'"),
    ("urgent_today", "SELECT count(*) FROM booking JOIN entry ON po_booking = bo_id WHERE bo_urgency = '1-urgent' AND bo_day = date '1995-05-05' AND po_mode = 'air'"),
]


def build(cursor, size):
    cursor.execute("SELECT setseed(0.7)")
    cursor.execute(SCHEMA.format(orders=ORDERS[size]))


def statements(_size):
    return [Statement(name, sql) for name, sql in STATEMENTS]


WORKLOAD = Workload("decision", "in the style of decision-support benchmarks", build, statements)
