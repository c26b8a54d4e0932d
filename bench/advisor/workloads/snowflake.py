"""A snowflake: orders, their items, shipments and invoices in the middle, and dimensions that lead on to further
dimensions. Nearly every statement joins four to eleven tables."""
from model import Statement, Workload

ORDERS = {"quick": 60_000, "full": 600_000}

SCHEMA = """
CREATE TABLE continent (ct_id int PRIMARY KEY, ct_name text NOT NULL);
CREATE TABLE country (co_id int PRIMARY KEY, co_continent int NOT NULL, co_name text NOT NULL, co_currency text NOT NULL);
CREATE TABLE city (ci_id int PRIMARY KEY, ci_country int NOT NULL, ci_name text NOT NULL, ci_people int NOT NULL);
CREATE TABLE client (cl_id int PRIMARY KEY, cl_city int NOT NULL, cl_industry int NOT NULL, cl_name text NOT NULL,
    cl_tier text NOT NULL, cl_since date NOT NULL);
CREATE TABLE industry (in_id int PRIMARY KEY, in_sector int NOT NULL, in_name text NOT NULL);
CREATE TABLE sector (se_id int PRIMARY KEY, se_name text NOT NULL);
CREATE TABLE department (de_id int PRIMARY KEY, de_name text NOT NULL);
CREATE TABLE category (ca_id int PRIMARY KEY, ca_department int NOT NULL, ca_name text NOT NULL);
CREATE TABLE article (ar_id int PRIMARY KEY, ar_category int NOT NULL, ar_maker int NOT NULL, ar_name text NOT NULL,
    ar_price numeric(9, 2) NOT NULL, ar_listed date NOT NULL, ar_discontinued boolean NOT NULL);
CREATE TABLE maker (ma_id int PRIMARY KEY, ma_city int NOT NULL, ma_name text NOT NULL, ma_rating smallint NOT NULL);
CREATE TABLE depot (dp_id int PRIMARY KEY, dp_city int NOT NULL, dp_name text NOT NULL, dp_capacity int NOT NULL);
CREATE TABLE carrier (cr_id int PRIMARY KEY, cr_country int NOT NULL, cr_name text NOT NULL, cr_mode text NOT NULL);
CREATE TABLE agent (ag_id int PRIMARY KEY, ag_office int NOT NULL, ag_boss int, ag_name text NOT NULL, ag_hired date NOT NULL);
CREATE TABLE office (of_id int PRIMARY KEY, of_city int NOT NULL, of_name text NOT NULL);
CREATE TABLE purchase (pu_id int PRIMARY KEY, pu_client int NOT NULL, pu_agent int NOT NULL, pu_day date NOT NULL,
    pu_state text NOT NULL, pu_total numeric(11, 2) NOT NULL, pu_priority smallint NOT NULL);
CREATE TABLE item (it_purchase int NOT NULL, it_line smallint NOT NULL, it_article int NOT NULL, it_depot int NOT NULL,
    it_quantity smallint NOT NULL, it_price numeric(9, 2) NOT NULL, it_state text NOT NULL, PRIMARY KEY (it_purchase, it_line));
CREATE TABLE shipment (sh_id int PRIMARY KEY, sh_purchase int NOT NULL, sh_carrier int NOT NULL, sh_depot int NOT NULL,
    sh_sent date NOT NULL, sh_arrived date, sh_weight real NOT NULL);
CREATE TABLE invoice (iv_id int PRIMARY KEY, iv_purchase int NOT NULL, iv_day date NOT NULL, iv_due date NOT NULL,
    iv_paid date, iv_amount numeric(11, 2) NOT NULL);
CREATE TABLE stock (st_article int NOT NULL, st_depot int NOT NULL, st_count int NOT NULL, st_counted date NOT NULL,
    PRIMARY KEY (st_article, st_depot));
CREATE TABLE complaint (cp_id int PRIMARY KEY, cp_purchase int NOT NULL, cp_article int NOT NULL, cp_agent int,
    cp_day date NOT NULL, cp_kind text NOT NULL, cp_closed date);

INSERT INTO continent SELECT g, 'continent ' || g FROM generate_series(1, 6) AS g;
INSERT INTO country SELECT g, 1 + g % 6, 'country ' || g, 'currency ' || g % 40 FROM generate_series(1, 120) AS g;
INSERT INTO city SELECT g, 1 + floor(120 * power(random(), 1.6))::int, 'city ' || g, (1e4 * power(random() + 0.01, -1))::int
FROM generate_series(1, 6000) AS g;
INSERT INTO sector SELECT g, 'sector ' || g FROM generate_series(1, 12) AS g;
INSERT INTO industry SELECT g, 1 + g % 12, 'industry ' || g FROM generate_series(1, 160) AS g;
INSERT INTO client SELECT g, 1 + floor(6000 * power(random(), 2))::int, 1 + floor(160 * power(random(), 1.4))::int,
    'client ' || g, (ARRAY['basic', 'silver', 'gold', 'platinum'])[1 + floor(4 * power(random(), 2.2))::int],
    date '2008-01-01' + floor(5800 * random())::int FROM generate_series(1, {orders} / 12) AS g;
INSERT INTO department SELECT g, 'department ' || g FROM generate_series(1, 15) AS g;
INSERT INTO category SELECT g, 1 + g % 15, 'category ' || g FROM generate_series(1, 240) AS g;
INSERT INTO maker SELECT g, 1 + floor(6000 * random())::int, 'maker ' || g, 1 + g % 10 FROM generate_series(1, 900) AS g;
INSERT INTO article SELECT g, 1 + floor(240 * power(random(), 1.3))::int, 1 + floor(900 * power(random(), 1.5))::int,
    'article ' || g, round((2 + 900 * power(random(), 4))::numeric, 2), date '2012-01-01' + floor(4600 * random())::int,
    random() < 0.15 FROM generate_series(1, {orders} / 20) AS g;
INSERT INTO depot SELECT g, 1 + floor(6000 * random())::int, 'depot ' || g, 1000 * (1 + g % 50) FROM generate_series(1, 80) AS g;
INSERT INTO carrier SELECT g, 1 + g % 120, 'carrier ' || g, (ARRAY['road', 'rail', 'sea', 'air'])[1 + g % 4]
FROM generate_series(1, 140) AS g;
INSERT INTO office SELECT g, 1 + floor(6000 * random())::int, 'office ' || g FROM generate_series(1, 60) AS g;
INSERT INTO agent SELECT g, 1 + floor(60 * power(random(), 1.3))::int, CASE WHEN g > 20 THEN 1 + g % 20 END, 'agent ' || g,
    date '2012-01-01' + floor(4500 * random())::int FROM generate_series(1, 800) AS g;
INSERT INTO purchase SELECT g, 1 + floor({orders} / 12 * power(random(), 2.2))::int, 1 + floor(800 * power(random(), 1.4))::int,
    r.day, CASE WHEN r.day > '2024-11-20' THEN (ARRAY['new', 'packed', 'sent'])[1 + floor(3 * random())::int]
                WHEN random() < 0.03 THEN 'cancelled' WHEN random() < 0.004 THEN 'blocked' ELSE 'closed' END,
    round((20 + 5000 * power(random(), 5))::numeric, 2), 1 + floor(5 * power(random(), 2))::int
FROM (SELECT g, date '2019-01-01' + (2190.0 * g / {orders})::int AS day FROM generate_series(1, {orders}) AS g) AS r;
INSERT INTO item SELECT p.pu_id, l, 1 + floor({orders} / 20 * power(random(), 2.4))::int, 1 + floor(80 * power(random(), 1.5))::int,
    1 + floor(20 * power(random(), 4))::int, round((2 + 900 * power(random(), 4))::numeric, 2),
    CASE WHEN random() < 0.02 THEN 'returned' WHEN random() < 0.01 THEN 'damaged' ELSE 'fine' END
FROM purchase AS p, generate_series(1, 1 + p.pu_id % 5) AS l;
INSERT INTO shipment SELECT row_number() OVER (), pu_id, 1 + floor(140 * power(random(), 1.8))::int,
    1 + floor(80 * power(random(), 1.5))::int, pu_day + 1 + pu_id % 4, CASE WHEN random() > 0.01 THEN pu_day + 3 + pu_id % 20 END,
    (400 * power(random(), 3))::real FROM purchase, generate_series(1, 1 + (pu_id % 7) / 5) AS n WHERE pu_state <> 'cancelled';
INSERT INTO invoice SELECT row_number() OVER (), pu_id, pu_day + 2, pu_day + 32, CASE WHEN random() > 0.02 THEN pu_day + 5 +
    floor(60 * power(random(), 2))::int END, pu_total FROM purchase WHERE pu_state <> 'new';
INSERT INTO stock SELECT a, d, floor(500 * power(random(), 3))::int, date '2024-01-01' + floor(360 * random())::int
FROM generate_series(1, {orders} / 20) AS a, generate_series(1, 80, 9) AS d;
INSERT INTO complaint SELECT g, 1 + floor({orders} * random())::int, 1 + floor({orders} / 20 * power(random(), 2))::int,
    CASE WHEN random() < 0.8 THEN 1 + floor(800 * random())::int END, date '2019-01-10' + floor(2180 * random())::int,
    (ARRAY['late', 'broken', 'wrong', 'bill', 'other'])[1 + floor(5 * power(random(), 1.8))::int],
    CASE WHEN random() < 0.93 THEN date '2024-12-01' END FROM generate_series(1, {orders} / 15) AS g;
"""

