"""Asks the server through psql: one statement a call, its answer as JSON. Nothing is written."""

import json
import os
import subprocess


class Refused(Exception):
    """The server, or psql, did not answer; the text says why."""


class Database:
    def __init__(self, options, time_zone=None, program="psql"):
        self.command = [program, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", *options]
        settings = ["-c search_path=pg_catalog", "-c default_transaction_read_only=on", "-c statement_timeout=120s",
                    "-c lock_timeout=5s", "-c intervalstyle=postgres", "-c jit=off"]
        # A password, a service or a host of the caller's environment stays in force.
        self.environment = dict(os.environ, PGCLIENTENCODING="UTF8", PGAPPNAME="citadel report",
                                PGOPTIONS=" ".join([os.environ.get("PGOPTIONS", ""), *settings]).strip())
        self.zone = time_zone

    def without_conversion(self):
        """For a database without an encoding: its texts may be of any bytes, at which the server would raise an error."""
        self.environment["PGCLIENTENCODING"] = "SQL_ASCII"

    def ask(self, statement, **values):
        """Rows as dictionaries. Values are quoted by psql, as :'name' in the statement."""
        settings = [f"--set={name}={value}" for name, value in values.items()]
        zone = ["--set=zone=" + self.zone] if self.zone else []
        first = "SET timezone = :'zone';\n" if self.zone else ""
        script = f"{first}SELECT coalesce(json_agg(row_to_json(answer)), '[]') FROM ({statement}) AS answer;"
        try:
            done = subprocess.run(self.command + zone + settings, input=script.encode(), capture_output=True, env=self.environment)
        except OSError as error:
            raise Refused(f"psql cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            raise Refused(self._reason(done.stderr.decode("utf-8", "replace")))
        # Bytes that are no UTF-8 are shown as such.
        return json.loads(done.stdout.decode("utf-8", "replace"), strict=False)

    @staticmethod
    def _reason(output):
        lines = [text for text in output.splitlines() if text.strip()]
        for text in lines:
            if "ERROR:" in text or "FATAL:" in text or "error:" in text:
                return text.split("psql:<stdin>:", 1)[-1].split(":", 1)[-1].strip() if "<stdin>" in text else text.strip()
        return lines[0] if lines else "psql failed without a word"
