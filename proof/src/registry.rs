//! [`Registry`]: Debian's docker-registry on loopback.

use crate::machine::{Need, has};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running docker-registry. It ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    script: Child,
    host: String,
    cert_dir: Option<PathBuf>,
}

impl Registry {
    /// Starts `scripts/registry.sh` with these arguments. `None` where one of its programs or of `others` is
    /// missing and `test` may be skipped.
    ///
    /// # Panics
    /// If a program is missing and no test may be skipped; if the registry does not start.
    pub fn start(test: &str, arguments: &[&str], others: &[Need]) -> Option<Self> {
        let own = ["docker-registry", "openssl", "perl", "rustc"].map(Need::Program);
        if !has(test, &own) || !has(test, others) {
            return None;
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/registry.sh");
        let mut script = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/registry.sh");
        let mut lines = BufReader::new(script.stdout.take().expect("a pipe")).lines();
        let mut line = || lines.next().expect("a line of the script");
        let host = line().expect("the address");
        let has_certificate = arguments.contains(&"--tls");
        let cert_dir = has_certificate.then(|| line().expect("the folder of its CA").into());
        Some(Self {
            script,
            host,
            cert_dir,
        })
    }

    /// Its address: a host and a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The folder with the certificate of its CA, if it speaks https.
    pub fn cert_dir(&self) -> Option<&Path> {
        self.cert_dir.as_deref()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // The script ends when its input ends.
        drop(self.script.stdin.take());
        if let Err(error) = self.script.wait() {
            eprintln!("scripts/registry.sh: {error}");
        }
    }
}
