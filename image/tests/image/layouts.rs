//! Which image of a layout is taken, and what is refused.

use super::support::{
    CONFIG, INDEX, LAYER_GZIP, Layout, MANIFEST, Value, gzip, json, read, read_stack, store, tar,
};
use std::fs;
use tempfile::TempDir;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{
    Choice, Digest, Error, Image, Platform, Purpose, Selector, Store, Transport,
};

/// A layout on disk, and a store beside it.
struct Case {
    dir: TempDir,
    store: Store,
}

impl Case {
    fn new(layout: &Layout) -> Self {
        let (dir, store) = store();
        layout.write(&dir.path().join("layout"));
        Self { dir, store }
    }

    fn open(&self, image: Selector, choice: &Choice) -> Result<Image, Error> {
        let transport = Transport::OciLayout {
            path: self.dir.path().join("layout"),
            image,
        };
        transport.image(Some(&self.store), choice, &Limits::default())
    }

    /// The content of the file `f`.
    fn read(&self, image: Selector, choice: &Choice) -> Result<String, Error> {
        let lowers = self.open(image, choice)?.lowers(&Limits::default())?;
        Ok(String::from_utf8(read(lowers, "f")).unwrap())
    }
}

/// Why the only image of a layout is refused.
#[track_caller]
fn refusal(layout: &Layout) -> Error {
    Case::new(layout)
        .read(Selector::Only, &Choice::default())
        .unwrap_err()
}

fn named(name: &str) -> Selector {
    Selector::Name(name.to_owned())
}

fn exactly(platform: &str) -> Choice {
    Choice {
        platform: Some(platform.parse().unwrap()),
        ..Choice::default()
    }
}

const DATA: Choice = Choice {
    platform: None,
    purpose: Purpose::Data,
};

fn with_platform(mut descriptor: Value, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    descriptor["platform"] = json!({"os": os, "architecture": architecture});
    descriptor
}

/// An index of an image for each platform, whose file `f` has the platform's name, and an attestation for
/// each.
fn index_of(layout: &mut Layout, platforms: &[&str]) -> Value {
    let mut manifests = Vec::new();
    for platform in platforms {
        let image = layout.image(platform, &[("f", platform.as_bytes())]);
        let mut attestation = with_platform(
            layout.document(MANIFEST, &json!({"of": platform})),
            "unknown/unknown",
        );
        attestation["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image["digest"],
        });
        manifests.push(attestation);
        manifests.push(match platform {
            &"" => image,
            platform => with_platform(image, platform),
        });
    }
    layout.document(INDEX, &json!({"schemaVersion": 2, "manifests": manifests}))
}

#[test]
fn wasm_platforms_are_preferred_in_order() {
    let host = Platform::host().to_string();
    let all = [
        host.as_str(),
        "",
        "linux/wasm",
        "wasi/wasm32",
        "wasi/wasm",
        "wasip1/wasm32",
        "wasip1/wasm",
        "wasip2/wasm32",
        "wasip2/wasm",
    ];
    for count in 1..=all.len() {
        let mut layout = Layout::default();
        let index = index_of(&mut layout, &all[..count]);
        layout.name("v1", &index);
        let case = Case::new(&layout);
        let best = all[count - 1];
        if count == 1 {
            let error = case.read(Selector::Only, &Choice::default()).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&host) && text.contains("--platform"),
                "{text}"
            );
        } else {
            assert_eq!(case.read(Selector::Only, &Choice::default()).unwrap(), best);
        }
        assert_eq!(case.read(Selector::Only, &DATA).unwrap(), best);
        for platform in &all[..count] {
            if !platform.is_empty() {
                let found = case.read(named("v1"), &exactly(platform)).unwrap();
                assert_eq!(found, *platform);
            }
        }
    }
}

