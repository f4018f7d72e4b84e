//! Directories at the mount points of other mounts, in the lowest layer of the overlay that is mounted above
//! them: so that a listing of `/` shows `/data` too.
//!
//! A guest's C library opens `/data/x` in the mount at `/data`, but lists `/` in the mount at `/`, which has
//! no `data` unless one of its layers does. The layer here is below all others, so it shows only where those
//! have nothing, and a change to such a directory is an ordinary change of the overlay.

use crate::fields::path_components;
use wasi_overlay::{Error, Lower, MemoryLayer};

/// The name of the layer in logs. It has no option.
const LABEL: &str = "mount points";

/// The paths below `at`, relative to it, of the other mount points whose nearest mount is `at`.
pub(crate) fn below(at: &str, all: &[String]) -> Vec<String> {
    let is_above = |above: &str, path: &str| {
        let (mut above, mut path) = (path_components(above), path_components(path));
        above.all(|name| path.next() == Some(name)) && path.next().is_some()
    };
    let is_nearest = |path: &&String| {
        let between = |other: &&String| is_above(at, other) && is_above(other, path);
        is_above(at, path) && !all.iter().any(|other| between(&other))
    };
    all.iter()
        .filter(is_nearest)
        .map(|path| {
            let names = path_components(path).skip(path_components(at).count());
            names.collect::<Vec<_>>()
        })
        .filter(|names| names.iter().all(|name| is_possible(name)))
        .map(|names| names.join("/"))
        .collect()
}

/// Whether an overlay can have a directory of this name.
fn is_possible(name: &str) -> bool {
    name != ".." && !name.starts_with(".wh.") && name.len() <= 255
}

/// The layer with these directories.
pub(crate) fn layer(paths: &[String]) -> Result<Lower, Error> {
    let empty = MemoryLayer::build();
    let layer = paths.iter().fold(empty, |layer, path| layer.dir(path));
    Ok(Lower::new(LABEL, layer.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mount_point_belongs_to_the_nearest_mount() {
        let all = ["/", "/data", "/data/sub//dir/", "/tmp", "work", "/a/../b"];
        let all: Vec<_> = all.map(str::to_owned).into();
        assert_eq!(below("/", &all), ["data", "tmp"]);
        assert_eq!(below("/data", &all), ["sub/dir"]);
        assert_eq!(below("/tmp", &all), [""; 0]);
        assert_eq!(below("/da", &all), [""; 0]);
    }

    #[test]
    fn impossible_names_are_omitted() {
        let long = format!("/{}", "x".repeat(256));
        let all = vec!["/".to_owned(), "/.wh.x".to_owned(), long];
        assert_eq!(below("/", &all), [""; 0]);
    }
}
