//! Tests of parsing mount options.

use super::*;

fn parse_result(text: &str) -> String {
    OverlaySpec::parse(text).map_or_else(|e| e.to_string(), |spec| format!("{spec:?}"))
}

#[test]
fn mount_keeps_order_of_layers_and_defaults_to_memory_upper() {
    let spec = OverlaySpec::parse("layer=a,dst=//data/x/,layer=b").unwrap();
    assert_eq!(spec.at, "/data/x");
    assert_eq!(spec.layers, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(spec.upper, UpperSpec::Memory(DEFAULT_MEMORY_BYTES));
    assert!(!spec.read_only && !spec.volatile);
    assert_eq!(spec.absolute_symlinks, AbsoluteSymlinksArg::Refuse);
}

#[test]
fn all_keys_of_mount_are_parsed() {
    let spec = OverlaySpec::parse(
        "dst=/d,layer=a,upper=c,ro,volatile,absolute-symlinks=root,cross-mounts",
    )
    .unwrap();
    assert_eq!(spec.upper, UpperSpec::Dir(PathBuf::from("c")));
    assert!(spec.read_only && spec.volatile && spec.cross_mounts);
    assert_eq!(spec.absolute_symlinks, AbsoluteSymlinksArg::Root);
    let memory = |text: &str| OverlaySpec::parse(text).unwrap().upper;
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
    let spec = OverlaySpec::parse(r"dst=/d,layer=a\,b,layer=c\\,layer=d\e").unwrap();
    let layers = ["a,b", r"c\", r"d\e"].map(PathBuf::from);
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
        DirSpec::parse(text)
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
