//! Addresses of registries, and the URLs of their API.

use super::error::Error;
use super::options::Mirror;
use url::{Host, Url};

/// A server with the API of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Scheme, host and port.
    base: Url,
    /// The host and port as users write them. Credentials are stored under this name.
    pub(super) name: String,
    /// Stands before the names of repositories.
    prefix: String,
    /// The registry that this server mirrors.
    mirrors: Option<String>,
}

impl Endpoint {
    /// The server of `registry`, which is `HOST[:PORT]`.
    pub(super) fn of_registry(registry: &str, plain: bool) -> Result<Self, Error> {
        Ok(Self {
            base: base_url(api_host(registry), plain)?,
            name: registry.to_owned(),
            prefix: String::new(),
            mirrors: None,
        })
    }

    pub(super) fn of_mirror(mirror: &Mirror, plain: bool) -> Result<Self, Error> {
        let (host, prefix) = mirror
            .location
            .split_once('/')
            .unwrap_or((&mirror.location, ""));
        let prefix = prefix.trim_matches('/');
        Ok(Self {
            base: base_url(api_host(host), plain)?,
            name: host.to_owned(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
            mirrors: Some(mirror.registry.clone()),
        })
    }

    /// The URL of `rest` in a repository, for example `manifests/latest`.
    pub(super) fn url(&self, repository: &str, rest: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}{repository}/{rest}", self.prefix));
        if let Some(registry) = &self.mirrors {
            url.query_pairs_mut().append_pair("ns", registry);
        }
        url
    }

    /// The name of the repository in tokens.
    pub(super) fn repository(&self, repository: &str) -> String {
        format!("{}{repository}", self.prefix)
    }

    /// Whether `url` belongs to this server, so that it may see the registry's credentials.
    pub(super) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    pub(super) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }
}

/// Docker Hub's API has a host of its own.
pub(super) fn api_host(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    }
}

/// The URL of a host, with nothing but host and port in it.
pub(super) fn base_url(host: &str, plain: bool) -> Result<Url, Error> {
    let invalid = || Error::Host {
        host: host.to_owned(),
    };
    let scheme = if plain { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| invalid())?;
    let only_host = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.has_host();
    if only_host { Ok(url) } else { Err(invalid()) }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Host and port, for messages.
pub(super) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

/// The URL without user, password, query and fragment, which may hold signatures.
pub(super) fn printable(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host_of(url), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_io_is_reached_at_its_api_host() {
        let endpoint = Endpoint::of_registry("docker.io", false).expect("a host");
        assert_eq!(
            endpoint.url("library/app", "manifests/1").as_str(),
            "https://registry-1.docker.io/v2/library/app/manifests/1"
        );
    }

    #[test]
    fn mirror_has_a_prefix_and_names_the_registry() {
        let mirror = Mirror {
            registry: "docker.io".to_owned(),
            location: "cache.example:5000/hub/".to_owned(),
            fall_back: true,
        };
        let endpoint = Endpoint::of_mirror(&mirror, true).expect("a host");
        assert_eq!(
            endpoint.url("library/app", "manifests/1").as_str(),
            "http://cache.example:5000/v2/hub/library/app/manifests/1?ns=docker.io"
        );
    }

    #[test]
    fn host_with_anything_else_in_it_is_refused() {
        for host in [
            "",
            "user@host",
            "host/path",
            "host?query",
            "host#x",
            "ho st",
            "host:port",
        ] {
            assert!(Endpoint::of_registry(host, false).is_err(), "{host}");
        }
    }

    #[test]
    fn only_loopback_addresses_and_localhost_are_loopback() {
        for (host, loopback) in [
            ("localhost:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("128.0.0.1", false),
            ("127.0.0.1.example", false),
        ] {
            assert_eq!(
                is_loopback(&base_url(host, true).expect("a host")),
                loopback,
                "{host}"
            );
        }
    }
}
