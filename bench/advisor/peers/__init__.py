"""Reference implementations of published index selection algorithms, over HypoPG and EXPLAIN."""
from .autoadmin import autoadmin
from .db2advis import db2advis
from .extend import extend

ALGORITHMS = {"extend": extend, "db2advis": db2advis, "autoadmin": autoadmin}
