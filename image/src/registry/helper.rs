//! Credential helpers: programs that print credentials (`docker-credential-NAME get`).

use super::credentials::Credentials;
use super::error::Error;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Most that a helper may print, in bytes.
const OUTPUT_LIMIT: u64 = 256 << 10;
/// How long a helper may take. Some ask the user to unlock a key ring.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The name of the program.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks a helper for the credentials of `server`. `None` if it has none. `path` is the
/// `PATH` in which the program is searched.
///
/// # Errors
/// Names the helper: it cannot be started, fails, prints something else, or takes too long.
pub(super) fn get(
    name: &str,
    server: &str,
    path: Option<&OsStr>,
) -> Result<Option<Credentials>, Error> {
    let error = |detail: String| Error::Helper {
        helper: program(name),
        server: server.to_owned(),
        detail,
    };
    if name.contains('/') {
        return Err(error("the name of a helper has no `/`".to_owned()));
    }
    let mut command = Command::new(program(name));
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| match cause.kind() {
            ErrorKind::NotFound => error("no such program in PATH".to_owned()),
            _ => error(cause.to_string()),
        })?;
    let answer = converse(&mut child, server).map_err(&error)?;
    if !answer.success {
        // The helpers of docker say so on their standard output.
        if answer.text.contains("credentials not found") {
            return Ok(None);
        }
        return Err(error(answer.text));
    }
    parse(&answer.text)
        .map(Some)
        .map_err(|detail| error(detail.to_owned()))
}

struct Answer {
    success: bool,
    text: String,
}

/// Writes the server to the helper and collects what it prints. The helper has ended afterwards.
fn converse(child: &mut Child, server: &str) -> Result<Answer, String> {
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(server.as_bytes()) {
            Ok(()) => {}
            // The helper does not read its input. Its status decides whether that is an error.
            Err(cause) if cause.kind() == ErrorKind::BrokenPipe => {}
            Err(cause) => {
                stop(child);
                return Err(cause.to_string());
            }
        }
    }
    let output = child.stdout.take().map(collect);
    let errors = child.stderr.take().map(collect);
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() > TIMEOUT => {
                stop(child);
                return Err(format!("no answer within {} s", TIMEOUT.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(cause) => {
                stop(child);
                return Err(cause.to_string());
            }
        }
    };
    let text = |thread: Option<thread::JoinHandle<String>>| {
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    };
    let (output, errors) = (text(output), text(errors));
    if status.success() {
        return Ok(Answer {
            success: true,
            text: output,
        });
    }
    let mut text = one_line(&format!("{} {}", output.trim(), errors.trim()));
    if text.is_empty() {
        text = status.to_string();
    }
    Ok(Answer {
        success: false,
        text,
    })
}

/// The beginning of a text, for a message.
fn one_line(text: &str) -> String {
    let words: String = text.chars().take(300).collect();
    let words: Vec<_> = words.split_whitespace().collect();
    words.join(" ")
}

fn collect(stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        // What was printed before an error is still of use.
        let _ = stream.take(OUTPUT_LIMIT).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Kills a helper. It may have exited already.
fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn parse(output: &str) -> Result<Credentials, &'static str> {
    let value: Value = serde_json::from_str(output).map_err(|_| "its output is not JSON")?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match (text("Username"), text("Secret")) {
        (Some("<token>"), Some(secret)) => Ok(Credentials::IdentityToken(secret.to_owned())),
        (Some(user), Some(secret)) => Ok(Credentials::Password {
            user: user.to_owned(),
            password: secret.to_owned(),
        }),
        _ => Err("its output has no `Username` and `Secret`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_identity_token_are_told_apart() {
        assert_eq!(
            parse(r#"{"ServerURL":"s","Username":"u","Secret":"p"}"#),
            Ok(Credentials::parse("u:p"))
        );
        assert_eq!(
            parse(r#"{"Username":"<token>","Secret":"t"}"#),
            Ok(Credentials::IdentityToken("t".to_owned()))
        );
        assert!(parse("nothing").is_err() && parse("{}").is_err());
    }

    #[test]
    fn missing_helper_is_named() {
        let error = get("no-such-helper", "r.example", None)
            .expect_err("no such program")
            .to_string();
        assert!(
            error.contains("docker-credential-no-such-helper") && error.contains("r.example"),
            "{error}"
        );
    }

    #[test]
    fn helper_with_a_path_is_refused() {
        assert!(get("../../bin/x", "r.example", None).is_err());
    }
}
