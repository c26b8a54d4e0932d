"""A star schema: one fact table with skew (a few customers, products and stores make most sales) and correlation (days
follow the order of the rows, shipping follows the sale, channel goes with store, price with product), five dimensions,
analytic statements of the usual kinds, each with two sets of literals."""
from model import Statement, Workload

ROWS = {"quick": 300_000, "full": 5_000_000}
CUSTOMERS = {"quick": 20_000, "full": 200_000}
PRODUCTS = {"quick": 4_000, "full": 20_000}

SCHEMA = """
CREATE TABLE calendar (d_day date PRIMARY KEY, d_year smallint NOT NULL, d_quarter smallint NOT NULL,
    d_month smallint NOT NULL, d_week smallint NOT NULL, d_weekday smallint NOT NULL, d_holiday boolean NOT NULL);
INSERT INTO calendar SELECT d, extract(year FROM d), extract(quarter FROM d), extract(month FROM d), extract(week FROM d),
    extract(isodow FROM d), extract(doy FROM d) IN (1, 121, 359, 360)
FROM generate_series(date '2020-01-01', date '2024-12-31', '1 day') AS g (d);
CREATE TABLE customer (c_id int PRIMARY KEY, c_name text NOT NULL, c_email text NOT NULL, c_country text NOT NULL,
    c_city text NOT NULL, c_segment text NOT NULL, c_since date NOT NULL, c_credit numeric(9, 2) NOT NULL);
INSERT INTO customer SELECT g, 'Customer ' || g, 'c' || g || '@example.org',
    'country ' || floor(40 * power(random(), 2))::int, 'city ' || floor(900 * power(random(), 1.5))::int,
    (ARRAY['private', 'small', 'medium', 'large', 'public'])[1 + floor(5 * power(random(), 2.5))::int],
    date '2010-01-01' + floor(5000 * random())::int, round((10000 * random())::numeric, 2)
FROM generate_series(1, {customers}) AS g;
CREATE TABLE product (p_id int PRIMARY KEY, p_name text NOT NULL, p_brand text NOT NULL, p_category text NOT NULL,
    p_class text NOT NULL, p_color text NOT NULL, p_list_price numeric(9, 2) NOT NULL, p_weight real NOT NULL);
INSERT INTO product SELECT g, 'Product ' || g, 'brand ' || g % 150, 'category ' || g % 25, 'class ' || g % 100,
    (ARRAY['red', 'green', 'blue', 'black', 'white', 'grey'])[1 + floor(6 * power(random(), 1.7))::int],
    round((1 + 500 * power(random(), 3))::numeric, 2), (20 * random())::real
FROM generate_series(1, {products}) AS g;
CREATE TABLE store (s_id int PRIMARY KEY, s_name text NOT NULL, s_country text NOT NULL, s_city text NOT NULL,
    s_size int NOT NULL, s_manager text NOT NULL, s_online boolean NOT NULL);
INSERT INTO store SELECT g, 'Store ' || g, 'country ' || g % 30, 'city ' || g % 200, 100 + floor(5000 * random())::int,
    'Manager ' || g % 120, g % 10 = 0
FROM generate_series(1, 500) AS g;
CREATE TABLE promotion (m_id int PRIMARY KEY, m_name text NOT NULL, m_kind text NOT NULL, m_from date NOT NULL,
    m_to date NOT NULL, m_cost numeric(9, 2) NOT NULL);
INSERT INTO promotion SELECT g, 'Promotion ' || g, 'kind ' || g % 12, date '2020-01-01' + g, date '2020-01-01' + g + 30,
    round((5000 * random())::numeric, 2)
FROM generate_series(1, 1500) AS g;
CREATE TABLE sale (f_order bigint NOT NULL, f_line smallint NOT NULL, f_day date NOT NULL, f_ship_day date,
    f_customer int NOT NULL, f_product int NOT NULL, f_store int NOT NULL, f_promotion int, f_channel text NOT NULL,
    f_status text NOT NULL, f_quantity smallint NOT NULL, f_price numeric(9, 2) NOT NULL, f_discount numeric(4, 2) NOT NULL,
    f_returned boolean NOT NULL, PRIMARY KEY (f_order, f_line));
INSERT INTO sale SELECT 1 + g / 3, 1 + g % 3, r.day,
    CASE WHEN r.u5 > 0.02 THEN r.day + 1 + floor(12 * power(r.u1, 2))::int END,
    1 + floor({customers} * power(r.u2, 3))::int, r.product, r.store,
    CASE WHEN r.u3 < 0.1 THEN 1 + floor(1500 * r.u3 * 10)::int END,
    CASE WHEN r.store % 10 = 0 THEN CASE WHEN r.u4 < 0.95 THEN 'web' ELSE 'phone' END
         WHEN r.u4 < 0.9 THEN 'shop' WHEN r.u4 < 0.97 THEN 'phone' ELSE 'agent' END,
    CASE WHEN r.u5 < 0.02 THEN 'open' WHEN r.u5 < 0.025 THEN 'disputed' WHEN r.u5 < 0.05 THEN 'returned' ELSE 'done' END,
    1 + floor(10 * power(r.u1, 4))::int, round((1 + r.product % 300 + 20 * r.u4)::numeric, 2),
    CASE WHEN r.u3 < 0.1 THEN round((0.4 * r.u1)::numeric, 2) ELSE 0 END, r.u5 >= 0.025 AND r.u5 < 0.05
FROM (SELECT g, random() AS u1, random() AS u2, random() AS u3, random() AS u4, random() AS u5,
             date '2020-01-01' + (1826.0 * power(g::float8 / {rows}, 0.8))::int AS day,
             1 + floor({products} * power(random(), 2.2))::int AS product, 1 + floor(500 * power(random(), 1.8))::int AS store
      FROM generate_series(0, {rows} - 1) AS g) AS r;
"""

