//! What odd archives mean. Each test has a row of the list of what container tools make of such layers, or
//! of the bugs that other programs had with them.

use crate::archive::{Archive, EntryType, Header, Scan, header};
use crate::show::{FULL, SHORT, Show, tree};

fn shown(archive: &Archive) -> Vec<String> {
    tree(&archive.layer(), SHORT)
}

fn warned(archive: &Archive) -> String {
    archive
        .layer()
        .index()
        .warnings()
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn paths_lose_slashes_and_dots() {
    let archive = Archive::default()
        .file("/a", b"1")
        .file("./b", b"2")
        .file("c//./d", b"3");
    assert_eq!(
        shown(&archive),
        [
            "a File \"1\"",
            "b File \"2\"",
            "c Dir implied",
            "c/d File \"3\""
        ]
    );
}

#[test]
fn path_with_dots_is_refused_wherever_it_leads() {
    for path in ["../a", "a/../b", "..", "a/..", "/../a"] {
        let error = Archive::default().file(path, b"").error();
        assert!(error.contains(path) && error.contains("`..`"), "{error}");
    }
    let error = Archive::default().link("a", "../b").error();
    assert!(error.contains("`..`"), "{error}");
}

#[test]
fn name_that_no_directory_can_hold_is_refused() {
    let longest = "n".repeat(255);
    assert_eq!(
        shown(&Archive::default().file(&longest, b"1")),
        [format!("{longest} File \"1\"")]
    );
    for path in [format!("{longest}n"), format!("a/{longest}n/b")] {
        let error = Archive::default().file(&path, b"").error();
        assert!(error.contains("255 bytes"), "{error}");
    }
}

#[test]
fn path_through_a_link_replaces_the_link() {
    let archive = Archive::default()
        .symlink("lib", b"usr/lib")
        .file("lib/b", b"1")
        .symlink("etc", b"/etc")
        .file("etc/passwd/x", b"2");
    assert_eq!(
        shown(&archive),
        [
            "etc Dir implied",
            "etc/passwd Dir implied",
            "etc/passwd/x File \"2\"",
            "lib Dir implied",
            "lib/b File \"1\""
        ]
    );
    assert!(warned(&archive).contains("lib"));
}

#[test]
fn last_entry_of_a_path_counts() {
    let archive = Archive::default().file("a", b"old").file("a", b"new");
    assert_eq!(shown(&archive), ["a File \"new\""]);
    assert!(warned(&archive).contains("a: the path occurs more than once"));
    // A directory that comes again only has other attributes.
    let archive = Archive::default()
        .dir("d", 0o700)
        .file("d/x", b"")
        .dir("d/", 0o750);
    let modes = Show {
        modes: true,
        times: false,
    };
    assert_eq!(
        tree(&archive.layer(), modes),
        [
            ". Dir implied 0755 0:0",
            "d Dir 0750 0:0",
            "d/x File 0644 0:0 links 1 \"\""
        ]
    );
}

#[test]
fn file_replaces_a_directory_and_its_content() {
    let archive = Archive::default()
        .dir("d", 0o755)
        .file("d/x", b"")
        .file("d", b"file");
    assert_eq!(shown(&archive), ["d File \"file\""]);
    // A directory that comes after it is another one.
    let archive = archive.file("d/y", b"");
    assert_eq!(shown(&archive), ["d Dir implied", "d/y File \"\""]);
}

#[test]
fn entry_counts_more_than_its_whiteout_in_either_order() {
    for whiteout_first in [false, true] {
        let mut archive = Archive::default();
        if whiteout_first {
            archive = archive.file(".wh.e", b"").file(".wh.f", b"");
        }
        archive = archive.dir("e", 0o755).file("e/f", b"1").file("f", b"2");
        if !whiteout_first {
            archive = archive.file(".wh.e", b"").file(".wh.f", b"");
        }
        assert_eq!(
            shown(&archive),
            ["e Dir opaque", "e/f File \"1\"", "f File \"2\""]
        );
    }
}

#[test]
fn opaque_whiteout_may_come_last() {
    let archive = Archive::default()
        .dir("g", 0o755)
        .file("g/h", b"")
        .file("g/.wh..wh..opq", b"");
    assert_eq!(shown(&archive), ["g Dir opaque", "g/h File \"\""]);
    let root = Archive::default().file(".wh..wh..opq", b"");
    let lines = tree(&root.layer(), FULL);
    assert!(lines[0].starts_with(". Dir opaque implied"), "{lines:?}");
}

/// A whiteout is a name; its type does not matter (`vic` wrote hard links).
#[test]
fn whiteout_of_any_type_hides() {
    let archive = Archive::default()
        .file("a", b"")
        .link(".wh.b", "a")
        .symlink(".wh.c", b"nowhere")
        .dir(".wh.d", 0o755)
        .file(".wh.d/inside", b"")
        .link(".wh.e", "not/in/this/layer");
    assert_eq!(
        shown(&archive),
        [
            "a File \"\"",
            "b hidden",
            "c hidden",
            "d hidden",
            "e hidden"
        ]
    );
}

#[test]
fn names_that_tools_reserve_are_not_shown_but_may_be_linked_to() {
    let archive = Archive::default()
        .dir(".wh..wh.plnk", 0o755)
        .file(".wh..wh.plnk/1.2", b"data")
        .link("a", ".wh..wh.plnk/1.2")
        .file(".wh..wh..opq.x", b"");
    assert_eq!(shown(&archive), ["a File \"data\""]);
}

#[test]
fn whiteout_of_no_name_is_refused() {
    for name in [".wh.", ".wh..", ".wh..."] {
        let error = Archive::default().file(name, b"").error();
        assert!(error.contains("hides no name"), "{error}");
    }
}

#[test]
fn kernel_whiteouts_count_as_in_directories() {
    let archive = Archive::default()
        .device("gone", EntryType::Char, 0, 0)
        .device("null", EntryType::Char, 1, 3)
        .records(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")])
        .dir("opaque", 0o755)
        .records(&[("SCHILY.xattr.user.overlay.opaque", b"x")])
        .dir("marked", 0o755)
        .records(&[("SCHILY.xattr.user.overlay.whiteout", b"")])
        .file("marked/gone", b"")
        .records(&[("SCHILY.xattr.trusted.overlay.origin", b"?")])
        .file("plain", b"1");
    assert_eq!(
        shown(&archive),
        [
            "gone hidden",
            "marked Dir",
            "marked/gone hidden",
            "null CharDevice",
            "opaque Dir opaque",
            "plain File \"1\"",
        ]
    );
    for attribute in ["redirect", "metacopy"] {
        let key = format!("SCHILY.xattr.trusted.overlay.{attribute}");
        let archive = Archive::default().records(&[(&key, b"/x")]).dir("d", 0o755);
        let error = archive.error();
        assert!(error.contains("d: it has the attribute"), "{error}");
    }
}

#[test]
fn hard_link_is_bound_to_the_file_not_to_the_name() {
    let links = Show {
        modes: true,
        times: false,
    };
    let archive = Archive::default()
        .file("a", b"old")
        .link("b", "a")
        .link("c", "./b")
        .file("a", b"new");
    assert_eq!(
        tree(&archive.layer(), links)[1..],
        [
            "a File 0644 0:0 links 1 \"new\"",
            "b File 0644 0:0 links 2 \"old\"",
            "c File 0644 0:0 links 2 \"old\"",
        ]
    );
}

#[test]
fn hard_link_may_come_before_its_target() {
    let archive = Archive::default()
        .link("a", "b")
        .link("b", "d/c")
        .link("again", "b")
        .file("d/c", b"data");
    assert_eq!(
        shown(&archive),
        [
            "a File \"data\"",
            "again File \"data\"",
            "b File \"data\"",
            "d Dir implied",
            "d/c File \"data\""
        ]
    );
    let inodes = |path| {
        let layer = archive.layer();
        match wasi_overlay_core::layer::Layer::find(
            &layer,
            &wasi_overlay_core::layer::Layer::root(&layer).unwrap(),
            wasi_overlay_core::Name::new(path).unwrap(),
        ) {
            Ok(wasi_overlay_core::layer::Found::Here { meta, .. }) => (meta.inode, meta.links),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(inodes(b"a"), inodes(b"again"));
    assert_eq!(inodes(b"a").1, 4);
}

#[test]
fn hard_link_out_of_the_archive_is_refused_by_name() {
    let error = Archive::default().link("a", "lower/file").error();
    assert!(
        error.contains("a: it is a hard link to `lower/file`"),
        "{error}"
    );
    for cycle in [
        Archive::default().link("a", "a"),
        Archive::default().link("a", "b").link("b", "a"),
    ] {
        let error = cycle.error();
        assert!(error.contains("leads to itself"), "{error}");
    }
    let error = Archive::default().dir("d", 0o755).link("a", "d").error();
    assert!(error.contains("is a directory"), "{error}");
    let error = Archive::default().link("a", "d").file("d/x", b"").error();
    assert!(error.contains("is a directory"), "{error}");
}

#[test]
fn regular_entry_with_a_slash_is_a_directory() {
    let archive = Archive::default()
        .file("d/", b"data that is skipped")
        .file("e", b"");
    assert_eq!(shown(&archive), ["d Dir", "e File \"\""]);
}

#[test]
fn root_entry_sets_the_attributes_of_the_root() {
    for path in [".", "./", "/"] {
        let archive = Archive::default().dir(path, 0o711).file("a", b"");
        let lines = tree(&archive.layer(), FULL);
        assert_eq!(lines[0], ". Dir 0711 0:0 1000000000.000000000");
    }
    let error = Archive::default().symlink("./", b"/etc").error();
    assert!(error.contains("root of the archive"), "{error}");
}

#[test]
fn global_records_count_for_what_follows() {
    let globals: &[(&str, &[u8])] = &[
        ("comment", b"abc"),
        ("uid", b"7"),
        ("mtime", b"5.5"),
        ("SCHILY.xattr.user.a", b"1"),
    ];
    let archive = Archive::default()
        .file("before", b"")
        .pax(EntryType::XGlobalHeader, globals)
        .file("after", b"")
        .records(&[("uid", b"8"), ("mtime", b"-5.25")])
        .file("own", b"")
        .pax(EntryType::XGlobalHeader, &[("uid", b"")])
        .file("unset", b"");
    assert_eq!(
        tree(&archive.layer(), FULL)[1..],
        [
            "after File 0644 7:0 links 1 5.500000000 \"\" user.a=1",
            "before File 0644 0:0 links 1 1000000000.000000000 \"\"",
            "own File 0644 8:0 links 1 -6.750000000 \"\" user.a=1",
            "unset File 0644 0:0 links 1 5.500000000 \"\" user.a=1",
        ]
    );
    for key in ["size", "path", "linkpath", "GNU.sparse.size"] {
        let globals = Archive::default().pax(EntryType::XGlobalHeader, &[(key, b"1")]);
        let error = globals.file("a", b"1").error();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn numbers_have_the_range_of_linux() {
    // Only GNU's format has numbers in base 256.
    let header = |kind, size| {
        let mut gnu = Header::new_gnu();
        gnu.set_entry_type(kind);
        gnu.set_size(size).unwrap();
        gnu.set_mode(0o644).unwrap();
        gnu
    };
    let mut large = header(EntryType::Regular, 0);
    large.set_uid(3_000_000_000).unwrap();
    large.set_mtime(10_000_000_000).unwrap();
    let archive = Archive::default().entry(large, "a", b"");
    assert_eq!(
        tree(&archive.layer(), FULL)[1],
        "a File 0644 3000000000:0 links 1 10000000000.000000000 \"\""
    );
    let mut before_1970 = header(EntryType::Regular, 0);
    before_1970.set_mtime(5_u64.wrapping_neg()).unwrap();
    let archive = Archive::default().entry(before_1970, "a", b"");
    assert!(tree(&archive.layer(), FULL)[1].contains(" -5.000000000"));
    let mut too_large = header(EntryType::Regular, 0);
    too_large.set_gid(1 << 40).unwrap();
    let error = Archive::default().entry(too_large, "a", b"").error();
    assert!(
        error.contains("a: its group has the number 1099511627776"),
        "{error}"
    );
}

#[test]
fn attributes_come_in_two_forms_and_may_be_empty() {
    let archive = Archive::default()
        .records(&[
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.user.both", b"raw"),
            ("LIBARCHIVE.xattr.user.both", b"cmF3"),
            ("LIBARCHIVE.xattr.user.a%20b", b"TWE"),
            ("SCHILY.xattr.user.binary", b"\0=\n"),
        ])
        .file("a", b"");
    assert_eq!(
        shown(&archive),
        ["a File \"\" user.a b=Ma user.binary=\\x00=\\n user.both=raw user.empty="]
    );
}

#[test]
fn other_types_are_refused() {
    for kind in [b'M', b'V', b'D', b'Z'] {
        let archive = Archive::default().entry(header(EntryType::Other(kind), 0), "odd", b"");
        let error = archive.error();
        assert!(error.contains("odd: it has the type"), "{error}");
    }
}

/// Go's archive/tar, which container tools use, and GNU tar disagree about the size of a link. Data that
/// one of them skips is a header for the other.
#[test]
fn links_and_directories_have_no_data() {
    let mut link = header(EntryType::Symlink, 512);
    link.set_link_name(b"x").unwrap();
    let archive = Archive::default().entry(link, "a", b"").file("b", b"");
    assert_eq!(shown(&archive), ["a Symlink -> x", "b File \"\""]);
}

#[test]
fn size_of_a_pax_record_counts_more_than_that_of_the_header() {
    let archive = Archive::default().records(&[("size", b"3")]);
    let archive = archive.entry(header(EntryType::Regular, 5), "a", b"abc");
    assert_eq!(shown(&archive), ["a File \"abc\""]);
}
