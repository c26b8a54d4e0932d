# shellcheck shell=bash
# shellcheck disable=SC2154 # scripts/check sets root, long and suite
# The package suite: what debian/ holds; in the long form also the packages themselves, built and tried by scripts/package.

suite_package() {
    check "debian/control.in makes a package for each server version" package_control
    check "debian/rules and debian/tests are whole" package_rules
    [ -n "$long" ] || return 0
    if [ -e /.complete ]; then
        echo "In a root folder no other is made: the check that made it builds the packages."
    elif [ "$(id -u)" -ne 0 ]; then
        echo "Only root can make root folders: no package is built."
    else
        check "package: built, and from .deb to first recommendation" "$root/scripts/package" --pg "$(pg_major)"
        # The figures are wanted also when all went well.
        sed 's/^/    /' "$WORK/$suite.check.log"
    fi
}

package_control() {
    local version field
    for version in $(cat debian/pgversions); do
        sed "s/PGVERSION/$version/g" debian/control.in >"$WORK/control" || return 1
        for field in "Package: postgresql-$version-citadel-opt" "Architecture: any" " postgresql-$version-partman," "Description: ..*"; do
            grep -qx -- "$field" "$WORK/control" || { echo "$version: no line '$field'"; return 1; }
        done
    done
}

package_rules() {
    local name
    make -s -n -f debian/rules build >/dev/null || return 1
    for name in $(sed -n 's/^Tests: *//p' debian/tests/control); do
        [ -x "debian/tests/$name" ] || { echo "debian/tests/$name cannot be run"; return 1; }
        bash -n "debian/tests/$name" || return 1
    done
}

