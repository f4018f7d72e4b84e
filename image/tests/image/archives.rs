//! Archives of images, as tools of several ages write them.

use super::support::{Item, Layout, gzip, json, read, store, tar, tar_of};
use std::fs;
use std::path::Path;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Error, Image, Selector, Store, Transport};

fn open(path: &Path, image: Selector, store: Option<&Store>) -> Result<Image, Error> {
    let transport = Transport::DockerArchive {
        path: path.to_owned(),
        image,
    };
    transport.image(store, &Choice::default(), &Limits::default())
}

fn config(tars: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "config": {"Cmd": ["/app.wasm"]}})
    .to_string()
    .into_bytes()
}

/// The output of `docker save` before version 25: layers of several images are links to the first of them,
/// a layer may be there twice, and empty layers may be empty strings.
#[test]
fn classic_archive_has_links_duplicates_and_empty_strings() {
    let (dir, store) = store();
    let base = tar(&[("f", b"base"), ("only", b"base")]);
    let top = tar(&[("f", b"top")]);
    let first = config(&[&base, &top]);
    let second = config(&[&base, &base]);
    let (first_name, second_name) = (
        format!("{}.json", Digest::of(&first).hex()),
        format!("{}.json", Digest::of(&second).hex()),
    );
    let manifest = json!([
        {"Config": first_name, "RepoTags": ["one:1", "docker.io/library/uno:1"],
         "Layers": ["a/layer.tar", "", "b/layer.tar"]},
        {"Config": second_name, "RepoTags": null, "Layers": ["c/layer.tar", "./a/layer.tar"]},
    ])
    .to_string();
    let archive = tar_of(&[
        ("a/layer.tar", Item::File(&base)),
        ("b/layer.tar", Item::File(&top)),
        ("c/layer.tar", Item::Link("../a/layer.tar")),
        (&first_name, Item::File(&first)),
        (&second_name, Item::File(&second)),
        ("manifest.json", Item::File(manifest.as_bytes())),
        ("repositories", Item::File(b"{}")),
    ]);
    for (name, bytes) in [
        ("plain.tar", archive.clone()),
        ("packed.tar.gz", gzip(&archive)),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let stores: &[Option<&Store>] = if name == "plain.tar" {
            &[None, Some(&store)]
        } else {
            &[Some(&store)]
        };
        for store in stores {
            for (image, content) in [
                (Selector::Name("one:1".to_owned()), &b"top"[..]),
                (Selector::Name("uno:1".to_owned()), b"top"),
                (Selector::Position(0), b"top"),
                (Selector::Position(1), b"base"),
            ] {
                let image = open(&path, image, *store).unwrap();
                assert_eq!(image.layers().len(), 2);
                assert_eq!(image.config().cmd, ["/app.wasm"]);
                assert_eq!(
                    read(image.lowers(&Limits::default()).unwrap(), "f"),
                    content
                );
                assert_eq!(
                    read(image.lowers(&Limits::default()).unwrap(), "only"),
                    b"base"
                );
            }
        }
        let error = open(&path, Selector::Only, Some(&store)).unwrap_err();
        assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
        assert!(error.to_string().contains("`one:1`, `@1`"), "{error}");
        for missing in [Selector::Name("two".to_owned()), Selector::Position(2)] {
            let error = open(&path, missing, Some(&store)).unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
        }
    }
}

/// Since version 25 the same archive is an OCI layout, which counts.
#[test]
fn archive_of_docker_25_is_read_as_a_layout() {
    let (dir, store) = store();
    let mut layout = Layout::default();
    let image = layout.image("linux/amd64", &[("f", b"x")]);
    layout.name("3.20", &image);
    layout.entries[0]["annotations"]["io.containerd.image.name"] =
        "docker.io/library/alpine:3.20".into();
    let files = layout.files();
    let mut items: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), Item::File(bytes)))
        .collect();
    items.push(("manifest.json", Item::File(b"[]")));
    let path = dir.path().join("saved.tar");
    fs::write(&path, tar_of(&items)).unwrap();
    for image in [
        Selector::Only,
        Selector::Name("alpine:3.20".to_owned()),
        Selector::Position(0),
    ] {
        let image = open(&path, image, Some(&store)).unwrap();
        assert_eq!(read(image.lowers(&Limits::default()).unwrap(), "f"), b"x");
    }
}

#[test]
fn archive_that_is_something_else_says_what_to_type() {
    let (dir, store) = store();
    let path = dir.path().join("x.tar");
    fs::write(&path, tar(&[("f", b"x")])).unwrap();
    let error = open(&path, Selector::Only, Some(&store)).unwrap_err();
    assert!(error.to_string().contains("tar:FILE"), "{error}");
    fs::write(&path, tar(&[("manifest.json", b"[]")])).unwrap();
    let transport = Transport::OciArchive {
        path: path.clone(),
        image: Selector::Only,
    };
    let error = transport
        .image(Some(&store), &Choice::default(), &Limits::default())
        .unwrap_err();
    assert!(error.to_string().contains("docker-archive:FILE"), "{error}");
    let error = open(&path, Selector::Only, Some(&store)).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn malformed_archives_are_errors() {
    let (dir, store) = store();
    let layer = tar(&[("f", b"x")]);
    let good = config(&[&layer]);
    let name = format!("{}.json", Digest::of(&good).hex());
    let write = |manifest: &str, config: &[u8], layer: Item<'_>| {
        let path = dir.path().join("x.tar");
        let archive = tar_of(&[
            ("l/layer.tar", layer),
            (&name, Item::File(config)),
            ("manifest.json", Item::File(manifest.as_bytes())),
        ]);
        fs::write(&path, archive).unwrap();
        open(&path, Selector::Only, Some(&store)).and_then(|image| image.lowers(&Limits::default()))
    };
    let manifest = |layers: &[&str]| json!([{"Config": name, "Layers": layers}]).to_string();
    let fine = manifest(&["l/layer.tar"]);
    write(&fine, &good, Item::File(&layer)).unwrap();
    let cases = [
        write("{}", &good, Item::File(&layer)),
        write("[{}]", &good, Item::File(&layer)),
        write("[", &good, Item::File(&layer)),
        write(&manifest(&[]), &good, Item::File(&layer)),
        write(&manifest(&["no/layer.tar"]), &good, Item::File(&layer)),
        write(&manifest(&["l"]), &good, Item::File(&layer)),
        write(&fine, b"{}", Item::File(&layer)),
        write(&fine, &good, Item::Link("layer.tar")),
        write(&fine, &good, Item::Link("../../../etc/passwd")),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        assert!(case.is_err(), "{number}");
    }
    // Another store has the content of the layer by now, so nothing of it is read: in an empty one its
    // digest is wrong.
    let (_other_dir, other) = super::support::store();
    let path = dir.path().join("y.tar");
    let wrong = tar(&[("f", b"y")]);
    let archive = tar_of(&[
        ("l/layer.tar", Item::File(&wrong)),
        (&name, Item::File(&good)),
        ("manifest.json", Item::File(fine.as_bytes())),
    ]);
    fs::write(&path, archive).unwrap();
    for store in [None, Some(&other)] {
        let image = open(&path, Selector::Only, store).unwrap();
        let error = image.lowers(&Limits::default()).unwrap_err();
        assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    }
}