/// As after a pull for one platform: an index names what is not there.
#[test]
fn image_that_is_there_is_taken_if_no_platform_is_asked_for() {
    let mut layout = Layout::default();
    let index = index_of(&mut layout, &["linux/s390x", "wasip2/wasm", "wasip1/wasm"]);
    layout.name("all", &index);
    let (_dir, all) = store();
    layout.add_to(&all).unwrap();
    let name = "all".parse().unwrap();
    let open = |choice: &Choice| all.image(&name, choice);
    let platform = |choice: &Choice| open(choice).unwrap().platform().unwrap().to_string();
    assert_eq!(platform(&Choice::default()), "wasip2/wasm");
    let wanted = open(&exactly("wasip2/wasm")).unwrap().digest().unwrap();
    std::fs::remove_file(all.blob_path(&wanted)).unwrap();
    assert_eq!(platform(&Choice::default()), "wasip1/wasm");
    let error = open(&exactly("wasip2/wasm")).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let other = open(&exactly("wasip1/wasm")).unwrap().digest().unwrap();
    std::fs::remove_file(all.blob_path(&other)).unwrap();
    let error = open(&Choice::default()).unwrap_err();
    assert!(error.to_string().contains(&wanted.to_string()), "{error}");
    let files = Choice {
        purpose: Purpose::Present,
        ..Choice::default()
    };
    assert_eq!(platform(&files), "linux/s390x");
}

#[test]
fn asked_platform_is_taken_and_no_other() {
    let mut layout = Layout::default();
    let index = index_of(
        &mut layout,
        &["linux/amd64", "linux/arm64", "wasip1/wasm", "wasip2/wasm"],
    );
    layout.name("v1", &index);
    let case = Case::new(&layout);
    assert_eq!(
        case.read(Selector::Only, &exactly("linux/arm64")).unwrap(),
        "linux/arm64"
    );
    let error = case
        .read(Selector::Only, &exactly("linux/s390x"))
        .unwrap_err();
    let Error::Platform { available, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        available,
        "linux/amd64, linux/arm64, wasip1/wasm, wasip2/wasm"
    );
}

#[test]
fn platform_of_a_config_counts_if_the_descriptor_has_none() {
    let mut layout = Layout::default();
    let image = layout.image("linux/riscv64", &[("f", b"x")]);
    layout.name("v1", &image);
    let case = Case::new(&layout);
    // A single manifest is taken whatever it is for.
    assert_eq!(case.read(Selector::Only, &Choice::default()).unwrap(), "x");
    assert_eq!(
        case.read(Selector::Only, &exactly("linux/riscv64"))
            .unwrap(),
        "x"
    );
    let error = case
        .read(Selector::Only, &exactly("wasi/wasm"))
        .unwrap_err();
    assert!(matches!(error, Error::Platform { .. }), "{error}");
}

#[test]
fn index_in_an_index_is_searched_to_a_bounded_depth() {
    let mut layout = Layout::default();
    let mut inner = index_of(&mut layout, &["linux/amd64", "wasip1/wasm"]);
    for depth in 1..=6 {
        layout.entries.clear();
        layout.name("v1", &inner);
        let case = Case::new(&layout);
        let found = case.read(Selector::Only, &Choice::default());
        if depth <= 4 {
            assert_eq!(found.unwrap(), "wasip1/wasm", "{depth}");
        } else {
            let error = found.unwrap_err().to_string();
            assert!(error.contains("nested deeper"), "{error}");
        }
        inner = layout.document(INDEX, &json!({"schemaVersion": 2, "manifests": [inner]}));
    }
}

#[test]
fn index_with_too_many_manifests_is_refused() {
    let mut layout = Layout::default();
    let image = layout.image("wasi/wasm", &[("f", b"")]);
    let many = vec![image; 1100];
    let index = layout.document(INDEX, &json!({"schemaVersion": 2, "manifests": many}));
    layout.name("v1", &index);
    let error = refusal(&layout);
    assert!(error.to_string().contains("1024 manifests"), "{error}");
}

