"""The workloads, by name."""
from .decision import WORKLOAD as DECISION
from .documents import WORKLOAD as DOCUMENTS
from .snowflake import WORKLOAD as SNOWFLAKE
from .star import WORKLOAD as STAR
from .tasks import WORKLOAD as TASKS
from .writes import WORKLOAD as WRITES

WORKLOADS = {workload.name: workload for workload in (TASKS, STAR, SNOWFLAKE, DECISION, DOCUMENTS, WRITES)}
