# Development tasks. The recipes call scripts, which also work without `just`.

# Lists the recipes.
default:
    @just --list --unsorted

# Installs missing tools.
setup:
    scripts/setup.sh

# Builds the component, the crates, the tests and the command line.
build:
    scripts/build.sh

# Builds the guest programs.
guests:
    scripts/build-guests.sh

# Builds the composable component, which `wasi-overlay-compose` embeds.
component:
    scripts/build-component.sh

# Tests composed components under jco on node.
jco:
    scripts/jco.sh

# Updates the vendored WIT.
wit:
    scripts/wit.sh

# Checks format, clippy, documentation, vendored WIT and shell syntax; warnings are errors.
lint:
    scripts/lint.sh

# Builds the documentation; warnings are errors.
doc:
    scripts/doc.sh

# Checks that the plugin compiles without warnings for each version of WASI alone, and for each pair.
features:
    scripts/features.sh

# Formats the code.
fmt:
    cargo fmt --all

# Checks which crates the engine depends on.
crate-graph:
    scripts/crate-graph.sh

# Runs the setup and all tests.
test *arguments:
    scripts/test.sh {{ arguments }}

# Runs the engine's tests as an unprivileged user (requires root).
test-unprivileged:
    scripts/test-unprivileged.sh

# Runs random plans against a tree without layers, until stopped; OVERLAY_SEED is the first seed.
soak:
    scripts/soak.sh

# Runs random plans on the kernel's overlayfs, on ours and on a plain directory (requires root).
kernel:
    cargo test --workspace --all-features --locked --test kernel -- --nocapture

# Exchanges layers with the kernel, fuse-overlayfs, umoci and skopeo.
interop *arguments:
    scripts/interop.sh {{ arguments }}

# Injects every crash, power loss and fault into every operation (CI runs a sample).
crash:
    CRASH=all cargo test -p wasi-overlay-proof --all-features --locked --test crash -- --nocapture

# Tests malicious guests and hosts, open handles across changes, and guests that exceed limits.
evil:
    cargo test -p wasi-overlay-core -p wasi-overlay-proof --all-features --locked --test evil --test exhaustion --test handles -- --nocapture

# Runs concurrent calls in random schedules (SCHEDULES=N for each scenario).
schedules *arguments:
    scripts/schedules.sh {{ arguments }}

# Runs the engine's threads under ThreadSanitizer.
tsan *arguments:
    scripts/tsan.sh {{ arguments }}

# Fuzzes the engine, for SECONDS per target.
fuzz *arguments:
    scripts/fuzz.sh {{ arguments }}

# Mutates the engine in one place at a time, and checks that a test fails.
mutants *arguments:
    scripts/mutants.sh {{ arguments }}

# Runs guests on layers, and shows the merged tree and the changes.
demo:
    scripts/demo.sh

# Times overlays against stock wasmtime on a plain directory.
bench *arguments:
    scripts/bench.sh {{ arguments }}

# Runs a benchmark of a few seconds that checks system calls but not times.
bench-smoke:
    scripts/bench.sh --smoke

# Counts instructions of the engine's hot paths with valgrind; growth by more than 5 % is an error.
counts *arguments:
    scripts/counts.sh {{ arguments }}

# Times copy-up of a large file against cp, on tmpfs, ext4, btrfs and xfs (requires root).
copy-up *arguments:
    scripts/copy-up.sh {{ arguments }}

# Times images: the start of a program in one, the storing of a layer, a pull.
images-bench *arguments:
    scripts/images-bench.sh {{ arguments }}

# Checks licences and sources of dependencies.
deny:
    scripts/deny.sh

# Compares the API with the last release.
semver:
    scripts/semver.sh

# Makes the packages of a release, and checks that they compile outside the repository.
package:
    scripts/package.sh

# Runs short versions of the tests that otherwise take hours.
proof-sample:
    SCHEDULES=300 scripts/schedules.sh
    scripts/fuzz.sh 10
    scripts/mutants.sh --sample

# Runs everything that CI runs.
ci: lint crate-graph deny semver demo bench-smoke counts test package proof-sample

# Runs a command with docker-registry on loopback; the address is in REGISTRY.
registry *arguments:
    scripts/registry.sh {{ arguments }}