# Each with two sets of literals.
TEMPLATES = [
    ("day_total", "SELECT sum(f_price * f_quantity) FROM sale WHERE f_day = '{0}'", ["2023-03-14", "2024-11-29"]),
    ("week_by_store", "SELECT f_store, sum(f_price) FROM sale WHERE f_day BETWEEN '{0}' AND date '{0}' + 6 GROUP BY f_store",
     ["2022-05-02", "2024-02-12"]),
    ("year_by_month", "SELECT d_month, sum(f_price) FROM sale JOIN calendar ON d_day = f_day WHERE d_year = {0} GROUP BY "
     "d_month", [2021, 2024]),
    ("customer_history", "SELECT f_day, f_order, f_price FROM sale WHERE f_customer = {0} ORDER BY f_day DESC LIMIT 50",
     [17, 15_433]),
    ("customer_spend", "SELECT c_name, sum(f_price * f_quantity) FROM sale JOIN customer ON c_id = f_customer WHERE c_email "
     "= '{0}' GROUP BY c_name", ["c812@example.org", "c19002@example.org"]),
    ("city_spend", "SELECT c_city, count(*), sum(f_price) FROM sale JOIN customer ON c_id = f_customer WHERE c_city = '{0}' "
     "GROUP BY c_city", ["city 750", "city 820"]),
    ("segment_recent", "SELECT c_segment, sum(f_price) FROM sale JOIN customer ON c_id = f_customer WHERE f_day > date '{0}' "
     "- 7 AND f_day <= '{0}' AND c_country = 'country 30' GROUP BY c_segment", ["2023-06-30", "2024-06-30"]),
    ("product_total", "SELECT sum(f_quantity), avg(f_price) FROM sale WHERE f_product = {0}", [1201, 3377]),
    ("product_month", "SELECT sum(f_quantity) FROM sale WHERE f_product = {0} AND f_day >= '2024-03-01' AND f_day < "
     "'2024-04-01'", [11, 140]),
    ("brand_by_year", "SELECT d_year, sum(f_price) FROM sale JOIN product ON p_id = f_product JOIN calendar ON d_day = f_day "
     "WHERE p_brand = '{0}' GROUP BY d_year ORDER BY d_year", ["brand 77", "brand 149"]),
    ("class_color", "SELECT f_store, count(*) FROM sale JOIN product ON p_id = f_product WHERE p_class = '{0}' AND p_color = "
     "'grey' GROUP BY f_store", ["class 3", "class 88"]),
    ("expensive", "SELECT f_order, f_price FROM sale WHERE f_price > {0} ORDER BY f_price DESC LIMIT 100", [315, 310]),
    ("store_quarter", "SELECT f_channel, sum(f_price) FROM sale JOIN store ON s_id = f_store JOIN calendar ON d_day = f_day "
     "WHERE s_city = '{0}' AND d_year = 2023 AND d_quarter = 2 GROUP BY f_channel", ["city 199", "city 151"]),
    ("store_day", "SELECT count(*), sum(f_price) FROM sale WHERE f_store = {0} AND f_day = '2024-08-15'", [3, 444]),
    ("country_products", "SELECT p_category, sum(f_quantity) FROM sale JOIN store ON s_id = f_store JOIN product ON p_id = "
     "f_product WHERE s_country = '{0}' AND f_day BETWEEN '2024-10-01' AND '2024-10-14' GROUP BY p_category",
     ["country 29", "country 14"]),
    ("open_orders", "SELECT f_order, f_day, f_customer FROM sale WHERE f_status = '{0}' AND f_day < '2022-01-01' ORDER BY "
     "f_day LIMIT 200", ["open", "disputed"]),
    ("disputed_by_customer", "SELECT c_name, count(*) FROM sale JOIN customer ON c_id = f_customer WHERE f_status = "
     "'disputed' AND f_day >= '{0}' GROUP BY c_name ORDER BY 2 DESC LIMIT 20", ["2024-11-01", "2023-12-01"]),
    ("unshipped", "SELECT f_store, count(*) FROM sale WHERE f_ship_day IS NULL AND f_day BETWEEN '{0}' AND date '{0}' + 30 "
     "GROUP BY f_store", ["2024-11-01", "2023-05-01"]),
    ("late", "SELECT count(*) FROM sale WHERE f_ship_day = '{0}' AND f_ship_day - f_day > 9", ["2024-01-10", "2022-09-09"]),
    ("promotion_result", "SELECT m_name, sum(f_price * (1 - f_discount)) FROM sale JOIN promotion ON m_id = f_promotion "
     "WHERE m_kind = '{0}' AND m_from BETWEEN '2022-01-01' AND '2022-06-30' GROUP BY m_name", ["kind 3", "kind 11"]),
    ("promotion_one", "SELECT f_channel, sum(f_quantity) FROM sale WHERE f_promotion = {0} GROUP BY f_channel", [77, 1204]),
    ("returns_of_product", "SELECT f_day, f_customer FROM sale WHERE f_product = {0} AND f_returned ORDER BY f_day DESC LIMIT "
     "30", [5, 900]),
    ("loyal", "SELECT c_id, c_name FROM customer WHERE c_city = '{0}' AND EXISTS (SELECT FROM sale WHERE f_customer = c_id "
     "AND f_day >= '2024-12-01')", ["city 850", "city 640"]),
    ("never_bought", "SELECT c_id FROM customer WHERE c_since > '2023-06-01' AND c_segment = '{0}' AND NOT EXISTS (SELECT FROM "
     "sale WHERE f_customer = c_id)", ["public", "large"]),
    ("top_customers", "SELECT f_customer, sum(f_price) AS spent FROM sale WHERE f_store = {0} GROUP BY f_customer ORDER BY "
     "spent DESC LIMIT 10", [490, 497]),
    ("basket", "SELECT b.f_product, count(*) FROM sale a JOIN sale b ON b.f_order = a.f_order AND b.f_line <> a.f_line WHERE "
     "a.f_product = {0} GROUP BY b.f_product ORDER BY 2 DESC LIMIT 10", [2500, 3900]),
    ("above_average", "SELECT f_order, f_price FROM sale WHERE f_product = {0} AND f_price > (SELECT avg(f_price) FROM sale "
     "WHERE f_product = {0}) LIMIT 50", [3000, 3512]),
    ("rank_in_day", "SELECT * FROM (SELECT f_store, f_order, rank() OVER (PARTITION BY f_store ORDER BY f_price DESC) AS place "
     "FROM sale WHERE f_day = '{0}') AS r WHERE place <= 3", ["2024-12-24", "2021-12-24"]),
    ("weekend_channel", "SELECT f_channel, count(*) FROM sale JOIN calendar ON d_day = f_day WHERE d_holiday AND d_year = {0} "
     "GROUP BY f_channel", [2022, 2023]),
    ("two_periods", "WITH recent AS (SELECT f_product, sum(f_quantity) AS sold FROM sale WHERE f_day BETWEEN '2024-12-01' AND "
     "'2024-12-07' GROUP BY f_product), before AS (SELECT f_product, sum(f_quantity) AS sold FROM sale WHERE f_day BETWEEN "
     "'2023-12-01' AND '2023-12-07' GROUP BY f_product) SELECT p_name, r.sold, b.sold FROM recent r JOIN before b USING "
     "(f_product) JOIN product ON p_id = f_product WHERE p_brand = '{0}'", ["brand 1", "brand 40"]),
    ("web_large", "SELECT f_order, f_quantity FROM sale WHERE f_channel = 'agent' AND f_quantity >= {0} AND f_day >= "
     "'2024-01-01'", [9, 10]),
    ("order_lines", "SELECT f_line, p_name, f_quantity, f_price FROM sale JOIN product ON p_id = f_product WHERE f_order = {0} "
     "ORDER BY f_line", [4711, 80_000]),
    ("manager", "SELECT s_manager, d_month, sum(f_price) FROM sale JOIN store ON s_id = f_store JOIN calendar ON d_day = f_day "
     "WHERE s_manager = '{0}' AND d_year = 2022 GROUP BY s_manager, d_month", ["Manager 7", "Manager 99"]),
]


def build(cursor, size):
    cursor.execute("SELECT setseed(0.42)")
    cursor.execute(SCHEMA.format(rows=ROWS[size], customers=CUSTOMERS[size], products=PRODUCTS[size]))


def statements(_size):
    return [Statement(f"{name}_{i + 1}", sql.format(value)) for name, sql, values in TEMPLATES
            for i, value in enumerate(values)]


WORKLOAD = Workload("star", "star schema, skew and correlation", build, statements)