CLIENT = "client JOIN city ON ci_id = cl_city JOIN country ON co_id = ci_country"
ARTICLE = "article JOIN category ON ca_id = ar_category JOIN department ON de_id = ca_department"

TEMPLATES = [
    ("country_turnover", f"SELECT co_name, sum(pu_total) FROM purchase JOIN {CLIENT} ON cl_id = pu_client WHERE co_name = "
     "'{0}' AND pu_day >= '2024-01-01' GROUP BY co_name", ["country 119", "country 60"]),
    ("category_sales", f"SELECT ca_name, sum(it_quantity * it_price) FROM item JOIN purchase ON pu_id = it_purchase JOIN "
     f"{ARTICLE} ON ar_id = it_article WHERE de_name = 'department 4' AND pu_day BETWEEN '{{0}}' AND date '{{0}}' + 6 GROUP BY "
     "ca_name", ["2023-05-01", "2024-12-02"]),
    ("client_orders", "SELECT pu_id, pu_day, pu_total, ag_name FROM purchase JOIN client ON cl_id = pu_client JOIN agent ON "
     "ag_id = pu_agent WHERE cl_name = '{0}' ORDER BY pu_day DESC", ["client 4000", "client 1234"]),
    ("maker_returns", "SELECT ar_name, count(*) FROM item JOIN article ON ar_id = it_article JOIN maker ON ma_id = ar_maker "
     "WHERE ma_name = '{0}' AND it_state = 'returned' GROUP BY ar_name ORDER BY 2 DESC", ["maker 880", "maker 411"]),
    ("late_shipments", "SELECT cr_name, count(*) FROM shipment JOIN carrier ON cr_id = sh_carrier JOIN country ON co_id = "
     "cr_country WHERE co_name = '{0}' AND sh_arrived - sh_sent > 15 GROUP BY cr_name", ["country 100", "country 3"]),
    ("lost", "SELECT sh_id, sh_sent, cl_name FROM shipment JOIN purchase ON pu_id = sh_purchase JOIN client ON cl_id = "
     "pu_client WHERE sh_arrived IS NULL AND sh_sent < '{0}' ORDER BY sh_sent DESC LIMIT 40", ["2024-06-01", "2021-06-01"]),
    ("unpaid", f"SELECT cl_name, sum(iv_amount) FROM invoice JOIN purchase ON pu_id = iv_purchase JOIN {CLIENT} ON cl_id = "
     "pu_client WHERE iv_paid IS NULL AND iv_due < '2024-10-01' AND co_continent = {0} GROUP BY cl_name ORDER BY 2 DESC LIMIT "
     "20", [2, 5]),
    ("agent_month", "SELECT ag_name, of_name, sum(pu_total) FROM purchase JOIN agent ON ag_id = pu_agent JOIN office ON of_id "
     "= ag_office WHERE of_name = '{0}' AND pu_day >= '2024-11-01' AND pu_day < '2024-12-01' GROUP BY ag_name, of_name",
     ["office 55", "office 2"]),
    ("office_by_sector", "SELECT se_name, count(*) FROM purchase JOIN agent ON ag_id = pu_agent JOIN office ON of_id = "
     "ag_office JOIN client ON cl_id = pu_client JOIN industry ON in_id = cl_industry JOIN sector ON se_id = in_sector WHERE "
     "of_id = {0} AND pu_state = 'blocked' GROUP BY se_name", [7, 31]),
    ("depot_flow", "SELECT dp_name, sum(it_quantity) FROM item JOIN depot ON dp_id = it_depot JOIN city ON ci_id = dp_city JOIN "
     "purchase ON pu_id = it_purchase WHERE pu_day = '{0}' GROUP BY dp_name", ["2024-03-03", "2020-07-21"]),
    ("stock_of_category", f"SELECT ar_name, sum(st_count) FROM stock JOIN {ARTICLE} ON ar_id = st_article WHERE ca_name = '{{0}}' "
     "GROUP BY ar_name HAVING sum(st_count) < 200", ["category 233", "category 91"]),
    ("short_stock", "SELECT dp_name, ar_name, st_count FROM stock JOIN article ON ar_id = st_article JOIN depot ON dp_id = "
     "st_depot WHERE st_count = {0} AND NOT ar_discontinued AND st_counted > '2024-12-20' LIMIT 100", [0, 3]),
    ("complaints_kind", f"SELECT ca_name, count(*) FROM complaint JOIN {ARTICLE} ON ar_id = cp_article WHERE cp_kind = '{{0}}' "
     "AND cp_day >= '2024-09-01' GROUP BY ca_name", ["other", "bill"]),
    ("complaints_open", "SELECT cp_id, cp_day, cl_name, ag_name FROM complaint JOIN purchase ON pu_id = cp_purchase JOIN client "
     "ON cl_id = pu_client LEFT JOIN agent ON ag_id = cp_agent WHERE cp_closed IS NULL AND cl_tier = '{0}' ORDER BY cp_day LIMIT "
     "25", ["platinum", "gold"]),
    ("trade_lane", "SELECT a.co_name, b.co_name, count(*) FROM shipment JOIN depot ON dp_id = sh_depot JOIN city ca ON ca.ci_id = "
     "dp_city JOIN country a ON a.co_id = ca.ci_country JOIN purchase ON pu_id = sh_purchase JOIN client ON cl_id = pu_client "
     "JOIN city cb ON cb.ci_id = cl_city JOIN country b ON b.co_id = cb.ci_country WHERE sh_sent BETWEEN '{0}' AND date '{0}' + "
     "2 GROUP BY a.co_name, b.co_name", ["2022-02-02", "2024-08-08"]),
    ("articles_of_client", "SELECT ar_name, sum(it_quantity) FROM client JOIN purchase ON pu_client = cl_id JOIN item ON "
     "it_purchase = pu_id JOIN article ON ar_id = it_article WHERE cl_id = {0} GROUP BY ar_name ORDER BY 2 DESC LIMIT 10",
     [321, 3999]),
    ("buyers_of_article", "SELECT DISTINCT cl_name FROM item JOIN purchase ON pu_id = it_purchase JOIN client ON cl_id = "
     "pu_client WHERE it_article = {0}", [1500, 2777]),
    ("also_bought", "SELECT o.it_article, count(*) FROM item t JOIN item o ON o.it_purchase = t.it_purchase AND o.it_article <> "
     "t.it_article JOIN article ON ar_id = o.it_article WHERE t.it_article = {0} GROUP BY o.it_article ORDER BY 2 DESC LIMIT 5",
     [2222, 2950]),
    ("inactive_clients", f"SELECT cl_name FROM {CLIENT} WHERE co_name = '{{0}}' AND cl_tier = 'gold' AND NOT EXISTS (SELECT "
     "FROM purchase WHERE pu_client = cl_id AND pu_day > '2023-12-31')", ["country 20", "country 95"]),
    ("big_buyers", f"SELECT cl_name, (SELECT max(pu_day) FROM purchase WHERE pu_client = cl_id) FROM {CLIENT} WHERE ci_name = "
     "'{0}'", ["city 5900", "city 4040"]),
    ("new_articles", f"SELECT de_name, count(*) FROM {ARTICLE} JOIN maker ON ma_id = ar_maker WHERE ar_listed >= '{{0}}' AND "
     "ma_rating = 9 GROUP BY de_name", ["2024-06-01", "2024-01-01"]),
    ("dear_items", "SELECT it_purchase, ar_name, it_price FROM item JOIN article ON ar_id = it_article WHERE it_price > {0} ORDER "
     "BY it_price DESC LIMIT 50", [895, 850]),
    ("damaged_by_carrier", "SELECT cr_name, count(*) FROM item JOIN shipment ON sh_purchase = it_purchase JOIN carrier ON cr_id = "
     "sh_carrier WHERE it_state = 'damaged' AND sh_sent >= '{0}' GROUP BY cr_name", ["2024-11-15", "2024-06-15"]),
    ("heavy_air", "SELECT sh_id, sh_weight, dp_name FROM shipment JOIN carrier ON cr_id = sh_carrier JOIN depot ON dp_id = sh_depot "
     "WHERE cr_mode = 'air' AND sh_weight > {0}", [385, 395]),
    ("open_priority", "SELECT pu_id, pu_day, cl_name, cl_tier, ag_name, of_name FROM purchase JOIN client ON cl_id = pu_client "
     "JOIN agent ON ag_id = pu_agent JOIN office ON of_id = ag_office WHERE pu_state = '{0}' AND pu_priority = 5 ORDER BY pu_day "
     "LIMIT 30", ["new", "packed"]),
    ("team", "SELECT b.ag_name, count(*), sum(pu_total) FROM agent b JOIN agent a ON a.ag_boss = b.ag_id JOIN purchase ON pu_agent = "
     "a.ag_id WHERE b.ag_name = '{0}' AND pu_day >= '2024-10-01' GROUP BY b.ag_name", ["agent 4", "agent 19"]),
    ("payment_delay", "SELECT in_name, avg(iv_paid - iv_due) FROM invoice JOIN purchase ON pu_id = iv_purchase JOIN client ON cl_id "
     "= pu_client JOIN industry ON in_id = cl_industry WHERE iv_day BETWEEN '{0}' AND date '{0}' + 10 GROUP BY in_name",
     ["2024-01-01", "2021-10-10"]),
    ("maker_world", "SELECT ct_name, count(*) FROM item JOIN article ON ar_id = it_article JOIN maker ON ma_id = ar_maker JOIN city "
     "ON ci_id = ma_city JOIN country ON co_id = ci_country JOIN continent ON ct_id = co_continent JOIN purchase ON pu_id = "
     "it_purchase WHERE pu_client = {0} GROUP BY ct_name", [88, 2500]),
    ("ranked", "SELECT * FROM (SELECT pu_client, pu_id, pu_total, row_number() OVER (PARTITION BY pu_client ORDER BY pu_total DESC) "
     "AS place FROM purchase JOIN client ON cl_id = pu_client WHERE cl_city = {0}) AS r WHERE place <= 2", [5000, 3111]),
    ("two_depots", "SELECT ar_name FROM article WHERE ar_id IN (SELECT st_article FROM stock WHERE st_depot = {0} AND st_count = 0) "
     "AND ar_id IN (SELECT it_article FROM item JOIN purchase ON pu_id = it_purchase WHERE pu_day > '2024-12-20')", [10, 73]),
    ("last_invoice", "SELECT iv_id, iv_day, iv_amount FROM invoice JOIN purchase ON pu_id = iv_purchase JOIN client ON cl_id = "
     "pu_client WHERE cl_name = '{0}' ORDER BY iv_day DESC LIMIT 5", ["client 17", "client 4444"]),
]


def build(cursor, size):
    cursor.execute("SELECT setseed(0.17)")
    cursor.execute(SCHEMA.format(orders=ORDERS[size]))


def statements(_size):
    return [Statement(f"{name}_{i + 1}", sql.format(value)) for name, sql, values in TEMPLATES
            for i, value in enumerate(values)]


WORKLOAD = Workload("snowflake", "snowflake of 20 tables, many joins", build, statements)
