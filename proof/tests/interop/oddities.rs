//! Layers written by hand, with unusual entries that tools write or might write. The engine reads them as those tools
//! do if they agree, and otherwise by the image spec, or refuses them.

use crate::image::Image;
use crate::tree::{Tree, on_layers};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use wasi_overlay_core::Errno;
use wasi_overlay_proof::kit::how;
use wasi_overlay_proof::machine::{Mount, Need, Scratch, has, set_attribute};

/// Two layers.
struct Layers {
    scratch: Scratch,
    layers: [PathBuf; 2],
}

impl Layers {
    fn new() -> Self {
        let scratch = Scratch::new();
        let layers = ["bottom", "top"].map(|name| scratch.dir(name));
        Self { scratch, layers }
    }

    /// Creates files in the bottom layer, which contain their paths.
    fn below(self, files: &[&str]) -> Self {
        files
            .iter()
            .for_each(|path| write(&self.layers[0], path, path));
        self
    }

    /// Creates files in the top layer, which contain their paths.
    fn above(self, files: &[&str]) -> Self {
        files
            .iter()
            .for_each(|path| write(&self.layers[1], path, path));
        self
    }

    /// Creates whiteouts, as empty files, in the top layer.
    fn whiteouts(self, whiteouts: &[&str]) -> Self {
        whiteouts
            .iter()
            .for_each(|path| write(&self.layers[1], path, ""));
        self
    }

    fn top(&self) -> &Path {
        &self.layers[1]
    }

    /// Asserts that the engine shows these files and no others. Directories are ignored.
    fn shows(&self, files: &[&str]) -> &Self {
        let ours = Tree::of_layers(&self.layers);
        assert_eq!(ours.files(), files, "{ours:?}");
        self
    }

    /// Asserts that umoci unpacks the same tree.
    fn as_umoci(&self) -> &Self {
        if has("oddities in umoci", &[Need::Program("umoci"), Need::Root]) {
            let image = Image::of_layers(&self.scratch, &self.layers);
            self.is_same("umoci", &image.unpacked("unpacked"));
        }
        self
    }

    /// Asserts that fuse-overlayfs shows the same tree.
    fn as_fuse_overlayfs(&self) -> &Self {
        if has(
            "oddities in fuse-overlayfs",
            &[Need::Program("fuse-overlayfs"), Need::Root],
        ) {
            let at = self.scratch.dir("merged");
            let mount = Mount::fuse(&at, &self.layers, None, &[]).expect("a mount");
            self.is_same("fuse-overlayfs", mount.path());
        }
        self
    }

    fn is_same(&self, reader: &str, tree: &Path) {
        let theirs = Tree::of_host(tree).unpacked_only();
        let ours = Tree::of_layers(&self.layers).unpacked_only();
        let differences = theirs.differences(reader, &ours, "ours");
        assert!(differences.is_empty(), "{differences}");
    }

    /// Asserts that the engine refuses `path`, with a message that contains the layer and `word`.
    fn refused(&self, path: &str, word: &str) {
        let overlay = on_layers(&self.layers).build().expect("an overlay");
        let root = overlay.root();
        let error = root.stat_at(path, false).map(|_| ()).and_then(|()| {
            match root.open_at(path, how("rn"))? {
                wasi_overlay_core::Opened::Dir(dir) => dir.list().map(|_| ()),
                wasi_overlay_core::Opened::File(_) => Ok(()),
            }
        });
        let error = error.expect_err("what must be refused");
        assert_eq!(error.errno(), Errno::Unsupported, "{error}");
        let words = error.to_string();
        let layer = self.top().display().to_string();
        for part in [layer.as_str(), word, "in dir"] {
            assert!(words.contains(part), "{part:?} is missing: {words}");
        }
    }
}

