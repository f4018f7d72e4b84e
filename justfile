# Every habit of the project. The recipes call scripts, which work without `just` as well.

# Lists the recipes.
default:
    @just --list --unsorted

# Installs what is missing.
setup:
    scripts/setup.sh

# Builds the crates, the tests and the command line.
build:
    scripts/build.sh

# Builds the guest programs.
guests:
    scripts/build-guests.sh

# Builds the composable component, which the crates carry.
component:
    scripts/build-component.sh

# Composed components under jco on node.
jco:
    scripts/jco.sh

# Refreshes the vendored WIT.
wit:
    scripts/wit.sh

# Format, clippy, documentation: warnings refused.
lint:
    scripts/lint.sh

# The documentation.
doc:
    scripts/doc.sh

# Formats.
fmt:
    cargo fmt --all

# What the engine may stand on.
crate-graph:
    scripts/crate-graph.sh

# All tests, set-up included.
test *arguments:
    scripts/test.sh {{ arguments }}

# The engine's tests as an unprivileged user (as root).
test-unprivileged:
    scripts/test-unprivileged.sh

# Runs guests on layers, and shows the merged tree and what changed.
demo:
    scripts/demo.sh

# Times overlays of four layers against stock wasmtime on a plain directory.
bench *arguments:
    scripts/bench.sh {{ arguments }}

# The benchmark in seconds: system calls are checked, times are not.
bench-smoke:
    scripts/bench.sh --smoke

# Licences and sources of dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# What CI runs, cheapest first; the tests come last.
ci: lint crate-graph demo bench-smoke test