#[test]
fn name_selects_among_several_images() {
    let mut layout = Layout::default();
    for name in ["one", "docker.io/library/two:latest"] {
        let image = layout.image("wasi/wasm", &[("f", name.as_bytes())]);
        layout.name(name, &image);
    }
    let case = Case::new(&layout);
    let choice = Choice::default();
    assert_eq!(case.read(named("one"), &choice).unwrap(), "one");
    let two = "docker.io/library/two:latest";
    for name in [two, "two", "two:latest"] {
        assert_eq!(case.read(named(name), &choice).unwrap(), two);
    }
    let error = case.read(Selector::Only, &choice).unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    assert!(error.to_string().contains("`one`"), "{error}");
    let error = case.read(named("three"), &choice).unwrap_err();
    assert!(error.to_string().contains("`one`"), "{error}");
    let error = case
        .read(Selector::Digest(Digest::of(b"")), &choice)
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn several_names_of_one_image_are_not_ambiguous() {
    let mut layout = Layout::default();
    let image = layout.image("wasi/wasm", &[("f", b"x")]);
    layout.name("a", &image);
    layout.name("b", &image);
    assert_eq!(
        Case::new(&layout)
            .read(Selector::Only, &Choice::default())
            .unwrap(),
        "x"
    );
}

#[test]
fn layers_merge_bottom_first_and_whiteouts_hide() {
    let mut layout = Layout::default();
    let tars = [
        tar(&[("f", b"old"), ("gone", b"x"), ("kept", b"k")]),
        tar(&[("f", b"new"), (".wh.gone", b"")]),
    ];
    for compress in [
        gzip as fn(&[u8]) -> Vec<u8>,
        super::support::zstd,
        <[u8]>::to_vec,
    ] {
        layout.entries.clear();
        let image = layout.image_of("wasi/wasm", &tars, compress);
        layout.name("v1", &image);
        let case = Case::new(&layout);
        let image = case.open(Selector::Only, &Choice::default()).unwrap();
        assert_eq!(image.layers().len(), 2);
        let stack = image.stack(&Limits::default()).unwrap();
        assert_eq!(read_stack(stack.clone(), "f"), b"new");
        assert_eq!(read_stack(stack.clone(), "kept"), b"k");
        let overlay = wasi_overlay_core::Overlay::builder()
            .stack(stack)
            .build()
            .unwrap();
        assert!(overlay.root().read("gone", 9).unwrap_err().is_not_found());
    }
}

#[test]
fn damaged_content_never_gets_a_name() {
    type Damage = fn(&mut Layout, Digest);
    let damage: [(&str, Damage); 4] = [
        ("flipped", |layout, digest| {
            layout.blobs.get_mut(&digest).unwrap()[40] ^= 1;
        }),
        ("cut", |layout, digest| {
            layout.blobs.get_mut(&digest).unwrap().truncate(100);
        }),
        ("longer", |layout, digest| {
            layout.blobs.get_mut(&digest).unwrap().push(0);
        }),
        ("missing", |layout, digest| {
            layout.blobs.remove(&digest);
        }),
    ];
    for (name, damage) in damage {
        for kind in ["layer", "config", "manifest"] {
            let mut layout = Layout::default();
            let noise = super::support::noise(4000);
            let manifest = layout.image("wasi/wasm", &[("f", &noise)]);
            layout.name("v1", &manifest);
            let digest: Digest = manifest["digest"].as_str().unwrap().parse().unwrap();
            let document: Value = serde_json::from_slice(&layout.blobs[&digest]).unwrap();
            let victim = match kind {
                "layer" => document["layers"][0]["digest"].as_str(),
                "config" => document["config"]["digest"].as_str(),
                _ => manifest["digest"].as_str(),
            };
            damage(&mut layout, victim.unwrap().parse().unwrap());
            let case = Case::new(&layout);
            let error = case.read(Selector::Only, &Choice::default()).unwrap_err();
            let is_clear = matches!(
                error,
                Error::WrongDigest { .. }
                    | Error::WrongSize { .. }
                    | Error::NotFound { .. }
                    | Error::Io { .. }
            );
            assert!(is_clear, "{name} {kind}: {error:?}");
            let blobs = case.store.path().join("blobs/sha256");
            assert_eq!(fs::read_dir(blobs).unwrap().count(), 0, "{name} {kind}");
            let temporary = case.store.path().join(".wasi-overlay/tmp");
            assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "{name} {kind}");
        }
    }
}