fn write(layer: &Path, path: &str, text: &str) {
    let path = layer.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

impl Tree {
    fn files(&self) -> Vec<&str> {
        let is_file = |path: &&String| {
            let below = format!("{path}/");
            !path.is_empty() && !self.0.keys().any(|other| other.starts_with(&below))
        };
        self.0.keys().filter(is_file).map(String::as_str).collect()
    }
}

#[test]
fn whiteouts_of_mode_0000_hide() {
    let layers = Layers::new()
        .below(&["dir/gone", "dir/kept", "gone"])
        .whiteouts(&["dir/.wh.gone", ".wh.gone"]);
    for whiteout in ["dir/.wh.gone", ".wh.gone"] {
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(layers.top().join(whiteout), closed).expect("a mode");
    }
    layers.shows(&["dir/kept"]).as_umoci().as_fuse_overlayfs();
}

#[test]
fn whiteouts_with_content_hide() {
    let layers = Layers::new().below(&["gone", "kept"]).above(&[".wh.gone"]);
    layers.shows(&["kept"]).as_umoci().as_fuse_overlayfs();
}

/// In directories without lower entries, with other entries, with whiteouts, and deeper in the tree.
#[test]
fn opaque_whiteouts_hide_only_lower_layers() {
    Layers::new()
        .below(&["a/b/gone", "a/b/c/gone", "a/kept", "x/gone"])
        .above(&["a/b/new", "a/b/c/new", "only/new", "x/y/new"])
        .whiteouts(&[
            "a/b/.wh..wh..opq",
            "a/b/.wh.gone",
            "only/.wh..wh..opq",
            "x/.wh..wh..opq",
        ])
        .shows(&["a/b/c/new", "a/b/new", "a/kept", "only/new", "x/y/new"])
        .as_umoci()
        .as_fuse_overlayfs();
}

#[test]
fn an_opaque_root_hides_all_layers_below() {
    let layers = Layers::new()
        .below(&["gone", "dir/gone"])
        .above(&["dir/new"])
        .whiteouts(&[".wh..wh..opq"]);
    layers.shows(&["dir/new"]).as_umoci().as_fuse_overlayfs();
}

#[test]
fn whiteouts_of_missing_names_hide_nothing() {
    let layers = Layers::new().below(&["dir/kept"]).whiteouts(&[
        ".wh.nothing",
        "dir/.wh.nothing",
        "new/.wh.nothing",
    ]);
    layers
        .shows(&["dir/kept", "new"])
        .as_umoci()
        .as_fuse_overlayfs();
}

/// By the image spec, whiteouts apply only to lower layers. fuse-overlayfs differs, so it is not compared.
#[test]
fn entry_beats_whiteout_of_its_layer() {
    let layers = Layers::new()
        .below(&["file", "dir/gone", "link"])
        .above(&["file", "dir/new"])
        .whiteouts(&[".wh.file", ".wh.dir", ".wh.link"]);
    symlink("file", layers.top().join("link")).expect("a link");
    layers.shows(&["dir/new", "file", "link"]);
    // umoci reads a directory with a whiteout beside it as merged if the whiteout is unpacked first.
    let layers = Layers::new()
        .below(&["file", "other"])
        .above(&["file"])
        .whiteouts(&[".wh.file", ".wh.other"]);
    layers.shows(&["file"]).as_umoci();
}

/// Reserved names of aufs and its successors.
#[test]
fn reserved_names_are_not_shown() {
    let layers = Layers::new()
        .below(&["kept", ".opq"])
        .above(&["new"])
        .whiteouts(&[".wh..wh.plnk/file", ".wh..wh.aufs", ".wh..wh.work/a"]);
    layers.shows(&[".opq", "kept", "new"]);
}

/// fuse-overlayfs leaves a device `.wh..opq` in every new directory, which is by its name a whiteout of `.opq`.
#[test]
fn device_with_a_whiteout_name_is_a_whiteout() {
    if !has("a stray device", &[Need::Root]) {
        return;
    }
    let layers = Layers::new()
        .below(&["dir/.opq", "dir/kept"])
        .above(&["dir/new"]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        layers.top().join("dir/.wh..opq"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
        0,
    )
    .expect("a device 0:0");
    layers.shows(&["dir/kept", "dir/new"]).as_fuse_overlayfs();
}

#[test]
fn whiteout_without_a_name_is_refused_with_its_directory() {
    for broken in ["dir/.wh.", "dir/.wh..", "dir/.wh..."] {
        let layers = Layers::new().below(&["dir/file"]).whiteouts(&[broken]);
        layers.refused("dir/file", "would hide a directory's own");
    }
}

#[test]
fn content_in_another_layer_is_refused_in_every_namespace() {
    let mut namespaces = vec!["user.overlay", "user.fuseoverlayfs"];
    if has("content in another layer, of root", &[Need::Root]) {
        namespaces.push("trusted.overlay");
    }
    for namespace in namespaces {
        let layers = Layers::new().below(&["from/file"]).above(&["dir/to/new"]);
        let moved = layers.top().join("dir/to");
        set_attribute(&moved, &format!("{namespace}.redirect"), b"/from").expect("an attribute");
        layers.refused("dir/to", &format!("{namespace}.redirect"));
        for length in [0, 1, 4096, 1 << 20] {
            let layers = Layers::new().below(&["dir/file"]).above(&["dir/other"]);
            let path = layers.top().join("dir/file");
            let file = std::fs::File::create(&path).expect("a file");
            file.set_len(length).expect("a size");
            set_attribute(&path, &format!("{namespace}.metacopy"), b"").expect("an attribute");
            layers.refused("dir/file", &format!("{namespace}.metacopy"));
        }
    }
}

/// Xattrs of other overlays have no effect, and are not shown.
#[test]
fn bookkeeping_attributes_are_dropped() {
    let layers = Layers::new()
        .below(&["dir/kept"])
        .above(&["dir/new", "new"]);
    for namespace in ["user.overlay", "user.fuseoverlayfs"] {
        for path in ["dir", "dir/new", "new"] {
            for what in ["origin", "impure", "uuid", "upper", "nlink"] {
                let name = format!("{namespace}.{what}");
                set_attribute(&layers.top().join(path), &name, b"x").expect("an attribute");
            }
        }
    }
    layers.shows(&["dir/kept", "dir/new", "new"]);
    let overlay = on_layers(&layers.layers).build().expect("an overlay");
    let root = overlay.root();
    let root = root.as_overlay().expect("a directory of an overlay");
    let shown = root.xattrs_at("dir/new", false).expect("attributes");
    assert!(
        shown.iter().all(|name| !name.starts_with(b"user.")),
        "{shown:?}"
    );
}
