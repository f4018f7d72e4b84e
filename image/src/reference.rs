//! [`Reference`]: names of images, as docker and podman write them.

use crate::digest::Digest;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The registry of a reference that names none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of a reference that has neither a tag nor a digest.
pub const DEFAULT_TAG: &str = "latest";

/// Bytes of registry and repository together, as in Docker's grammar.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The name of an image: `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]`. It displays in full:
/// `alpine` is `docker.io/library/alpine:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The host of the registry, and the port if it is given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry, such as `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. `None` only if there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The reference with `digest` instead of its tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The shortest text with the same meaning: without the default registry and `library/`.
    pub fn short(&self) -> String {
        let full = self.to_string();
        let short = full
            .strip_prefix("docker.io/library/")
            .or_else(|| full.strip_prefix("docker.io/"));
        match short {
            Some(short) if short.parse().is_ok_and(|parsed: Self| parsed == *self) => {
                short.to_owned()
            }
            _ => full,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|reason| Error::Reference {
            text: text.escape_debug().to_string(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty; expected something like `docker.io/library/alpine:3.20`".into());
    }
    if let Some((transport, rest)) = text.split_once("://") {
        return Err(format!(
            "a reference has no `{transport}://` in front; expected `{rest}`"
        ));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest
                .parse::<Digest>()
                .map_err(|error| error.to_string())?;
            (rest, Some(digest))
        }
        None => (text, None),
    };
    // A colon after the last slash begins a tag; one before it belongs to a port.
    let after_slash = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(colon) => {
            let (name, tag) = rest.split_at(after_slash + colon);
            (name, Some(&tag[1..]))
        }
        None => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (registry, path) = split_registry(name);
    check_registry(registry)?;
    check_repository(path)?;
    if name == path && Digest::from_hex(path).is_some() {
        return Err(format!(
            "64 hexadecimal digits are a digest; expected `NAME@sha256:{path}`"
        ));
    }
    let registry = match registry {
        "index.docker.io" => DEFAULT_REGISTRY,
        other => other,
    };
    let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    if registry.len() + 1 + repository.len() > MAX_NAME {
        return Err(format!("its name is longer than {MAX_NAME} bytes"));
    }
    let tag = match (tag, digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_TAG.to_owned()),
    };
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        tag,
        digest,
    })
}

/// Splits a name into registry and repository. The first component is a registry if it has a dot or a
/// port, is `localhost`, or has an upper case letter, which a repository cannot have.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':', '['])
                || first == "localhost"
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn check_registry(registry: &str) -> Result<(), String> {
    let wrong = || {
        Err(format!(
            "`{}` is not the host of a registry",
            registry.escape_debug()
        ))
    };
    let (host, port) = if let Some(rest) = registry.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return wrong();
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return wrong();
        }
        (None, port)
    } else {
        match registry.find(':') {
            Some(colon) => (Some(&registry[..colon]), &registry[colon..]),
            None => (Some(registry), ""),
        }
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.is_some_and(|host| !host.split('.').all(is_label)) {
        return wrong();
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        Some(digits) if digits.parse::<u16>().is_ok() && !digits.starts_with('+') => Ok(()),
        _ => wrong(),
    }
}

fn check_repository(path: &str) -> Result<(), String> {
    for component in path.split('/') {
        if component.is_empty() {
            return Err("a component of its repository is empty".into());
        }
        if component.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format!(
                "repositories are in lower case; expected `{}`",
                path.to_ascii_lowercase()
            ));
        }
        if !is_component(component) {
            return Err(format!(
                "`{}` is not a component of a repository: expected lower case letters and digits, separated by `.`, `_`, `__` or `-`",
                component.escape_debug()
            ));
        }
    }
    Ok(())
}

/// Letters and digits, with separators between them: one dot, one or two underscores, or any number of
/// dashes.
fn is_component(component: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    is_letter(first)
        && is_letter(last)
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

fn check_tag(tag: &str) -> Result<(), String> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = !tag.is_empty()
        && tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    if fits {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a tag: expected at most {MAX_TAG} letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`",
        tag.escape_debug()
    ))
}