#[test]
fn layer_that_is_not_its_diff_id_is_refused() {
    let mut layout = Layout::default();
    let layer = layout.blob("x", &gzip(&tar(&[("f", b"x")])));
    let other = Digest::of(b"other").to_string();
    let config = json!({"rootfs": {"diff_ids": [other]}});
    let config = layout.document(CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = layout.document(MANIFEST, &manifest);
    layout.name("v1", &manifest);
    let error = refusal(&layout);
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    assert!(error.to_string().contains("the tar in"), "{error}");
}

/// A config that names the tar of another image does not get its content, even where that is in the store.
#[test]
fn diff_id_of_another_image_is_refused() {
    let (_dir, store) = store();
    let secret = tar(&[("f", b"of another image")]);
    let mut layout = Layout::default();
    let image = layout.image_of("wasi/wasm", std::slice::from_ref(&secret), gzip);
    layout.name("first", &image);
    let layer = layout.blob(LAYER_GZIP, &gzip(&tar(&[("f", b"own")])));
    let config = json!({"rootfs": {"diff_ids": [Digest::of(&secret).to_string()]}});
    let config = layout.document(CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = layout.document(MANIFEST, &manifest);
    layout.name("second", &manifest);
    layout.add_to(&store).unwrap();
    let open = |name: &str| {
        let data = Choice {
            purpose: Purpose::Data,
            ..Choice::default()
        };
        store.image(&name.parse().unwrap(), &data).unwrap()
    };
    let lowers = open("first").lowers(&Limits::default()).unwrap();
    assert_eq!(read(lowers, "f"), b"of another image");
    let second = open("second");
    let error = second.lowers(&Limits::default()).unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
    // Without its own blob it is incomplete: the tar of the other image does not stand in for it.
    assert!(second.is_complete().unwrap());
    let own = second.layers()[0].digest.unwrap();
    fs::remove_file(store.path().join("blobs/sha256").join(own.hex())).unwrap();
    assert!(!second.is_complete().unwrap());
    let error = second.lowers(&Limits::default()).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn lists_that_are_null_are_empty() {
    let mut layout = Layout::default();
    let config = json!({"os": "wasi", "architecture": "wasm", "config": null, "history": null,
        "rootfs": {"type": "layers", "diff_ids": null}});
    let config = layout.document(CONFIG, &config);
    let manifest =
        json!({"schemaVersion": 2, "config": config, "layers": null, "annotations": null});
    let manifest = layout.document(MANIFEST, &manifest);
    layout.name("v1", &manifest);
    let image = Case::new(&layout)
        .open(Selector::Only, &Choice::default())
        .unwrap();
    assert!(image.layers().is_empty() && image.history().is_empty());
    image.stack(&Limits::default()).unwrap();
}

#[test]
fn malformed_documents_are_errors() {
    let documents = [
        "",
        "[]",
        "{}",
        "null",
        r#"{"schemaVersion":1,"fsLayers":[]}"#,
        r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"sha256:../../etc","size":1},"layers":[]}"#,
        r#"{"schemaVersion":2,"config":{"mediaType":"a","digest":"sha256:00","size":-1},"layers":[]}"#,
        r#"{"schemaVersion":2,"manifests":{}}"#,
    ];
    for document in documents {
        let mut layout = Layout::default();
        let manifest = layout.blob(MANIFEST, document.as_bytes());
        layout.name("v1", &manifest);
        let error = Case::new(&layout).read(Selector::Only, &Choice::default());
        assert!(error.is_err(), "{document}");
    }
    // Nesting that a recursive reader would not survive.
    let deep = "[".repeat(1 << 20);
    let mut layout = Layout::default();
    let manifest = layout.blob(MANIFEST, deep.as_bytes());
    layout.name("v1", &manifest);
    assert!(
        Case::new(&layout)
            .read(Selector::Only, &Choice::default())
            .is_err()
    );
}

#[test]
fn large_manifest_is_refused_unread() {
    let mut layout = Layout::default();
    let manifest = layout.blob(MANIFEST, &vec![b' '; 50 << 20]);
    layout.name("v1", &manifest);
    let error = refusal(&layout);
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("4 MiB"), "{error}");
}

#[test]
fn foreign_and_encrypted_layers_are_named() {
    for (media_type, reason) in [
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "foreign layer",
        ),
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "foreign layer",
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "encrypted",
        ),
    ] {
        let mut layout = Layout::default();
        let layer = layout.blob(media_type, b"");
        layout.blobs.clear();
        let diff_id = Digest::of(b"x").to_string();
        let config = layout.document(CONFIG, &json!({"rootfs": {"diff_ids": [diff_id]}}));
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let manifest = layout.document(MANIFEST, &manifest);
        layout.name("v1", &manifest);
        let error = refusal(&layout);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn plain_layers_need_no_store() {
    let mut layout = Layout::default();
    let image = layout.image_of("wasi/wasm", &[tar(&[("f", b"x")])], <[u8]>::to_vec);
    layout.name("v1", &image);
    let dir = TempDir::new().unwrap();
    layout.write(dir.path());
    let transport = Transport::OciLayout {
        path: dir.path().to_owned(),
        image: Selector::Only,
    };
    let open = || transport.lowers(None, &Choice::default(), &Limits::default());
    assert_eq!(read(open().unwrap(), "f"), b"x");
    // Without a store they are checked each time.
    let plain = Digest::of(&tar(&[("f", b"x")]));
    let blob = dir.path().join("blobs/sha256").join(plain.hex());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[512] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}
