#!/usr/bin/env python3
"""One version everywhere, and what was released is kept.

- The control files, META.json, debian/changelog, CHANGELOG.md and src/pg/version.hpp name the same version.
- A version with a date in CHANGELOG.md was released: test/upgrade/ holds the scripts it installed, unchanged since, and
  steps in src/upgrade/ lead from it to the present version.
- debian/pgversions names the server versions that src/pg/compat.hpp accepts.
- docs/dependencies.md has a row for every package that scripts/lib/packages.sh and debian/control.in name, with its
  reason and licence, and for no other."""

import json
import re
import subprocess
import sys
from pathlib import Path

problems = []


def wrong(*words):
    problems.append(" ".join(str(w) for w in words))


def first(pattern, path):
    match = re.search(pattern, Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        wrong(path, "has no version")
        return None
    return match.group(1)


def check_versions():
    version = first(r"^default_version *= *'(.*)'", "citadel_opt.control")
    said = {
        "citadel_tasks.control": first(r"^default_version *= *'(.*)'", "citadel_tasks.control"),
        "META.json": json.loads(Path("META.json").read_text(encoding="utf-8"))["version"],
        "debian/changelog": first(r"\A\S+ \((.*?)(?:-[^-]*)?\)", "debian/changelog"),
        "CHANGELOG.md": first(r"^## \[(\d.*?)\]", "CHANGELOG.md"),
        "src/pg/version.hpp": first(r'library_version = "(.*)"', "src/pg/version.hpp"),
    }
    for place, other in said.items():
        if other != version:
            wrong(place, "says", other, "citadel_opt.control", version)
    return version


def released_versions():
    """Those with a date."""
    text = Path("CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)


def steps_from(extension):
    steps = {}
    for path in Path("src/upgrade").glob(f"{extension}--*--*.sql"):
        before, after = path.stem.split("--")[1:]
        steps.setdefault(before, set()).add(after)
    return steps


def check_releases(version):
    for extension in ("citadel_opt", "citadel_tasks"):
        parts = Path("src/sql_parts" if extension == "citadel_opt" else "src/tasks_sql_parts").read_text().split()
        script = "".join(Path(part).read_text(encoding="utf-8") for part in parts)
        steps = steps_from(extension)
        for released in released_versions():
            kept = Path(f"test/upgrade/{extension}--{released}.sql")
            if not kept.exists():
                wrong(f"{released} was released: {kept} must hold what it installed")
            elif released == version and kept.read_text(encoding="utf-8") != script:
                wrong(f"{released} was released: its install script may not change any more ({kept})")
            reached, new = set(), {released}
            while new:
                reached |= new
                new = {after for before in new for after in steps.get(before, ())} - reached
            if version not in reached:
                wrong(f"no steps in src/upgrade lead {extension} from {released} to {version}")


def check_servers():
    built = Path("debian/pgversions").read_text().split()
    supported = first(r"supported: (\d+ to \d+)", "src/pg/compat.hpp")
    if supported is not None:
        oldest, newest = map(int, supported.split(" to "))
        if built != [str(v) for v in range(oldest, newest + 1)]:
            wrong("debian/pgversions has", *built, "src/pg/compat.hpp supports", supported)


def package_names():
    """Every package of scripts/lib/packages.sh and of debian/control.in, with N for the server's version."""
    script = ('PG_CONFIG=; . scripts/lib/packages.sh; pg_major() { echo N; }; for group in '
              '$(sed -n "s/^# packages GROUP.*Groups: \\(.*\\)\\.$/\\1/p" scripts/lib/packages.sh | tr -d ,); '
              'do packages "$group" || exit; done')
    listed = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout
    names = {line.split()[0] for line in listed.splitlines()}
    for field in re.findall(r"^(?:Build-Depends|Depends|Suggests|Recommends):((?:.*\n)(?: .*\n)*)",
                            Path("debian/control.in").read_text(), re.MULTILINE):
        for name in re.findall(r"^ ?([a-z0-9][\w.+-]*)", field.replace("PGVERSION", "N"), re.MULTILINE):
            names.add(name)
    return names


def check_dependencies():
    rows = {}
    for line in Path("docs/dependencies.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                rows[name] = cells
                if not all(cells):
                    wrong("docs/dependencies.md:", name, "lacks a licence, a place or a reason")
    names = package_names()
    if len(names) < 20:
        wrong("only", len(names), "packages were found in scripts/lib/packages.sh")
    for name in sorted(names - rows.keys()):
        wrong("docs/dependencies.md lacks", name)
    for name in sorted(rows.keys() - names):
        wrong("docs/dependencies.md has", name, "which nothing here needs")


def main():
    version = check_versions()
    check_releases(version)
    check_servers()
    check_dependencies()
    print(*problems, sep="\n")
    return 1 if problems else 0


sys.exit(main())
