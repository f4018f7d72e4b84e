//! Log lines of failed calls, for the embedder: they contain details that the guest must not see.
//!
//! Every call of a guest is a method of [`Dir`](crate::Dir) or [`File`](crate::File), whatever the
//! version of WASI. A method that fails writes one line at level `DEBUG`: the call, the path, the layer,
//! the reason, and the remedy if there is one. A kind of failure that concerns every guest of a mount
//! (`Warning`) is logged at level `WARN`, once for each mount.
//!
//! If no subscriber wants a line, nothing is formatted or allocated: an error gets its details only when
//! a line needs them.
//!
//! Guests choose paths, names and link targets. So control characters are escaped, and long texts are
//! truncated.

use crate::error::{Errno, Error};
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::field::display;
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};

/// The target of the lines: `WASMTIME_LOG=wasi_overlay=debug` includes it.
const TARGET: &str = "wasi_overlay::calls";

/// The maximum number of bytes shown of a path, a link's target or a layer: of its beginning and of its
/// end.
const NAME_BYTES: [usize; 2] = [384, 128];
/// The same for a reason or a remedy.
const TEXT_BYTES: [usize; 2] = [1024, 256];

/// Whether a subscriber wants the lines of failed calls.
///
/// It costs one relaxed read of the most verbose level that any subscriber wants; more only where that
/// is `DEBUG` or below. A component has no log.
#[inline]
pub(crate) fn is_on() -> bool {
    cfg!(feature = "native")
        && tracing::Level::DEBUG <= STATIC_MAX_LEVEL
        && tracing::Level::DEBUG <= LevelFilter::current()
        && is_enabled()
}

#[cold]
fn is_enabled() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// A kind of failure that concerns every guest of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warning {
    /// A layer has an absolute symbolic link, and the mount refuses those.
    AbsoluteLink = 1,
    /// A layer has a malformed whiteout.
    BrokenWhiteout = 2,
    /// A layer uses a feature that only the kernel's overlayfs can read.
    ForeignLayer = 4,
    /// The upper in memory is full.
    FullUpper = 8,
}

/// The kinds of failure that a mount has already warned about.
#[derive(Debug, Default)]
pub(crate) struct Warned(AtomicU8);

impl Warned {
    /// Whether a warning of this kind has not been given yet, and a subscriber wants warnings.
    pub(crate) fn is_due(&self, warning: Warning) -> bool {
        // The bits order no other memory, so relaxed accesses suffice.
        cfg!(feature = "native")
            && self.0.load(Ordering::Relaxed) & warning as u8 == 0
            && tracing::enabled!(target: TARGET, tracing::Level::WARN)
    }

    /// As [`is_due`](Self::is_due), and marks the warning as given: the caller must give it.
    fn take(&self, warning: Warning) -> bool {
        let bit = warning as u8;
        self.is_due(warning) && self.0.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

/// A call that failed.
pub(crate) struct FailedCall<'a> {
    /// The name of the call in WASI 0.2.
    pub(crate) call: &'static str,
    /// The path from the root of the mount.
    pub(crate) path: Option<&'a [u8]>,
    /// The second path of a call that has two.
    pub(crate) to: Option<&'a [u8]>,
    /// The layer, if the error does not name one.
    pub(crate) layer: Option<&'a str>,
}

impl FailedCall<'_> {
    /// Writes the line: at level `WARN` if `error` has a warning that the mount has not given yet
    /// (`warned`), otherwise at `DEBUG`.
    #[cold]
    pub(crate) fn write(&self, error: &Error, warned: Option<&Warned>) {
        // Optional fields are left out of the line.
        let path = self.path.map(|path| display(Quoted::path(path)));
        let to = self.to.map(|path| display(Quoted::path(path)));
        let code = display(Code(error.errno()));
        let layer = error.layer().or(self.layer);
        let layer = layer.map(|layer| display(Quoted::path(layer.as_bytes())));
        let reason = error.reason();
        let reason = display(Quoted::text(&reason));
        let remedy = error.remedy();
        let remedy = remedy.map(|remedy| display(Quoted::text(remedy)));
        let call = self.call;
        let warns = error
            .warning()
            .zip(warned)
            .is_some_and(|(warning, warned)| warned.take(warning));
        if warns {
            tracing::warn!(
                target: TARGET,
                call, path, to, error = code, layer, reason, remedy,
                "a call failed, and others may fail for the same reason (shown once for each mount)"
            );
        } else {
            tracing::debug!(
                target: TARGET,
                call, path, to, error = code, layer, reason, remedy,
                "a call failed"
            );
        }
    }
}

/// The target of the spans of long copies.
pub const COPIES: &str = "wasi_overlay::copies";

/// The size in bytes from which a file's copy gets a span.
pub(crate) const LARGE_FILE_BYTES: u64 = 16 << 20;

