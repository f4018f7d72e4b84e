//! Proxies from the environment, and the hosts that are reached without one.

use super::endpoint::is_loopback;
use super::error::Error;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// Proxies, by the scheme of the request. Loopback is never reached through one.
///
/// A proxy is asked for a tunnel (`CONNECT`) for plain http too.
#[derive(Clone, Default)]
pub struct Proxies {
    /// Proxy for https, as `http://[USER:PASSWORD@]HOST:PORT`.
    pub https: Option<String>,
    /// Proxy for plain http.
    pub http: Option<String>,
    /// Hosts that are reached without a proxy: `HOST`, which includes its subdomains, `.DOMAIN`, an address,
    /// a network in CIDR notation, each with a port if wanted, or `*`.
    pub bypass: Vec<String>,
}

impl Proxies {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the same in lower case.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    pub(super) fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| {
            get(name)
                .or_else(|| get(&name.to_ascii_lowercase()))
                .filter(|value| !value.trim().is_empty())
        };
        let all = variable("ALL_PROXY");
        Self {
            https: variable("HTTPS_PROXY").or_else(|| all.clone()),
            http: variable("HTTP_PROXY").or(all),
            bypass: variable("NO_PROXY")
                .map(|list| {
                    list.split(',')
                        .map(|entry| entry.trim().to_owned())
                        .collect()
                })
                .unwrap_or_default(),
        }
    }

    /// The proxy for `url`, if it is not reached directly.
    pub(super) fn of(&self, url: &Url) -> Option<&str> {
        let proxy = if url.scheme() == "https" {
            &self.https
        } else {
            &self.http
        };
        proxy
            .as_deref()
            .filter(|_| !is_loopback(url) && !self.bypasses(url))
    }

    fn bypasses(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return false;
        };
        self.bypass.iter().any(|entry| matches(entry, &host, port))
    }
}

/// Parses the address of a proxy.
pub(super) fn parse(proxy: &str) -> Result<ureq::Proxy, Error> {
    ureq::Proxy::new(proxy.trim()).map_err(|_| Error::Proxy {
        proxy: proxy.rsplit('@').next().unwrap_or_default().to_owned(),
    })
}

fn matches(entry: &str, host: &Host<&str>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, wanted_port) = split_port(entry);
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = match host {
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
        Host::Domain(domain) => {
            let name = name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase();
            let domain = domain.to_ascii_lowercase();
            if let Some(suffix) = name.strip_prefix('.') {
                return !suffix.is_empty() && domain.ends_with(&name);
            }
            return !name.is_empty() && (domain == name || domain.ends_with(&format!(".{name}")));
        }
    };
    match name.split_once('/') {
        Some((network, bits)) => in_network(address, network, bits),
        None => name.parse::<IpAddr>() == Ok(address),
    }
}

/// Splits `HOST:PORT`. An address of IPv6 has a port only after brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

impl fmt::Debug for Proxies {
    /// Omits the proxies, whose addresses may hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxies")
            .field("bypass", &self.bypass)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through_proxy(bypass: &str, url: &str) -> bool {
        let proxies = Proxies::from_variables(|name| match name {
            "https_proxy" => Some("http://proxy:3128".to_owned()),
            "NO_PROXY" => Some(bypass.to_owned()),
            _ => None,
        });
        proxies.of(&Url::parse(url).expect("a URL")).is_some()
    }

    #[test]
    fn no_proxy_lists_domains_addresses_networks_and_ports() {
        for (bypass, url, proxied) in [
            ("", "https://registry.example/v2/", true),
            ("*", "https://registry.example/v2/", false),
            ("registry.example", "https://registry.example/v2/", false),
            ("example", "https://registry.example/v2/", false),
            ("ample", "https://registry.example/v2/", true),
            (".example", "https://registry.example/v2/", false),
            (".registry.example", "https://registry.example/v2/", true),
            ("*.example", "https://registry.example/v2/", false),
            (
                "other, registry.example:443",
                "https://registry.example/v2/",
                false,
            ),
            (
                "registry.example:5000",
                "https://registry.example/v2/",
                true,
            ),
            ("10.0.0.0/8", "https://10.1.2.3:5000/v2/", false),
            ("10.0.0.0/8", "https://11.1.2.3/v2/", true),
            ("0.0.0.0/0", "https://11.1.2.3/v2/", false),
            ("fd00::/8", "https://[fd00::1]/v2/", false),
            ("[fd00::1]:443", "https://[fd00::1]/v2/", false),
            ("fd00::2", "https://[fd00::1]/v2/", true),
            ("", "https://localhost:5000/v2/", false),
            ("", "https://127.0.0.1/v2/", false),
            ("", "http://registry.example/v2/", false),
        ] {
            assert_eq!(
                through_proxy(bypass, url),
                proxied,
                "NO_PROXY={bypass} {url}"
            );
        }
    }

    #[test]
    fn error_of_a_proxy_omits_its_password() {
        let error = parse("ftp://user:secret@proxy:1")
            .expect_err("no such scheme")
            .to_string();
        assert!(
            error.contains("proxy:1") && !error.contains("secret"),
            "{error}"
        );
    }
}
