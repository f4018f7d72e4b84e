//! Tests of preview 1's handling of paths. How paths resolve is tested with the engine.

use crate::driver::*;
use std::fs;
use std::path::Path;

fn tree(root: &Path) {
    fs::write(root.join("file"), "data").unwrap();
    fs::create_dir(root.join("dir")).unwrap();
    std::os::unix::fs::symlink("file", root.join("link")).unwrap();
}

const ROOTFD: i64 = ROOT as i64;

#[test]
fn path_that_is_not_utf8_is_ilseq() {
    on_every_host(tree, |g, _| {
        let bad = b"bad\xff";
        let out = i64::from(g.alloc(64));
        for (name, before, after) in [
            ("path_create_directory", vec![ROOTFD], vec![]),
            ("path_remove_directory", vec![ROOTFD], vec![]),
            ("path_unlink_file", vec![ROOTFD], vec![]),
            ("path_filestat_get", vec![ROOTFD, 0], vec![out]),
            ("path_filestat_set_times", vec![ROOTFD, 0], vec![0, 0, 0]),
            ("path_open", vec![ROOTFD, 0], vec![0, 0, 0, 0, out]),
            ("path_readlink", vec![ROOTFD], vec![out, 8, out]),
            ("path_rename", vec![ROOTFD], vec![ROOTFD, out, 1]),
            ("path_link", vec![ROOTFD, 0], vec![ROOTFD, out, 1]),
            ("path_symlink", vec![], vec![ROOTFD, out, 1]),
        ] {
            assert_eq!(g.with_path(name, &before, bad, &after), ILSEQ, "{name}");
        }
    });
}

#[test]
fn open_obeys_flags() {
    on_every_host(tree, |g, root| {
        assert_eq!(g.open("absent", 0, FD_READ, 0), Err(NOENT));
        assert_eq!(g.open("", 0, FD_READ, 0), Err(NOENT));
        assert_eq!(g.open("/file", 0, FD_READ, 0), Err(PERM));
        assert_eq!(g.open("../x", 0, FD_READ, 0), Err(PERM));
        assert_eq!(g.open("file", DIRECTORY, FD_READ, 0), Err(NOTDIR));
        assert_eq!(g.open("dir", 0, FD_WRITE, 0), Err(ISDIR));
        assert_eq!(g.open("file", CREAT | EXCL, RW, 0), Err(EXIST));
        assert_eq!(g.open("dir", CREAT | DIRECTORY, FD_READ, 0), Err(INVAL));
        let link = g.with_path("path_open", &[ROOTFD, 0], b"link", &[0, 2, 0, 0, 1024]);
        assert_eq!(link, 32, "a link that must not be followed");

        let fd = g.open("file", TRUNC, RW, 0).unwrap();
        assert_eq!(fs::read(root.join("file")).unwrap(), b"");
        assert_eq!(g.write(fd, b"new"), Ok(3));
        let fd = g.open("made", CREAT, FD_WRITE, 0).unwrap();
        assert_eq!(g.write(fd, b"x"), Ok(1));
        let fd = g.open("link", 0, FD_READ, 0).unwrap();
        assert_eq!(g.read(fd, 9).unwrap(), b"new");
    });
}

#[test]
fn path_calls_create_rename_link_and_remove() {
    on_every_host(tree, |g, root| {
        let path = |g: &mut Guest, name: &[u8]| (i64::from(g.put(name)), name.len() as i64);
        assert_eq!(
            g.with_path("path_create_directory", &[ROOTFD], b"dir", &[]),
            EXIST
        );
        assert_eq!(
            g.with_path("path_create_directory", &[ROOTFD], b"dir/sub", &[]),
            0
        );
        let (to, length) = path(g, b"dir/sub/moved");
        assert_eq!(
            g.with_path("path_rename", &[ROOTFD], b"file", &[ROOTFD, to, length]),
            0
        );
        assert_eq!(fs::read(root.join("dir/sub/moved")).unwrap(), b"data");
        let (to, length) = path(g, b"hard");
        let source = b"dir/sub/moved";
        let linked = g.with_path("path_link", &[ROOTFD, 0], source, &[ROOTFD, to, length]);
        assert_eq!(linked, 0);
        let follow = g.with_path("path_link", &[ROOTFD, 1], source, &[ROOTFD, to, length]);
        assert_eq!(follow, INVAL);
        let (to, length) = path(g, b"soft");
        assert_eq!(
            g.with_path("path_symlink", &[], b"hard", &[ROOTFD, to, length]),
            0
        );
        assert_eq!(
            g.with_path("path_symlink", &[], b"/hard", &[ROOTFD, to, length]),
            PERM
        );

        let buffer = g.put(b"________");
        let out = i64::from(g.alloc(4));
        let after = [buffer.into(), 3, out];
        assert_eq!(g.with_path("path_readlink", &[ROOTFD], b"soft", &after), 0);
        assert_eq!(g.u32_at(out as u32), 3);
        assert_eq!(g.peek(buffer, 8), b"har_____", "cut to the buffer");
        assert_eq!(
            g.with_path("path_readlink", &[ROOTFD], b"hard", &after),
            INVAL
        );

        assert_eq!(g.with_path("path_unlink_file", &[ROOTFD], b"hard", &[]), 0);
        assert_eq!(
            g.with_path("path_unlink_file", &[ROOTFD], b"dir", &[]),
            ISDIR
        );
        assert_eq!(
            g.with_path("path_remove_directory", &[ROOTFD], b"dir", &[]),
            55
        );
        assert_eq!(
            g.with_path("path_unlink_file", &[ROOTFD], b"dir/sub/moved", &[]),
            0
        );
        assert_eq!(
            g.with_path("path_remove_directory", &[ROOTFD], b"dir/sub", &[]),
            0
        );
        assert_eq!(
            g.with_path("path_remove_directory", &[ROOTFD], b"soft", &[]),
            NOTDIR
        );
    });
}

#[test]
fn set_times_follows_links_only_with_the_flag() {
    on_every_host(tree, |g, root| {
        let second = 1_000_000_000;
        let after = [0, 9 * second, 4];
        let set = |g: &mut Guest, follow| {
            g.with_path(
                "path_filestat_set_times",
                &[ROOTFD, follow],
                b"link",
                &after,
            )
        };
        let modified = |name| {
            let meta = fs::symlink_metadata(root.join(name)).unwrap();
            std::os::unix::fs::MetadataExt::mtime(&meta)
        };
        assert_eq!(set(g, 0), 0);
        assert_eq!(modified("link"), 9);
        assert_ne!(modified("file"), 9);
        assert_eq!(set(g, 1), 0);
        assert_eq!(modified("file"), 9);
    });
}

#[test]
fn path_that_is_too_long_is_nametoolong() {
    on_every_host(tree, |g, _| {
        for length in [256, 5000, 100_000] {
            let path = vec![b'a'; length];
            let errno = g.with_path("path_unlink_file", &[ROOTFD], &path, &[]);
            assert_eq!(errno, NAMETOOLONG, "{length} bytes");
        }
    });
}
