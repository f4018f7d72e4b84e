//! Messages on stderr: errors, warnings and notices, in the form and colours of clap's errors.

use clap::builder::styling::{AnsiColor, Style, Styles};
use std::fmt::Display;
use std::io::Write;

/// Prints `error: ` and the error, with its causes indented.
///
/// Backtraces of the host are not printed: they do not help the owner of a guest.
pub(crate) fn print_error(error: &anyhow::Error) {
    print_styled(ERROR, "error", &describe_causes(error));
}

/// As [`print_error`], for the error that ended the guest.
pub(crate) fn print_guest_error(error: &wasmtime::Error) {
    print_styled(ERROR, "error", &format_args!("{error:?}"));
}

/// Prints `warning: ` and the message.
pub(crate) fn print_warning(message: impl Display) {
    let style = AnsiColor::Yellow.on_default().bold();
    print_styled(style, "warning", &message);
}

/// Prints a message without a label: a notice or a report.
pub(crate) fn print_notice(message: impl Display) {
    print_to_stderr(&message.to_string());
}

/// The style of clap's `error:`.
const ERROR: Style = *Styles::styled().get_error();

fn print_styled(style: Style, label: &str, message: &dyn Display) {
    print_to_stderr(&format!("{style}{label}:{style:#} {message}"));
}

/// Prints to stderr, with colours if it is a terminal that wants them. A failure (stderr is closed, say)
/// is ignored, since there is nowhere to report it.
fn print_to_stderr(message: &str) {
    let _ = writeln!(anstream::stderr(), "{}", message.trim_end());
}

/// An error and its causes, in the layout of `wasmtime run`.
fn describe_causes(error: &anyhow::Error) -> String {
    let mut chain = error.chain();
    let mut text = chain.next().map(ToString::to_string).unwrap_or_default();
    let mut causes: Vec<_> = chain.map(ToString::to_string).collect();
    // Some errors end with the text of their cause.
    while causes.first().is_some_and(|cause| text.ends_with(cause)) {
        causes.remove(0);
    }
    if !causes.is_empty() {
        text.push_str("\n\nCaused by:");
    }
    for (index, cause) in causes.iter().enumerate() {
        let cause = cause.trim_end();
        if causes.len() == 1 {
            text.push_str("\n    ");
            text.push_str(&cause.replace('\n', "\n    "));
        } else {
            text.push_str(&format!("\n    {index}: "));
            text.push_str(&cause.replace('\n', "\n       "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_indented_below_the_error() {
        let error = anyhow!("no such file");
        assert_eq!(describe_causes(&error), "no such file");
        let named = anyhow!("no such file").context("a.wasm: no such file");
        assert_eq!(describe_causes(&named), "a.wasm: no such file");
        let error = error.context("`a.wasm` cannot be read");
        assert_eq!(
            describe_causes(&error),
            "`a.wasm` cannot be read\n\nCaused by:\n    no such file"
        );
        let error = anyhow!("first line\nsecond line")
            .context("a cause")
            .context("an error");
        assert_eq!(
            describe_causes(&error),
            "an error\n\nCaused by:\n    0: a cause\n    1: first line\n       second line"
        );
    }
}
