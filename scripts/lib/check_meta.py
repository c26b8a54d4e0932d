#!/usr/bin/env python3
"""META.json against the PGXN Meta Spec 1.0.0 (https://pgxn.org/spec/), and against what is in the tree.

Of the specification: which keys there must be and may be, what their values look like, and the licences it knows. Of the
tree: every file that `provides` names is there, and every extension with a control file is provided in its version."""

import json
import re
import sys
from pathlib import Path

LICENSES = set(
    "agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0 "
    "mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted unrestricted "
    "unknown".split())
PHASES = {"configure", "build", "test", "runtime", "develop"}
RELATIONS = {"requires", "recommends", "suggests", "conflicts"}
REQUIRED = {"abstract", "maintainer", "license", "provides", "name", "version", "meta-spec"}
OPTIONAL = {"description", "generated_by", "tags", "no_index", "prereqs", "release_status", "resources"}
SEMANTIC_VERSION = r"\d+\.\d+\.\d+(?:-?[A-Za-z][0-9A-Za-z-]*)?"
RANGE_PART = rf"(?:(?:<=|<|>=|>|==|!=)\s*)?(?:{SEMANTIC_VERSION}|0)"

problems = []


def wrong(where, what):
    problems.append(f"{where}: {what}")


def is_text(value):
    return isinstance(value, str) and value.strip() != ""


def is_term(value):
    """At least two characters, without white space, control characters and slashes."""
    return isinstance(value, str) and len(value) >= 2 and not re.search(r"[\s/\\\x00-\x1f\x7f]", value)


def is_tag(value):
    return is_text(value) and len(value) <= 255 and not re.search(r"[/\\\x00-\x1f\x7f]", value)


def is_url(value):
    return isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9+.-]*:[^\s]+", value) is not None


def is_version(value):
    return isinstance(value, str) and re.fullmatch(SEMANTIC_VERSION, value) is not None


def is_range(value):
    return value == 0 or (isinstance(value, str) and re.fullmatch(rf"{RANGE_PART}(?:\s*,\s*{RANGE_PART})*", value) is not None)


def texts(value, check):
    """One value, or a list of at least one."""
    return check(value) or (isinstance(value, list) and len(value) > 0 and all(check(v) for v in value))


def known_keys(where, value, known, required=()):
    """Whether it is a map; keys that the specification does not know begin with x_."""
    if not isinstance(value, dict):
        wrong(where, "must be a map")
        return False
    for key in required:
        if key not in value:
            wrong(where, f"lacks {key}")
    for key in value:
        if key not in known and not re.match(r"[xX]_", key):
            wrong(where, f"unknown key {key}; one's own begin with x_")
    return True


def check_license(value):
    if isinstance(value, dict):
        if not value or not all(is_text(k) and is_url(v) for k, v in value.items()):
            wrong("license", "a map must have names and URLs")
    elif not texts(value, lambda v: isinstance(v, str) and v in LICENSES):
        wrong("license", f"{value!r} is none that the specification knows")


def check_provides(provides):
    if not isinstance(provides, dict) or not provides:
        wrong("provides", "must be a map with at least one extension")
        return
    for name, extension in provides.items():
        where = f"provides.{name}"
        if not is_term(name):
            wrong(where, "is no term")
        if not known_keys(where, extension, {"file", "version", "abstract", "docfile"}, ("file", "version")):
            continue
        if not is_version(extension.get("version")):
            wrong(where, f"version {extension.get('version')!r} is no semantic version")
        if "abstract" in extension and not is_text(extension["abstract"]):
            wrong(where, "abstract must be text")
        for key in ("file", "docfile"):
            if key in extension and not (is_text(extension[key]) and Path(extension[key]).is_file()):
                wrong(where, f"{key} {extension[key]!r} does not exist")


