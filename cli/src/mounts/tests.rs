//! What is read from mount options.

use super::*;

fn mount(text: &str) -> String {
    OverlaySpec::parse(text).map_or_else(|e| e.to_string(), |spec| format!("{spec:?}"))
}

#[test]
fn a_mount_has_its_layers_in_order_and_a_bounded_memory_upper() {
    let spec = OverlaySpec::parse("layer=a,dst=//data/x/,layer=b").unwrap();
    assert_eq!(spec.at, "/data/x");
    assert_eq!(spec.layers, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(spec.upper, UpperSpec::Memory(DEFAULT_MEMORY));
    assert!(!spec.read_only && !spec.volatile);
    assert_eq!(spec.absolute_symlinks, AbsoluteSymlinksArg::Refuse);
}

#[test]
fn every_key_of_a_mount_counts() {
    let spec = OverlaySpec::parse(
        "dst=/d,layer=a,upper=c,ro,volatile,absolute-symlinks=root,cross-mounts",
    )
    .unwrap();
    assert_eq!(spec.upper, UpperSpec::Dir(PathBuf::from("c")));
    assert!(spec.read_only && spec.volatile && spec.cross_mounts);
    assert_eq!(spec.absolute_symlinks, AbsoluteSymlinksArg::Root);
    let memory = |text: &str| OverlaySpec::parse(text).unwrap().upper;
    assert_eq!(memory("dst=/d,memory=64m"), UpperSpec::Memory(64 << 20));
    assert_eq!(memory("dst=/d,memory"), UpperSpec::Memory(DEFAULT_MEMORY));
    assert_eq!(memory("dst=/d,upper=memory:1k"), UpperSpec::Memory(1024));
    assert_eq!(memory("dst=/d,layer=a,ro"), UpperSpec::None);
    assert_eq!(
        memory("dst=/d,upper=./memory"),
        UpperSpec::Dir(PathBuf::from("./memory"))
    );
}

#[test]
fn a_comma_or_a_backslash_in_a_path_is_escaped() {
    let spec = OverlaySpec::parse(r"dst=/d,layer=a\,b,layer=c\\,layer=d\e").unwrap();
    let layers = ["a,b", r"c\", r"d\e"].map(PathBuf::from);
    assert_eq!(spec.layers, layers);
}

#[test]
fn a_bad_mount_says_what_is_wrong() {
    for (text, expected) in [
        ("layer=a", "`dst` is missing"),
        ("dst=data,layer=a", "dst: `data` is not absolute"),
        ("dst=/a/../b,layer=a", "holds `.` or `..`"),
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
            "`cross-mounts` is about layers",
        ),
        ("dst=/d,memory,ro", "an upper in memory is empty"),
        (
            "dst=/d,layer=a,absolute-symlinks=yes",
            "it is `refuse` or `root`",
        ),
    ] {
        let message = mount(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn a_dir_is_what_it_is_to_wasmtime_and_may_be_read_only() {
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
