//! Credentials from the files of docker and podman.
//!
//! The files are read here and not by the crate `docker_credential`, which only finds the exact name of a
//! server (podman also has entries for repositories), reads files and the output of helpers without
//! a bound, and does not name a helper that cannot be started.

use super::error::Error;
use super::helper;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::geteuid;
use serde_json::Value;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Largest file with credentials, in bytes.
const FILE_LIMIT: u64 = 4 << 20;
/// The name of Docker Hub in these files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A user's credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// User and password.
    Password {
        /// Name of the user.
        user: String,
        /// Password or access token.
        password: String,
    },
    /// A refresh token, which the token server exchanges.
    IdentityToken(String),
    /// A token for the registry itself.
    RegistryToken(String),
}

impl Credentials {
    /// User and password from `USER:PASSWORD`; without a colon, the password is empty.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    /// Omits secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => formatter
                .debug_struct("Password")
                .field("user", user)
                .finish_non_exhaustive(),
            Self::IdentityToken(_) => formatter.write_str("IdentityToken"),
            Self::RegistryToken(_) => formatter.write_str("RegistryToken"),
        }
    }
}

/// Credentials, and where they were found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) credentials: Credentials,
    /// For messages: a file, a helper or an option.
    pub(super) origin: String,
}

/// The files with credentials, in the order of their precedence.
#[derive(Clone, Debug)]
pub(super) struct AuthFiles {
    files: Vec<PathBuf>,
    /// Whether the file must exist, because the user named it.
    required: bool,
    /// The `PATH` in which helpers are searched, if it is not that of this process.
    path: Option<OsString>,
}

