//! What is said about what was composed: what was done, and how it is used.

use super::args::{ComponentArgs, ComposeArgs};
use std::path::Path;
use wasi_overlay_compose::{AppKind, Composed, Config};

/// What was done, and how to run what came of it.
pub(super) fn composed(args: &ComposeArgs, config: &Config, composed: &Composed) -> String {
    let kind = match composed.app {
        AppKind::Component => "a component",
        AppKind::Command => "a core module of WASI 0.1, wrapped as a command",
        AppKind::Reactor => "a core module of WASI 0.1, wrapped as a library",
        AppKind::Typed => "a core module with component types, made a component",
        _ => "a program",
    };
    let mut lines = vec![
        format!(
            "{}: {kind}, {}, with the filesystem of WASI {}",
            args.app.display(),
            size(composed.app_bytes),
            composed.wasi
        ),
        format!(
            "overlay: retargeted to WASI {}, {}",
            composed.wasi,
            size(composed.overlay_bytes)
        ),
    ];
    lines.extend(described(config));
    lines.push(format!(
        "{}: {}",
        args.output.display(),
        size(composed.bytes.len())
    ));
    lines.push(usage(&args.output, config, composed));
    lines.join("\n")
}

/// What the overlay alone is, and how it is composed by hand.
pub(super) fn component(args: &ComponentArgs, config: Option<&Config>, bytes: usize) -> String {
    let out = args.output.display().to_string();
    let mut lines = vec![format!(
        "{out}: the overlay for WASI {}, {}",
        args.wasi,
        size(bytes)
    )];
    match config {
        Some(config) => lines.extend(described(config)),
        None if args.configured => lines.push(
            "configuration: that of the component that exports \
             `wasi-overlay:component/config@0.1.0`"
                .to_owned(),
        ),
        None => lines.push(
            "configuration: none, so /lower, /lower0, /lower1, ... are layers (the bottom one \
             first), /upper takes changes, other preopens pass, and the tree is at /"
                .to_owned(),
        ),
    }
    let out = quoted(&out);
    lines.push("compose it with:".to_owned());
    if args.configured {
        lines.push(format!(
            "  wac plug {out} --plug CONFIG.wasm -o OVERLAY.wasm"
        ));
    }
    let overlay = if args.configured {
        "OVERLAY.wasm"
    } else {
        &out
    };
    lines.push(format!(
        "  wac plug APP.wasm --plug {overlay} -o COMPOSED.wasm"
    ));
    lines.join("\n")
}

/// The configuration in words.
fn described(config: &Config) -> Vec<String> {
    let names = |names: &[String]| names.join(", ");
    let changes = match (&config.upper, config.read_only) {
        (None, true) => "refused (--read-only)".to_owned(),
        (Some(upper), true) => format!("refused (--read-only); {upper} is the topmost layer"),
        (None, false) => "refused, since there is no --upper".to_owned(),
        (Some(upper), false) if config.volatile => {
            format!("to {upper}, never waiting for the disk")
        }
        (Some(upper), false) => format!("to {upper}"),
    };
    let mut lines = Vec::new();
    if !config.lowers.is_empty() {
        lines.push(format!(
            "layers, the bottom one first: {}",
            names(&config.lowers)
        ));
    }
    lines.push(format!("changes: {changes}"));
    lines.push(format!("the program finds the tree at: {}", config.at));
    lines.push(match &config.pass[..] {
        [] => "other preopens: none passes".to_owned(),
        pass => format!("other preopens: {} as they are, no others", names(pass)),
    });
    lines
}

/// A line for the shell that runs what was composed.
fn usage(output: &Path, config: &Config, composed: &Composed) -> String {
    let exports = |interface: &str| composed.exports.iter().any(|it| it.starts_with(interface));
    let command = if exports("wasi:cli/run@") {
        "run"
    } else if exports("wasi:http/incoming-handler@") {
        "serve"
    } else {
        let names: Vec<_> = preopens(config).collect();
        return format!("its host has to preopen: {}", names.join(", "));
    };
    let dirs = preopens(config).map(|name| format!("--dir {} ", quoted(&format!("DIR::{name}"))));
    format!(
        "run it with, each DIR being a directory of yours:\n  wasmtime {command} {}{}",
        dirs.collect::<String>(),
        quoted(&output.display().to_string())
    )
}

/// All preopens that a configuration names.
fn preopens(config: &Config) -> impl Iterator<Item = &str> {
    let names = config
        .lowers
        .iter()
        .chain(&config.upper)
        .chain(&config.pass);
    names.map(String::as_str)
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:+@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Kibibytes, rounded up.
fn size(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
