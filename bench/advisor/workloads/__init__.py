"""The workloads, by name."""
from .snowflake import WORKLOAD as SNOWFLAKE
from .star import WORKLOAD as STAR

WORKLOADS = {workload.name: workload for workload in (STAR, SNOWFLAKE)}
