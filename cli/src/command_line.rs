//! Parsing of the command line: the implied `run`, the width of the help, and errors that say what to type.

use crate::args::Cli;
use crate::fields::parse_size;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error, FromArgMatches};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::Path;

/// Parses the command line. Ends the process after printing help, a version or an error.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Cli {
    let mut command = command();
    let typed: Vec<_> = args.collect();
    let args = imply_run(&command, typed.clone());
    let parsed = command
        .try_get_matches_from_mut(&args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => cli,
        Err(error) => explain(error, &command, &typed).exit(),
    }
}

/// The definition of the command, with help that is wrapped at the terminal's width.
pub(crate) fn command() -> Command {
    // `-R` is not served, as the options of `UnservedArgs`.
    let command = Cli::command().mut_subcommand("run", |run| {
        run.mut_arg("record_raw", |record| record.hide(true))
    });
    // Without a terminal, clap uses 100 columns.
    if std::io::stdout().is_terminal() || std::env::var_os("COLUMNS").is_some() {
        command
    } else {
        command.term_width(80)
    }
}

/// Inserts `run` before a first argument that is an option of `run` or a program, as `wasmtime` does.
fn imply_run(command: &Command, mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = args.get(1) else {
        return args;
    };
    let is_command = command.get_subcommands().any(|it| it.get_name() == first) || first == "help";
    if !is_command && (is_option_of_run(first) || is_program(Path::new(first))) {
        args.insert(1, "run".into());
    }
    args
}

fn is_option_of_run(first: &OsStr) -> bool {
    let of_command = ["-h", "--help", "-V", "--version"];
    first.as_encoded_bytes().starts_with(b"-") && !of_command.iter().any(|option| first == *option)
}

/// Whether a word is a program: by its suffix, so that a misspelt path is an error of `run`, or because
/// there is such a file.
fn is_program(word: &Path) -> bool {
    let suffix = word.extension();
    suffix.is_some_and(|suffix| ["wasm", "wat", "cwasm"].iter().any(|it| suffix == *it))
        || word.is_file()
}

/// Adds to an error of clap or of wasmtime's options what to type instead.
fn explain(mut error: Error, command: &Command, args: &[OsString]) -> Error {
    // Without a subcommand, `run` was implied.
    let subcommand = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let option = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(option)) => option.clone(),
                _ => return error,
            };
            if let Some(tip) = tip(subcommand, &option) {
                error.remove(ContextKind::SuggestedArg);
                let tip = StyledStr::from(tip);
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
            }
            error
        }
        ErrorKind::InvalidUtf8 => match not_utf8(args) {
            Some(message) => raw(message, command),
            None => error,
        },
        // Options of `-O -C -D -W -S -R`.
        ErrorKind::InvalidValue => match explain_number(&error.to_string()) {
            Some(message) => raw(message, command),
            None => error,
        },
        _ => error,
    }
}

fn raw(message: String, command: &Command) -> Error {
    Error::raw(ErrorKind::InvalidValue, message + "\n").with_cmd(command)
}

/// What to type instead of an option that does not exist, for options of docker, mount, older versions of
/// wasmtime, and the other subcommands.
fn tip(subcommand: &str, option: &str) -> Option<&'static str> {
    let compose = matches!(subcommand, "compose" | "component");
    Some(match option {
        "--lower" | "--lowerdir" | "--rootfs" | "--image" if !compose => {
            "layers are given with '--layer DIR', repeated for each one, the bottom one first"
        }
        "--upperdir" if compose => "name the preopen with '--upper NAME'",
        "--upperdir" => "changes go to '--upper DIR', which needs no work directory",
        "--layer" | "--lowerdir" if compose => {
            "layers are preopens: name them with '--lower NAME', the bottom one first"
        }
        "--dir" | "-v" | "--volume" | "--mount" | "--tmpfs" if compose => {
            "give directories when you run the composed program, as in 'wasmtime run --dir HOST::NAME'"
        }
        "--mapdir" if !compose => "write '--dir HOST::GUEST'",
        "--ro" | "--readonly" => "write '--read-only'",
        "--dst" | "--guest-path" => "the mount point is given with '--at GUEST_PATH'",
        "--rm" | "-i" | "-t" | "-it" | "--interactive" | "--tty" if !compose => {
            "omit it: a run leaves nothing behind, and the program has this terminal"
        }
        "--network" | "--net" if !compose => "write '-S inherit-network'",
        "--env-file" if !compose => "write '--env NAME=VALUE' for each variable",
        "--memory" | "-m" if !compose => "write '-W max-memory-size=BYTES'",
        "--entrypoint" if !compose => "write '--invoke FUNCTION', or '--argv0 NAME'",
        _ => return None,
    })
}

