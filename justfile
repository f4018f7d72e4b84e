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

# Random plans against a tree without layers, until stopped; OVERLAY_SEED is the first seed.
soak:
    scripts/soak.sh

# Random plans on the kernel's overlayfs, on ours and on a plain directory (as root).
kernel:
    cargo test --workspace --all-features --locked --test kernel -- --nocapture

# Exchanges layers with the kernel, fuse-overlayfs, umoci and skopeo.
interop *arguments:
    scripts/interop.sh {{ arguments }}

# Every cut, loss of power and fault in every operation (CI runs a sample).
crash:
    CRASH=all cargo test -p wasi-overlay-proof --all-features --locked --test crash -- --nocapture

# Evil guests and hosts, every open handle through every change, guests that exceed limits.
evil:
    cargo test -p wasi-overlay-core -p wasi-overlay-proof --all-features --locked --test evil --test exhaustion --test handles -- --nocapture

# Concurrent calls in random schedules (SCHEDULES=N for each scenario).
schedules *arguments:
    scripts/schedules.sh {{ arguments }}

# The engine's threads under ThreadSanitizer.
tsan *arguments:
    scripts/tsan.sh {{ arguments }}

# Fuzzes the engine, SECONDS for each target.
fuzz *arguments:
    scripts/fuzz.sh {{ arguments }}

# Changes the engine in one place at a time, and checks that a test notices.
mutants *arguments:
    scripts/mutants.sh {{ arguments }}

# Runs guests on layers, and shows the merged tree and what changed.
demo:
    scripts/demo.sh

# Times overlays against stock wasmtime on a plain directory.
bench *arguments:
    scripts/bench.sh {{ arguments }}

# The benchmark in seconds: system calls are checked, times are not.
bench-smoke:
    scripts/bench.sh --smoke

# Instructions of the engine's hot paths, by valgrind: 5 % more than what is written down is an error.
counts *arguments:
    scripts/counts.sh {{ arguments }}

# Copy-up of a large file on ext4, btrfs and xfs, against cp (as root).
copy-up *arguments:
    scripts/copy-up.sh {{ arguments }}

# Licences and sources of dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# The quick forms of what otherwise runs for hours.
proof-sample:
    SCHEDULES=1000 scripts/schedules.sh
    scripts/fuzz.sh 30
    scripts/mutants.sh --sample

# What CI runs.
ci: lint crate-graph demo bench-smoke counts test proof-sample