def check_prereqs(prereqs):
    if not known_keys("prereqs", prereqs, PHASES):
        return
    for phase, relations in prereqs.items():
        if not known_keys(f"prereqs.{phase}", relations, RELATIONS):
            continue
        for relation, needed in relations.items():
            where = f"prereqs.{phase}.{relation}"
            if not isinstance(needed, dict):
                wrong(where, "must be a map")
                continue
            for name, versions in needed.items():
                if not is_term(name):
                    wrong(where, f"{name!r} is no term")
                if not is_range(versions):
                    wrong(where, f"{name}: {versions!r} is no range of versions")


def check_resources(resources):
    if not known_keys("resources", resources, {"homepage", "bugtracker", "repository"}):
        return
    if "homepage" in resources and not is_url(resources["homepage"]):
        wrong("resources.homepage", "must be a URL")
    if "bugtracker" in resources and known_keys("resources.bugtracker", resources["bugtracker"], {"web", "mailto"}):
        if "web" in resources["bugtracker"] and not is_url(resources["bugtracker"]["web"]):
            wrong("resources.bugtracker.web", "must be a URL")
    if "repository" in resources and known_keys("resources.repository", resources["repository"], {"url", "web", "type"}):
        for key in ("url", "web"):
            if key in resources["repository"] and not is_url(resources["repository"][key]):
                wrong(f"resources.repository.{key}", "must be a URL")


def check_specification(meta):
    if not known_keys("META.json", meta, REQUIRED | OPTIONAL, sorted(REQUIRED)):
        return
    for key in ("abstract", "description", "generated_by"):
        if key in meta and not is_text(meta[key]):
            wrong(key, "must be text")
    if not is_term(meta.get("name")):
        wrong("name", "is no term")
    if not is_version(meta.get("version")):
        wrong("version", f"{meta.get('version')!r} is no semantic version")
    if not texts(meta.get("maintainer"), is_text):
        wrong("maintainer", "must be text or a list of texts")
    check_license(meta.get("license"))
    check_provides(meta.get("provides"))
    specification = meta.get("meta-spec")
    if known_keys("meta-spec", specification, {"version", "url"}, ("version",)):
        if specification.get("version") != "1.0.0":
            wrong("meta-spec", f"version {specification.get('version')!r}: this is the check of 1.0.0")
        if "url" in specification and not is_url(specification["url"]):
            wrong("meta-spec", "url must be a URL")
    if "tags" in meta and not (isinstance(meta["tags"], list) and meta["tags"] and all(is_tag(t) for t in meta["tags"])):
        wrong("tags", "must be a list of tags")
    if meta.get("release_status", "stable") not in ("stable", "testing", "unstable"):
        wrong("release_status", "must be stable, testing or unstable")
    if "no_index" in meta:
        known_keys("no_index", meta["no_index"], {"file", "directory"})
    if "prereqs" in meta:
        check_prereqs(meta["prereqs"])
    if "resources" in meta:
        check_resources(meta["resources"])


def check_tree(meta):
    controls = {path.stem: path.read_text() for path in Path(".").glob("*.control")}
    provided = meta.get("provides", {})
    for name in sorted(set(controls) ^ set(provided)):
        wrong("provides", f"{name} stands either here or in a control file, but not in both")
    for name in sorted(set(controls) & set(provided)):
        version = re.search(r"^default_version *= *'(.*)'", controls[name], re.MULTILINE).group(1)
        if provided[name].get("version") != version:
            wrong(f"provides.{name}", f"version {provided[name].get('version')}, the control file says {version}")
    required = meta.get("prereqs", {}).get("runtime", {}).get("requires", {})
    for name in re.search(r"^requires *= *'(.*)'", controls["citadel_opt"], re.MULTILINE).group(1).split(","):
        if name.strip() not in required:
            wrong("prereqs.runtime.requires", f"lacks {name.strip()}, which citadel_opt.control requires")


def main():
    try:
        meta = json.loads(Path("META.json").read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"META.json is no JSON in UTF-8: {error}")
        return 1
    check_specification(meta)
    if not problems:
        check_tree(meta)
    print(*problems, sep="\n")
    return 1 if problems else 0


sys.exit(main())