/// Names the argument that is not UTF-8 and belongs to an option of wasmtime: options of ours name
/// themselves.
fn not_utf8(args: &[OsString]) -> Option<String> {
    let is_of_wasmtime = |arg: &OsStr| {
        let short = ["-O", "-C", "-D", "-W", "-S", "-R"];
        let long = [
            "optimize", "codegen", "debug", "wasm", "wasi", "record", "target",
        ];
        let arg = arg.as_encoded_bytes();
        short.iter().any(|flag| arg.starts_with(flag.as_bytes()))
            || arg
                .strip_prefix(b"--")
                .is_some_and(|arg| long.iter().any(|name| arg.starts_with(name.as_bytes())))
    };
    let (position, arg) = args.iter().enumerate().find(|(position, arg)| {
        let before = args.get(position.saturating_sub(1));
        arg.to_str().is_none()
            && (is_of_wasmtime(arg) || before.is_some_and(|before| is_of_wasmtime(before)))
    })?;
    Some(format!(
        "argument {position} (`{}`) is not UTF-8; write it in UTF-8",
        arg.display()
    ))
}

/// A better message for a number of `-O -C -D -W -S` that does not parse.
fn explain_number(message: &str) -> Option<String> {
    let text = message.trim_end().strip_prefix("error: failed to parse ")?;
    let text = text.strip_suffix("`: invalid digit found in string")?;
    let (flag, setting) = text.split_once(" option `")?;
    let (key, value) = setting.split_once('=')?;
    let is_bytes = ["size", "stack", "memory", "reservation", "resident"]
        .iter()
        .any(|word| key.contains(word));
    Some(match parse_size(value) {
        Ok(bytes) if is_bytes => format!(
            "{flag} {key}={value}: the value is a number of bytes without a unit; \
             write {flag} {key}={bytes}"
        ),
        _ if is_bytes => format!(
            "{flag} {key}={value}: the value is not a number of bytes; \
             write a number, as in {flag} {key}=67108864"
        ),
        _ => format!(
            "{flag} {key}={value}: the value is not a number; write one, as in {flag} {key}=1000"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn implied(args: &[&str]) -> bool {
        let args = ["wasi-overlay"].iter().chain(args).map(OsString::from);
        imply_run(&command(), args.collect())
            .get(1)
            .is_some_and(|arg| arg == "run")
    }

    #[test]
    fn run_is_implied_for_programs_and_options() {
        for args in [
            &["nope.wasm"][..],
            &["dir/nope.wat", "x"],
            &["nope.cwasm"],
            &["Cargo.toml"],
            &["--layer", "a", "x"],
            &["-S", "http"],
            &["-"],
        ] {
            assert!(implied(args), "{args:?}");
        }
        for args in [
            &[][..],
            &["rnu"],
            &["src"],
            &["help"],
            &["compose", "a.wasm"],
            &["-V"],
            &["--help"],
        ] {
            assert!(!implied(args), "{args:?}");
        }
    }

    #[test]
    fn number_that_does_not_parse_is_explained() {
        let explain = |setting: &str| {
            explain_number(&format!(
                "error: failed to parse -W option `{setting}`: invalid digit found in string\n"
            ))
            .unwrap()
        };
        assert_eq!(
            explain("max-memory-size=64m"),
            "-W max-memory-size=64m: the value is a number of bytes without a unit; write -W \
             max-memory-size=67108864"
        );
        assert_eq!(
            explain("max-wasm-stack=big"),
            "-W max-wasm-stack=big: the value is not a number of bytes; write a number, as in -W \
             max-wasm-stack=67108864"
        );
        assert_eq!(
            explain("fuel=1k"),
            "-W fuel=1k: the value is not a number; write one, as in -W fuel=1000"
        );
        assert_eq!(explain_number("error: unknown -W / --wasm option: x"), None);
    }
}