/// Enters a span for the copy-up of the file (of `bytes` bytes) or directory at `path`, until the result
/// is dropped: a program that shows progress can show what a guest waits for. `None` if no subscriber
/// wants the span.
pub(crate) fn copy_up_span(
    path: impl FnOnce() -> Option<Vec<u8>>,
    bytes: Option<u64>,
) -> Option<tracing::span::EnteredSpan> {
    if !cfg!(feature = "native") || !tracing::enabled!(target: COPIES, tracing::Level::INFO) {
        return None;
    }
    let path = path()?;
    let path = display(Escaped::new(&path));
    Some(tracing::info_span!(target: COPIES, "copy-up", path, bytes).entered())
}

/// Writes the line of a call that the host refuses without a directory or file to call, for example a call
/// on a descriptor that is not open.
#[doc(hidden)]
#[inline]
pub fn refused<R: fmt::Display>(call: &'static str, code: Errno, reason: impl FnOnce() -> R) {
    if is_on() {
        write_without_path(call, &Error::new(code, reason()));
    }
}

/// Writes the line of an error that was not logged by its call. The line does not name the call.
#[doc(hidden)]
pub fn unlogged(error: &Error) {
    if error.has_details() && !error.is_logged() && is_on() {
        write_without_path("(not known)", error);
    }
}

#[cold]
fn write_without_path(call: &'static str, error: &Error) {
    let failed = FailedCall {
        call,
        path: None,
        to: None,
        layer: None,
    };
    failed.write(error, None);
}

/// A code as the WIT names it.
struct Code(Errno);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, letter) in format!("{:?}", self.0).chars().enumerate() {
            if index > 0 && letter.is_ascii_uppercase() {
                f.write_str("-")?;
            }
            write!(f, "{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

/// Untrusted text in a log line: control characters are escaped, and long text is truncated.
pub(crate) struct Escaped<'a> {
    bytes: &'a [u8],
    max_bytes: [usize; 2],
    escapes_backslash: bool,
}

impl<'a> Escaped<'a> {
    /// A path, a name or a link's target inside a message.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            max_bytes: NAME_BYTES,
            escapes_backslash: false,
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [head, tail] = self.max_bytes;
        let left_out = self.bytes.len().saturating_sub(head + tail);
        if left_out == 0 {
            return escape(f, self.bytes, self.escapes_backslash);
        }
        let (head, rest) = self.bytes.split_at(head);
        escape(f, head, self.escapes_backslash)?;
        write!(f, "…({left_out} bytes)…")?;
        escape(f, &rest[left_out..], self.escapes_backslash)
    }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8], escapes_backslash: bool) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\'' => f.write_str("'")?,
                '\\' if !escapes_backslash => f.write_str("\\")?,
                letter => fmt::Display::fmt(&letter.escape_debug(), f)?,
            }
        }
        fmt::Display::fmt(&chunk.invalid().escape_ascii(), f)?;
    }
    Ok(())
}

/// The same in quotes.
struct Quoted<'a>(Escaped<'a>);

impl<'a> Quoted<'a> {
    fn path(bytes: &'a [u8]) -> Self {
        Self(Escaped {
            escapes_backslash: true,
            ..Escaped::new(bytes)
        })
    }

    /// A message, in which names may already be escaped.
    fn text(text: &'a str) -> Self {
        Self(Escaped {
            max_bytes: TEXT_BYTES,
            ..Escaped::new(text.as_bytes())
        })
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_text_cannot_break_out_of_its_line() {
        let table = [
            (&b"a b'c"[..], r#""a b'c""#),
            (b"a\nWARN b", r#""a\nWARN b""#),
            (b"\x1b[31m\x07\r", r#""\u{1b}[31m\u{7}\r""#),
            (b"a\" layer=\"x", r#""a\" layer=\"x""#),
            (b"a\\n", r#""a\\n""#),
            (b"caf\xe9", r#""caf\xe9""#),
            ("é\u{202e}x\u{2028}".as_bytes(), r#""é\u{202e}x\u{2028}""#),
            (b"\xc2\x9b1m", r#""\u{9b}1m""#),
        ];
        for (bytes, expected) in table {
            assert_eq!(Quoted::path(bytes).to_string(), expected);
        }
    }

    #[test]
    fn long_text_is_truncated_in_the_middle() {
        let long = [b'a'; 4000];
        let shown = Quoted::path(&long).to_string();
        assert!(shown.contains("…(3488 bytes)…"), "{shown}");
        assert!(shown.len() < 600);
        // Escapes make each byte a few characters longer, so even text of escapes alone stays bounded.
        assert!(Quoted::path(&[0xff; 65_536]).to_string().len() < 2200);
        assert!(Quoted::text(&"\u{1}".repeat(65_536)).to_string().len() < 8000);
    }

    #[test]
    fn codes_are_named_as_in_the_wit() {
        for (errno, name) in [
            (Errno::Io, "io"),
            (Errno::NoEntry, "no-entry"),
            (Errno::TextFileBusy, "text-file-busy"),
            (Errno::NoTty, "no-tty"),
        ] {
            assert_eq!(Code(errno).to_string(), name);
        }
    }
}
