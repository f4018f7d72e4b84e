//! Tests of parsing mount options.

use super::*;

fn layer(path: &str) -> LayerArg {
    LayerArg::parse(path.into()).unwrap()
}

fn parse_result(text: &str) -> String {
    OverlaySpec::parse(text.into()).map_or_else(|e| e.to_string(), |spec| format!("{spec:?}"))
}

#[test]
fn mount_keeps_order_of_layers_and_defaults_to_memory_upper() {
    let spec = OverlaySpec::parse("layer=a,dst=//data/x/,layer=b".into()).unwrap();
    assert_eq!(spec.at, "/data/x");
    assert_eq!(spec.layers, ["a", "b"].map(layer));
    assert_eq!(spec.upper, UpperSpec::Memory(DEFAULT_MEMORY_BYTES));
    assert!(!spec.read_only && !spec.volatile);
    assert_eq!(spec.absolute_symlinks, AbsoluteSymlinksArg::Refuse);
}

#[test]
fn all_keys_of_mount_are_parsed() {
    let spec = OverlaySpec::parse(
        "dst=/d,layer=a,upper=c,ro,volatile,absolute-symlinks=root,cross-mounts".into(),
    )
    .unwrap();
    assert_eq!(spec.upper, UpperSpec::Dir(PathBuf::from("c")));
    assert!(spec.read_only && spec.volatile && spec.cross_mounts);
    assert_eq!(spec.absolute_symlinks, AbsoluteSymlinksArg::Root);
    let memory = |text: &str| OverlaySpec::parse(text.into()).unwrap().upper;
    assert_eq!(memory("dst=/d,memory=64m"), UpperSpec::Memory(64 << 20));
    assert_eq!(
        memory("dst=/d,memory"),
        UpperSpec::Memory(DEFAULT_MEMORY_BYTES)
    );
    assert_eq!(memory("dst=/d,upper=memory:1k"), UpperSpec::Memory(1024));
    assert_eq!(memory("dst=/d,layer=a,ro"), UpperSpec::None);
    assert_eq!(
        memory("dst=/d,upper=./memory"),
        UpperSpec::Dir(PathBuf::from("./memory"))
    );
}