impl AuthFiles {
    /// `explicit` or `REGISTRY_AUTH_FILE` alone; otherwise podman's files, then docker's.
    pub(super) fn new(explicit: Option<&Path>, get: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name: &str| {
            get(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let path = get("PATH");
        if let Some(file) = explicit
            .map(Path::to_owned)
            .or_else(|| variable("REGISTRY_AUTH_FILE"))
        {
            return Self {
                files: vec![file],
                required: true,
                path,
            };
        }
        let home = variable("HOME");
        let files = [
            Some(match variable("XDG_RUNTIME_DIR") {
                Some(folder) => folder.join("containers/auth.json"),
                // podman's default where there is no session.
                None => format!("/run/containers/{}/auth.json", geteuid().as_raw()).into(),
            }),
            variable("XDG_CONFIG_HOME")
                .or_else(|| home.as_ref().map(|home| home.join(".config")))
                .map(|folder| folder.join("containers/auth.json")),
            variable("DOCKER_CONFIG")
                .or_else(|| home.map(|home| home.join(".docker")))
                .map(|folder| folder.join("config.json")),
        ];
        Self {
            files: files.into_iter().flatten().collect(),
            required: false,
            path,
        }
    }

    /// The credentials for a repository of a registry.
    ///
    /// # Errors
    /// A file that cannot be read or understood, a helper that fails.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Result<Option<Found>, Error> {
        for path in &self.files {
            let Some(file) = read(path, self.required)? else {
                continue;
            };
            if let Some(found) = self.find_in(&file, path, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Looks for a helper of the registry, then for an entry, then asks the store of all credentials.
    fn find_in(
        &self,
        file: &Value,
        path: &Path,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Found>, Error> {
        let name = file
            .get("credHelpers")
            .and_then(Value::as_object)
            .and_then(|helpers| helpers.iter().find(|(key, _)| normalize(key) == registry))
            .and_then(|(_, name)| name.as_str());
        if let Some(name) = name {
            return self.ask_helper(name, path, registry);
        }
        if let Some(auths) = file.get("auths").and_then(Value::as_object) {
            let entries: HashMap<&str, &Value> = auths
                .iter()
                .rev()
                .map(|(key, entry)| (normalize(key), entry))
                .collect();
            for key in keys(registry, repository) {
                if let Some(entry) = entries.get(key.as_str())
                    && let Some(credentials) = decode(entry).map_err(|detail| Error::AuthFile {
                        path: path.to_owned(),
                        detail: format!("entry `{key}`: {detail}"),
                    })?
                {
                    return Ok(Some(Found {
                        credentials,
                        origin: format!("entry `{key}` of {}", path.display()),
                    }));
                }
            }
        }
        match file.get("credsStore").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => self.ask_helper(name, path, registry),
            _ => Ok(None),
        }
    }

    fn ask_helper(&self, name: &str, path: &Path, registry: &str) -> Result<Option<Found>, Error> {
        let server = if registry == "docker.io" {
            DOCKER_HUB
        } else {
            registry
        };
        let found = helper::get(name, server, self.path.as_deref())?;
        Ok(found.map(|credentials| Found {
            credentials,
            origin: format!("helper `{}` of {}", helper::program(name), path.display()),
        }))
    }
}

fn read(path: &Path, required: bool) -> Result<Option<Value>, Error> {
    let error = |detail: String| Error::AuthFile {
        path: path.to_owned(),
        detail,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        // Another user's file, as after `su`, is as good as none.
        Err(cause)
            if !required
                && matches!(
                    cause.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) =>
        {
            return Ok(None);
        }
        Err(cause) => return Err(error(cause.to_string())),
    };
    let mut text = Vec::new();
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(|cause| error(cause.to_string()))?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(error(format!("larger than {FILE_LIMIT} bytes")));
    }
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let value =
        serde_json::from_slice(&text).map_err(|cause| error(format!("not JSON: {cause}")))?;
    Ok(Some(value))
}

/// The names of an entry without scheme, the path of docker's old API, and a slash at the end.
fn normalize(key: &str) -> &str {
    let name = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let name = name.trim_end_matches('/');
    let name = name
        .strip_suffix("/v1")
        .or_else(|| name.strip_suffix("/v2"))
        .unwrap_or(name);
    match name {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

/// `host/a/b`, `host/a`, `host`: podman has credentials for repositories and namespaces.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut rest = repository;
    while !rest.is_empty() {
        keys.push(format!("{registry}/{rest}"));
        rest = rest.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    keys.push(registry.to_owned());
    keys
}

/// The credentials of an entry. docker leaves empty entries for those that a helper has.
fn decode(entry: &Value) -> Result<Option<Credentials>, String> {
    let text = |name: &str| {
        entry
            .get(name)
            .and_then(Value::as_str)
            .filter(|value| !value.is_empty())
    };
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::IdentityToken(token.to_owned())));
    }
    if let Some(token) = text("registrytoken") {
        return Ok(Some(Credentials::RegistryToken(token.to_owned())));
    }
    if let Some(auth) = text("auth") {
        let padded = auth.trim_end_matches('=');
        let padded = format!("{padded}{}", &"==="[..(4 - padded.len() % 4) % 4]);
        let bytes = STANDARD
            .decode(padded)
            .map_err(|_| "`auth` is not base64".to_owned())?;
        let plain = String::from_utf8(bytes).map_err(|_| "`auth` is not UTF-8".to_owned())?;
        let (user, password) = plain
            .split_once(':')
            .ok_or_else(|| "`auth` holds no `USER:PASSWORD`".to_owned())?;
        return Ok(Some(Credentials::Password {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        }));
    }
    Ok(text("username").map(|user| Credentials::Password {
        user: user.to_owned(),
        password: text("password").unwrap_or_default().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(file: &str, registry: &str, repository: &str) -> Option<Credentials> {
        let value = serde_json::from_str(file).expect("JSON");
        AuthFiles::new(None, |_| None)
            .find_in(&value, Path::new("auth.json"), registry, repository)
            .expect("a file that is understood")
            .map(|found| found.credentials)
    }

    fn entry(user: &str) -> String {
        format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:p:w")))
    }

    #[test]
    fn most_specific_entry_of_a_repository_wins() {
        let file = format!(
            r#"{{"auths":{{"r.example":{},"r.example/a":{},"r.example/a/b":{}}}}}"#,
            entry("host"),
            entry("namespace"),
            entry("repository")
        );
        for (repository, user) in [
            ("a/b", "repository"),
            ("a/b/c", "repository"),
            ("a/c", "namespace"),
            ("ab", "host"),
        ] {
            let expected = Credentials::Password {
                user: user.to_owned(),
                password: "p:w".to_owned(),
            };
            assert_eq!(
                find(&file, "r.example", repository),
                Some(expected),
                "{repository}"
            );
        }
        assert_eq!(find(&file, "r.example:5000", "a/b"), None);
    }

    #[test]
    fn docker_hub_is_found_under_each_of_its_names() {
        for key in [
            "https://index.docker.io/v1/",
            "index.docker.io",
            "docker.io",
            "https://docker.io",
        ] {
            let file = format!(r#"{{"auths":{{"{key}":{}}}}}"#, entry("me"));
            assert_eq!(
                find(&file, "docker.io", "library/app"),
                Some(Credentials::parse("me:p:w")),
                "{key}"
            );
        }
    }

    #[test]
    fn empty_entry_is_no_credential() {
        assert_eq!(
            find(r#"{"auths":{"r.example":{}}}"#, "r.example", "a"),
            None
        );
    }

    #[test]
    fn tokens_and_plain_passwords_are_read() {
        for (entry, expected) in [
            (
                r#"{"identitytoken":"t"}"#,
                Credentials::IdentityToken("t".to_owned()),
            ),
            (
                r#"{"registrytoken":"t"}"#,
                Credentials::RegistryToken("t".to_owned()),
            ),
            (
                r#"{"username":"u","password":"p"}"#,
                Credentials::parse("u:p"),
            ),
            // Without padding.
            (r#"{"auth":"dTpw"}"#, Credentials::parse("u:p")),
            (r#"{"auth":"dXU6cHA"}"#, Credentials::parse("uu:pp")),
        ] {
            let file = format!(r#"{{"auths":{{"r.example":{entry}}}}}"#);
            assert_eq!(find(&file, "r.example", "a"), Some(expected), "{entry}");
        }
    }

    #[test]
    fn broken_entry_is_an_error_that_names_file_and_entry() {
        let value = serde_json::from_str(r#"{"auths":{"r.example":{"auth":"%"}}}"#).expect("JSON");
        let error = AuthFiles::new(None, |_| None)
            .find_in(&value, Path::new("/x/auth.json"), "r.example", "a")
            .expect_err("not base64");
        let text = error.to_string();
        assert!(
            text.contains("/x/auth.json") && text.contains("r.example"),
            "{text}"
        );
    }

    #[test]
    fn debug_output_has_no_secret() {
        assert!(!format!("{:?}", Credentials::parse("u:secret")).contains("secret"));
    }

    #[test]
    fn podmans_files_come_before_dockers() {
        let files = AuthFiles::new(None, |name| match name {
            "XDG_RUNTIME_DIR" => Some("/run/user/1".into()),
            "HOME" => Some("/home/me".into()),
            _ => None,
        });
        assert_eq!(
            files.files,
            [
                "/run/user/1/containers/auth.json",
                "/home/me/.config/containers/auth.json",
                "/home/me/.docker/config.json"
            ]
            .map(PathBuf::from)
        );
        let without_session = AuthFiles::new(None, |_| None).files;
        let own = format!("/run/containers/{}/auth.json", geteuid().as_raw());
        assert_eq!(without_session, [PathBuf::from(own)]);
    }

    #[test]
    fn named_file_must_exist() {
        let error = AuthFiles::new(Some(Path::new("/none/auth.json")), |_| None)
            .find("r.example", "a")
            .expect_err("no such file");
        assert!(error.to_string().contains("/none/auth.json"), "{error}");
    }
}
