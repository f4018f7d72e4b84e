//! What layer arguments mean.

use super::support::{Layout, files_below, gzip, json, noise, read, store, tar};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Digest, Error, Selector, Step, Store, Transport};

fn parse(text: impl AsRef<OsStr>) -> Result<Transport, Error> {
    Transport::parse(text.as_ref())
}

#[test]
fn transport_has_the_meaning_of_skopeo() {
    let digest = Digest::of(b"");
    let named = |name: &str| Selector::Name(name.to_owned());
    let reference = || "docker.io/library/a:latest".parse().unwrap();
    let oci = |path: &str, image| Transport::OciLayout {
        path: path.into(),
        image,
    };
    let archive = |path: &str, image| Transport::OciArchive {
        path: path.into(),
        image,
    };
    let docker = |path: &str, image| Transport::DockerArchive {
        path: path.into(),
        image,
    };
    let cases = [
        ("dir:x".to_owned(), Transport::Dir("x".into())),
        ("dir:a:b".to_owned(), Transport::Dir("a:b".into())),
        ("tar:x.tar.gz".to_owned(), Transport::Tar("x.tar.gz".into())),
        ("tar:a:b".to_owned(), Transport::Tar("a:b".into())),
        ("none.tar".to_owned(), Transport::Tar("none.tar".into())),
        ("c:none.tar".to_owned(), Transport::Tar("c:none.tar".into())),
        ("./oci:x".to_owned(), Transport::Tar("./oci:x".into())),
        ("oci:d".to_owned(), oci("d", Selector::Only)),
        ("oci:d:v1".to_owned(), oci("d", named("v1"))),
        (
            "oci:d:docker.io/library/a:1".to_owned(),
            oci("d", named("docker.io/library/a:1")),
        ),
        (
            format!("oci:d@{digest}"),
            oci("d", Selector::Digest(digest)),
        ),
        ("oci:a@b".to_owned(), oci("a@b", Selector::Only)),
        ("oci-archive:f".to_owned(), archive("f", Selector::Only)),
        ("oci-archive:f:1".to_owned(), archive("f", named("1"))),
        ("docker-archive:f".to_owned(), docker("f", Selector::Only)),
        ("docker-archive:f:a:1".to_owned(), docker("f", named("a:1"))),
        (
            "docker-archive:f:@2".to_owned(),
            docker("f", Selector::Position(2)),
        ),
        ("docker://a".to_owned(), Transport::Registry(reference())),
        ("store:a".to_owned(), Transport::Store(reference())),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(&text).unwrap(), expected, "{text}");
    }
}

#[test]
fn refused_transport_says_what_to_type() {
    for (text, reason) in [
        ("", "it is empty"),
        ("tar:-", "save it to a file"),
        ("-", "save it to a file"),
        ("dir:", "expected a path"),
        ("oci:", "expected a path"),
        ("oci::tag", "expected a path"),
        ("oci:d:", "expected a tag"),
        ("docker:alpine", "expected `docker://alpine`"),
        ("docker://", "it is empty"),
        ("docker-archive:f:Bad", "lower case"),
        ("docker-archive:f:@x", "expected `@0`"),
        ("docker-daemon:a", "docker save"),
        ("containers-storage:a", "skopeo copy"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn path_may_have_bytes_that_are_not_utf8() {
    let path = OsStr::from_bytes(b"caf\xe9");
    let oci = OsStr::from_bytes(b"oci:caf\xe9:tag");
    assert_eq!(parse(path).unwrap(), Transport::Tar(path.into()));
    let expected = Transport::OciLayout {
        path: path.into(),
        image: Selector::Name("tag".to_owned()),
    };
    assert_eq!(parse(oci).unwrap(), expected);
    let error = parse(OsStr::from_bytes(b"oci:x:\xe9")).unwrap_err();
    assert!(error.to_string().contains("only paths"), "{error}");
}

#[test]
fn directory_that_looks_like_a_transport_is_reached_with_a_dot() {
    let dir = TempDir::new().unwrap();
    let odd = dir.path().join("docker:x");
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("file"), "here").unwrap();
    let transport = parse(&odd).unwrap();
    assert_eq!(transport, Transport::Dir(odd.clone()));
    let lowers = transport.lowers(None, &Choice::default(), &Limits::default());
    assert_eq!(read(lowers.unwrap(), "file"), b"here");

    // The whole text is the name of a directory here, and the part after the colon is not.
    let _turn = CURRENT_DIR
        .lock()
        .unwrap_or_else(|error| error.into_inner());
    let before = std::env::current_dir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    fs::create_dir("oci:y").unwrap();
    let error = parse("oci:y")
        .unwrap()
        .lowers(None, &Choice::default(), &Limits::default());
    std::env::set_current_dir(before).unwrap();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("name it `./oci:y`"), "{error}");
}

/// Tests that change the current folder. All other tests use absolute paths.
static CURRENT_DIR: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn directory_of_skopeo_is_not_a_layer() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("manifest.json"), "{}").unwrap();
    fs::write(
        dir.path().join("version"),
        "Directory Transport Version: 1.1",
    )
    .unwrap();
    for text in [
        dir.path().display().to_string(),
        format!("oci:{}", dir.path().display()),
    ] {
        let error = parse(&text)
            .unwrap()
            .lowers(None, &Choice::default(), &Limits::default())
            .unwrap_err();
        assert!(error.to_string().contains("skopeo copy"), "{error}");
    }
}