#[test]
fn backslash_escapes_comma_and_backslash() {
    let spec = OverlaySpec::parse(r"dst=/d,layer=a\,b,layer=c\\,layer=d\e".into()).unwrap();
    let layers = ["a,b", r"c\", r"d\e"].map(layer);
    assert_eq!(spec.layers, layers);
}

#[test]
fn invalid_mount_is_rejected_with_reason() {
    for (text, expected) in [
        ("layer=a", "`dst` is missing"),
        ("dst=data,layer=a", "dst: `data` is not absolute"),
        ("dst=/a/../b,layer=a", "contains `.` or `..`"),
        ("dst=/d", "neither `layer` nor `upper`"),
        ("dst=/d,layer=", "`layer` needs a value"),
        ("dst=/d,layer", "`layer` needs a value"),
        ("dst=/d,dst=/e,layer=a", "`dst` is given twice"),
        (
            "dst=/d,upper=a,memory",
            "`upper` or `memory` is given twice",
        ),
        ("dst=/d,layer=a,ro=yes", "`ro` takes no value"),
        ("dst=/d,layer=a,rw", "unknown key `rw`"),
        ("dst=/d,,layer=a", "a field is empty"),
        (
            "dst=/d,memory,cross-mounts",
            "`cross-mounts` applies to layers",
        ),
        ("dst=/d,memory,ro", "an upper in memory starts empty"),
        (
            "dst=/d,layer=a,absolute-symlinks=yes",
            "the value must be `refuse` or `root`",
        ),
    ] {
        let message = parse_result(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn dir_is_parsed_as_by_wasmtime_with_optional_ro() {
    let dir = |text: &str| {
        DirSpec::parse_dir(text.into())
            .map(|d| (d.host, d.guest, d.read_only))
            .map_err(|e| e.to_string())
    };
    assert_eq!(dir("."), Ok((".".into(), ".".into(), false)));
    assert_eq!(dir("a::/b"), Ok(("a".into(), "/b".into(), false)));
    assert_eq!(dir("a::b::ro"), Ok(("a".into(), "b".into(), true)));
    for bad in ["a::b::rw0", "a::b::", "a::b::ro::x", "a::", "::b", ""] {
        assert!(dir(bad).is_err(), "{bad}");
    }
}

#[test]
fn volume_is_parsed_as_by_docker() {
    let volume = |text: &str| {
        DirSpec::parse_volume(text.into())
            .map(|d| (d.host, d.guest, d.read_only))
            .map_err(|e| e.to_string())
    };
    assert_eq!(volume("a:/b"), Ok(("a".into(), "/b".into(), false)));
    assert_eq!(volume("/a:/b:rw"), Ok(("/a".into(), "/b".into(), false)));
    assert_eq!(volume("./a:/b:ro"), Ok(("./a".into(), "/b".into(), true)));
    for (text, expected) in [
        ("a::/b", "write -v a:/b, or --dir a::/b"),
        ("a::/b:ro", "write -v a:/b:ro, or --dir a::/b::ro"),
        ("a:b", "`b` is not absolute; write it with `/`, as in /b"),
        ("a:/b:O", "unknown option `O`"),
        ("a", "write HOST:GUEST"),
        ("a:", "write HOST:GUEST"),
        (":/b", "write HOST:GUEST"),
        ("a:ro", "write HOST:GUEST"),
        ("", "write HOST:GUEST"),
        ("a:/b:/c:ro", "unknown option `/c`"),
    ] {
        let message = volume(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn tmpfs_is_an_overlay_in_memory_without_layers() {
    let tmpfs = |text: &str| {
        parse_tmpfs(text.into())
            .map(|spec| (spec.at, spec.layers.len(), spec.upper))
            .map_err(|e| e.to_string())
    };
    let memory = |at: &str, bytes| Ok((at.to_owned(), 0, UpperSpec::Memory(bytes)));
    assert_eq!(tmpfs("/tmp"), memory("/tmp", DEFAULT_MEMORY_BYTES));
    assert_eq!(tmpfs("/tmp/:size=64m"), memory("/tmp", 64 << 20));
    assert_eq!(tmpfs("/tmp:rw,size=1k"), memory("/tmp", 1024));
    for (text, expected) in [
        ("tmp", "`tmp` is not absolute"),
        ("/tmp:64m", "unknown option `64m`; the only one is `size`"),
        ("/tmp:size=x", "`x` is not a size"),
        ("/tmp:", "unknown option ``"),
    ] {
        let message = tmpfs(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn values_keep_bytes_that_are_not_utf8() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
    let spec = OverlaySpec::parse(bytes(b"dst=/d,layer=a\xff,upper=b\xff")).unwrap();
    assert_eq!(spec.layers, [LayerArg::parse(bytes(b"a\xff")).unwrap()]);
    assert_eq!(spec.upper, UpperSpec::Dir(bytes(b"b\xff").into()));
    let dir = DirSpec::parse_dir(bytes(b"a\xff::/a::ro")).unwrap();
    assert_eq!((dir.host, dir.guest), (bytes(b"a\xff").into(), "/a".into()));
    let volume = DirSpec::parse_volume(bytes(b"a\xff:/a")).unwrap();
    assert_eq!(volume.host, PathBuf::from(bytes(b"a\xff")));
    for value in [&b"dst=/\xff,layer=a"[..], b"dst=/d,memory=\xff"] {
        let message = OverlaySpec::parse(bytes(value)).unwrap_err().to_string();
        assert!(message.contains("is not UTF-8"), "{message}");
    }
    let message = DirSpec::parse_dir(bytes(b"a\xff")).unwrap_err().to_string();
    assert!(
        message.contains("write HOST::GUEST with another GUEST"),
        "{message}"
    );
}
