//! Where the store is, and what makes a folder a store.

use super::files::{Faults, Files, TEMP};
use super::{BLOBS, HOST_FILES, INDEX, LOCK, OURS, PARTIAL, Store, UNPACKED};
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const EMPTY: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// The folder of the user's store. An empty variable counts as unset, as the XDG specification has it.
pub(super) fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(path) = variable("WASI_OVERLAY_STORE") {
        return Ok(path.into());
    }
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let data = absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    match data {
        Some(data) => Ok(data.join("wasi-overlay/store")),
        None => Err(Error::NoStoreFolder),
    }
}

impl Store {
    pub(super) fn create(path: &Path, faults: Option<Faults>) -> Result<Self> {
        let files = Arc::new(Files::open(path, faults)?);
        let is_layout = files.stat("oci-layout")?.is_some();
        if !is_layout && files.list(".")?.iter().any(|name| name != OURS) {
            // A store that was cut while it was created has our lock.
            let is_cut = files.stat(LOCK)?.is_some();
            if !is_cut {
                return Err(Error::NotAStore {
                    path: path.display().to_string(),
                });
            }
        }
        match prepare(&files, is_layout) {
            Ok(()) => {}
            Err(Error::Io { source, .. }) if is_layout && is_denied(&source) => {
                files.set_read_only();
            }
            Err(error) => return Err(error),
        }
        Ok(Self { files })
    }
}

/// Creates what is missing, `oci-layout` last: other tools recognise a layout by it.
fn prepare(files: &Arc<Files>, is_layout: bool) -> Result<()> {
    let mut is_new = false;
    for folder in [OURS, INDEX, UNPACKED, HOST_FILES, PARTIAL, TEMP] {
        is_new |= files.create_dir(folder)?;
    }
    files.open_or_create(LOCK)?;
    for folder in ["blobs", BLOBS] {
        is_new |= files.create_dir(folder)?;
    }
    if is_new {
        for parent in [OURS, "blobs", "."] {
            files.sync_dir(parent)?;
        }
    }
    if files.stat("index.json")?.is_none() {
        let _lock = super::names::lock(files)?;
        if files.stat("index.json")?.is_none() {
            files.replace("index.json", &[EMPTY], true)?;
        }
    }
    if !is_layout {
        files.replace("oci-layout", &[LAYOUT], true)?;
    }
    Ok(())
}

fn is_denied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::default_path;
    use crate::error::Error;
    use std::ffi::OsString;
    use std::path::Path;

    fn path(variables: &[(&str, &str)]) -> Result<std::path::PathBuf, Error> {
        default_path(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn store_variable_precedes_xdg_and_home() {
        let all = [
            ("WASI_OVERLAY_STORE", "/s"),
            ("XDG_DATA_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(path(&all).unwrap(), Path::new("/s"));
        assert_eq!(path(&all[1..]).unwrap(), Path::new("/x/wasi-overlay/store"));
        let home = Path::new("/h/.local/share/wasi-overlay/store");
        assert_eq!(path(&all[2..]).unwrap(), home);
        let relative = [("XDG_DATA_HOME", "x"), ("HOME", "/h")];
        assert_eq!(path(&relative).unwrap(), home);
    }

    #[test]
    fn missing_home_says_which_variable_to_set() {
        for variables in [&[][..], &[("HOME", "")]] {
            let error = path(variables).unwrap_err();
            assert!(matches!(error, Error::NoStoreFolder), "{error:?}");
            assert!(error.to_string().contains("set WASI_OVERLAY_STORE"));
        }
    }
}