#[test]
fn plain_tar_needs_no_store_and_a_compressed_one_does() {
    let (dir, store) = store();
    let plain = dir.path().join("a.tar");
    let packed = dir.path().join("b.tar.gz");
    fs::write(&plain, tar(&[("f", b"one")])).unwrap();
    fs::write(&packed, gzip(&tar(&[("f", b"two")]))).unwrap();
    let open = |path: &Path, store| {
        parse(path)
            .unwrap()
            .lowers(store, &Choice::default(), &Limits::default())
    };
    assert_eq!(read(open(&plain, None).unwrap(), "f"), b"one");
    let error = open(&packed, None).unwrap_err();
    assert!(matches!(error, Error::NeedsStore { .. }), "{error}");
    assert_eq!(read(open(&packed, Some(&store)).unwrap(), "f"), b"two");
    // The second time it is found by its digest.
    assert_eq!(read(open(&packed, Some(&store)).unwrap(), "f"), b"two");
    let error = open(&dir.path().join("none"), None).unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
}

#[test]
fn changed_compressed_tar_is_read_anew() {
    let (dir, store) = store();
    let path = dir.path().join("x.tgz");
    for content in [b"first", b"other"] {
        fs::write(&path, gzip(&tar(&[("f", content)]))).unwrap();
        for _ in 0..2 {
            let lowers =
                parse(&path)
                    .unwrap()
                    .lowers(Some(&store), &Choice::default(), &Limits::default());
            assert_eq!(read(lowers.unwrap(), "f"), content);
        }
    }
}

#[test]
fn image_and_layer_transports_open_the_same_files() {
    let (dir, store) = store();
    let mut layout = Layout::default();
    let image = layout.image("wasip1/wasm", &[("f", b"content")]);
    layout.name("v1", &image);
    let path = dir.path().join("layout");
    layout.write(&path);
    let archive = dir.path().join("layout.tar");
    fs::write(&archive, layout.tar()).unwrap();
    let packed = dir.path().join("layout.tar.gz");
    fs::write(&packed, gzip(&layout.tar())).unwrap();
    let manifest = json!(image)["digest"].as_str().unwrap().to_owned();
    for text in [
        format!("oci:{}", path.display()),
        format!("oci:{}:v1", path.display()),
        format!("oci:{}@{manifest}", path.display()),
        format!("oci-archive:{}", archive.display()),
        format!("oci-archive:{}:v1", packed.display()),
    ] {
        let transport = parse(&text).unwrap();
        assert_eq!(parse(transport.to_string()).unwrap(), transport);
        let lowers = transport.lowers(Some(&store), &Choice::default(), &Limits::default());
        let lowers = lowers.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read(lowers, "f"), b"content", "{text}");
    }
}

/// As when many commands start at once.
#[test]
fn compressed_tar_is_decompressed_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer.tar.gz");
    fs::write(&path, gzip(&tar(&[("f", &noise(3 << 20))]))).unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let store = Store::with_faults(
        dir.path().join("store"),
        Arc::new(move |step| {
            if matches!(step, Step::Write(_)) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }),
    )
    .unwrap();
    let open = || {
        let tar = Transport::Tar(path.clone());
        let lowers = tar.lowers(Some(&store), &Choice::default(), &Limits::default());
        assert_eq!(read(lowers.unwrap(), "f"), noise(3 << 20));
    };
    open();
    let once = written.swap(0, Ordering::Relaxed);
    fs::remove_dir_all(dir.path().join("store/.wasi-overlay/unpacked")).unwrap();
    fs::create_dir(dir.path().join("store/.wasi-overlay/unpacked")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(open);
        }
    });
    let together = written.load(Ordering::Relaxed);
    // The others save only what they found.
    assert!(together < once + 8, "{together} writes, {once} by one");
    assert_eq!(
        files_below(&dir.path().join("store/.wasi-overlay/tmp")).len(),
        0
    );
}
