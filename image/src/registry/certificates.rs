//! Certificates that servers are checked against.

use super::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Directories with certificates of single hosts, as podman and docker read them.
const CERTIFICATES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
/// Largest certificate file, in bytes.
const CERTIFICATE_LIMIT: u64 = 1 << 20;

/// The system's certificates; those of Mozilla where the system has none.
pub(super) fn system_roots() -> RootCerts {
    // Certificates that cannot be read are missed by the handshake, which names the host.
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    RootCerts::Specific(Arc::new(
        found
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect(),
    ))
}

/// The certificates of the system with those of a host. Without any of the system, those of the host alone.
pub(super) fn add(system: &RootCerts, own: Vec<Certificate<'static>>) -> RootCerts {
    match system {
        system if own.is_empty() => system.clone(),
        RootCerts::Specific(system) => {
            RootCerts::Specific(Arc::new(system.iter().cloned().chain(own).collect()))
        }
        _ => RootCerts::Specific(Arc::new(own)),
    }
}

/// The certificates for one host: those in `folder` (`--cert-dir`), otherwise those in its folder of
/// podman's and docker's directories. They are trusted beside the system's.
///
/// # Errors
/// A certificate that cannot be read; a `folder` that cannot be listed.
pub(super) fn of_host(
    host: &str,
    folder: Option<&Path>,
) -> Result<Vec<Certificate<'static>>, Error> {
    let mut certificates = Vec::new();
    if let Some(folder) = folder {
        read_folder(folder, &mut certificates)?;
        return Ok(certificates);
    }
    for parent in CERTIFICATES {
        let folder = Path::new(parent).join(host);
        match read_folder(&folder, &mut certificates) {
            Err(Error::Io { source, .. }) if is_absent(&source) => {}
            result => result?,
        }
    }
    Ok(certificates)
}

/// Most hosts have no folder. A name that cannot be one, such as that of an address of IPv6, has none.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}

/// Reads the files `*.crt` of a folder.
fn read_folder(folder: &Path, certificates: &mut Vec<Certificate<'static>>) -> Result<(), Error> {
    let error = |what: &str, path: &Path, source| Error::Io {
        what: format!("cannot {what} {}", path.display()),
        source,
    };
    for entry in fs::read_dir(folder).map_err(|cause| error("list", folder, cause))? {
        let path = entry.map_err(|cause| error("list", folder, cause))?.path();
        if path.extension().is_none_or(|extension| extension != "crt") {
            continue;
        }
        let mut text = Vec::new();
        fs::File::open(&path)
            .and_then(|file| file.take(CERTIFICATE_LIMIT).read_to_end(&mut text))
            .map_err(|cause| error("read", &path, cause))?;
        for item in parse_pem(&text) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                Ok(_) => {}
                Err(cause) => return Err(error("read", &path, io::Error::other(cause))),
            }
        }
    }
    Ok(())
}
