//! Reports of `compose` and `component`: what was written, and how to use it.

use super::args::{ComponentArgs, ComposeArgs};
use std::path::Path;
use wasi_overlay_compose::{AppKind, Composed, Config};

/// Describes a composed program, and how to run it.
pub(super) fn describe_composed(
    args: &ComposeArgs,
    config: &Config,
    composed: &Composed,
) -> String {
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
            format_kib(composed.app_bytes),
            composed.wasi
        ),
        format!(
            "overlay: retargeted to WASI {}, {}",
            composed.wasi,
            format_kib(composed.overlay_bytes)
        ),
    ];
    lines.extend(config_lines(config));
    lines.push(format!(
        "{}: {}",
        output_name(&args.output, "stdout"),
        format_kib(composed.bytes.len())
    ));
    lines.push(usage(&args.output, config, composed));
    lines.join("\n")
}

/// Describes a separate overlay component, and how to compose it by hand.
pub(super) fn describe_component(
    args: &ComponentArgs,
    config: Option<&Config>,
    bytes: usize,
) -> String {
    let mut lines = vec![format!(
        "{}: the overlay for WASI {}, {}",
        output_name(&args.output, "stdout"),
        args.wasi,
        format_kib(bytes)
    )];
    match config {
        Some(config) => lines.extend(config_lines(config)),
        None if args.configured => lines.push(
            "configuration: imported from the component that exports \
             `wasi-overlay:component/config@0.1.0`"
                .to_owned(),
        ),
        None => lines.push(
            "configuration: none, so /lower, /lower0, /lower1, ... are the layers (bottom first), \
             /upper takes changes, other preopens are passed, and the merged tree is at /"
                .to_owned(),
        ),
    }
    let out = shell_quote(&output_name(&args.output, "COMPONENT.wasm"));
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

/// Describes the configuration.
fn config_lines(config: &Config) -> Vec<String> {
    let names = |names: &[String]| names.join(", ");
    let changes = match (&config.upper, config.read_only) {
        (None, true) => "refused (--read-only)".to_owned(),
        (Some(upper), true) => format!("refused (--read-only); {upper} is the topmost layer"),
        (None, false) => "refused, since there is no --upper".to_owned(),
        (Some(upper), false) if config.volatile => {
            format!("to {upper}, not synced to disk")
        }
        (Some(upper), false) => format!("to {upper}"),
    };
    let mut lines = Vec::new();
    if !config.lowers.is_empty() {
        lines.push(format!("layers, bottom first: {}", names(&config.lowers)));
    }
    lines.push(format!("changes: {changes}"));
    lines.push(format!("merged tree: at {}", config.at));
    lines.push(match &config.pass[..] {
        [] => "other preopens: none passed".to_owned(),
        pass => format!("other preopens: only {} passed, unchanged", names(pass)),
    });
    lines
}

/// The shell command that runs the composed program.
fn usage(output: &Path, config: &Config, composed: &Composed) -> String {
    let exports = |interface: &str| composed.exports.iter().any(|it| it.starts_with(interface));
    let command = if exports("wasi:cli/run@") {
        "run"
    } else if exports("wasi:http/incoming-handler@") {
        // `wasmtime serve` links WASI only on request.
        "serve -Scli"
    } else {
        let names: Vec<_> = preopens(config).collect();
        return format!("the host must preopen: {}", names.join(", "));
    };
    let dirs =
        preopens(config).map(|name| format!("--dir {} ", shell_quote(&format!("DIR::{name}"))));
    format!(
        "run it with (replace each DIR by a host directory):\n  wasmtime {command} {}{}",
        dirs.collect::<String>(),
        shell_quote(&output_name(output, "COMPOSED.wasm"))
    )
}

/// The name of the output for a message; `stdout` if it is stdout.
fn output_name(output: &Path, stdout: &str) -> String {
    if output.as_os_str() == "-" {
        stdout.to_owned()
    } else {
        output.display().to_string()
    }
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

/// Quotes a word for the shell.
fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:+@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A size in KiB, rounded up.
fn format_kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
