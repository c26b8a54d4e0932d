#!/usr/bin/env python3
"""Every error that we raise about a state in which somebody has to do something stands in docs/troubleshooting.md.

Takes the messages from the calls of pg::raise() with a literal in them; the longest literal part of each must occur in
the page, between backticks. Wrong arguments (22xxx, 42xxx of names and types) say by themselves what to change and are
not looked for, nor are internal errors."""

import re
import sys
from pathlib import Path

CODES = {
    "OBJECT_NOT_IN_PREREQUISITE_STATE", "DATA_CORRUPTED", "LOCK_NOT_AVAILABLE", "T_R_SERIALIZATION_FAILURE",
    "CONFIGURATION_LIMIT_EXCEEDED", "INSUFFICIENT_PRIVILEGE", "FEATURE_NOT_SUPPORTED", "ACTIVE_SQL_TRANSACTION",
    "QUERY_CANCELED", "NOT_NULL_VIOLATION", "DATETIME_VALUE_OUT_OF_RANGE",
}


def argument(source, start):
    """The text of the argument that begins at `start`, up to the comma or parenthesis that ends it."""
    depth, i, in_string = 0, start, False
    while True:
        c = source[i]
        if in_string:
            if c == "\\":
                i += 1
            elif c == '"':
                in_string = False
        elif c == '"':
            in_string = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                return source[start:i]
            depth -= 1
        elif c == "," and depth == 0:
            return source[start:i]
        i += 1


def messages():
    for path in sorted(Path("src").rglob("*.cpp")):
        source = path.read_text()
        for call in re.finditer(r"\braise\(\s*ERRCODE_(\w+),\s*", source):
            if call.group(1) not in CODES:
                continue
            text = re.sub(r'"\s*\n\s*"', "", argument(source, call.end()))
            parts = [p.replace('\\"', "").strip() for p in re.findall(r'"((?:[^"\\]|\\.)*)"', text)]
            longest = max(parts, key=len, default="")
            if len(longest) >= 8:
                yield path, longest


def main():
    page = Path("docs/troubleshooting.md").read_text()
    known = " ".join(" ".join(re.findall(r"`([^`]+)`", page)).split())
    found = list(messages())
    missing = sorted({f"{path}: {message}" for path, message in found if message not in known})
    print(f"{len(found)} messages")
    if missing:
        print("Not in docs/troubleshooting.md:", *missing, sep="\n")
    return 1 if missing or len(found) < 50 else 0


sys.exit(main())
