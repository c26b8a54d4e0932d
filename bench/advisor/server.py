"""Connections, and the processor time that both ends of one have used."""
import os
import resource

import psycopg2
import psycopg2.extras

# What both sides plan with, and what the statements run with: one process, no compilation, so that run times are those
# of the plans that were priced.
SETTINGS = "-c max_parallel_workers_per_gather=0 -c jit=off -c work_mem=64MB -c maintenance_work_mem=1GB"


def connect(database, settings=SETTINGS):
    connection = psycopg2.connect(dbname=database, user=os.environ.get("PGUSER", "postgres"), options=settings)
    connection.autocommit = True
    # Plans stay text: parsing them would cost the peers more than planning.
    psycopg2.extras.register_default_json(connection, loads=lambda text: text)
    return connection


def processor_seconds(connection):
    """Of this process and of the server process behind the connection, which runs on the same machine."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(f"/proc/{connection.info.backend_pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return used.ru_utime + used.ru_stime + (int(fields[11]) + int(fields[12])) / ticks


def database_exists(name):
    with connect("postgres") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        return cursor.fetchone() is not None


def create_database(name, template=None):
    connection = connect("postgres")
    connection.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
    connection.cursor().execute(f"CREATE DATABASE {name} STRATEGY file_copy"
                                + (f" TEMPLATE {template}" if template else ""))
    connection.close()


def drop_database(name):
    connection = connect("postgres")
    connection.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    connection.close()
