//! Archives of other programs, against what those programs unpack: GNU tar, Python's tarfile and, where it
//! is installed, bsdtar.

use crate::show::{FULL, Show, tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use wasi_overlay_core::Limits;
use wasi_overlay_core::cap_std::{ambient_authority, fs::Dir};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::tar::TarLayer;
use wasi_overlay_core::whiteouts::Marked;

/// A tree with what archives have trouble with.
fn plant(root: &Path) {
    let long =
        "a name that is longer than the hundred bytes for which a header has room ".repeat(3);
    fs::create_dir_all(root.join("dir/below")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("dir/file"), b"some data\n").unwrap();
    fs::write(root.join("dir/below").join(&long), b"long").unwrap();
    fs::write(root.join("large"), vec![0x5a; 300_001]).unwrap();
    fs::write(root.join("none"), b"").unwrap();
    fs::hard_link(root.join("dir/file"), root.join("again")).unwrap();
    symlink("dir/file", root.join("link")).unwrap();
    symlink(&long, root.join("long link")).unwrap();
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe latin");
    fs::write(root.join(name), b"bytes").unwrap();
    let set = fs::Permissions::from_mode(0o6751);
    fs::set_permissions(root.join("large"), set).unwrap();
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(root.join("dir"), private).unwrap();
    for (path, seconds) in [
        ("none", -86_400_i64),
        ("dir/file", 10_000_000_000),
        ("dir", 7),
    ] {
        let touched = Command::new("touch")
            .arg(format!("--date=@{seconds}.25"))
            .arg(root.join(path))
            .status();
        assert!(touched.unwrap().success());
    }
}

/// A file of 4 MiB with data in some places, at the end too or not.
fn plant_sparse(path: &Path, parts: &[u64]) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path).unwrap();
    file.set_len(4 << 20).unwrap();
    for part in parts {
        let data = format!("data at {part}").repeat(300);
        file.write_all_at(data.as_bytes(), *part).unwrap();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}

/// The lines of an archive, and of what GNU tar unpacks from it.
fn both(archive: &Path, show: Show) -> (Vec<String>, Vec<String>) {
    let options = [
        "--extract",
        "--same-permissions",
        "--same-owner",
        "--xattrs",
    ];
    both_by(Command::new("tar").args(options), archive, show)
}

/// The lines of an archive, and of what a program unpacks from it.
fn both_by(unpack: &mut Command, archive: &Path, show: Show) -> (Vec<String>, Vec<String>) {
    let unpacked = tempfile::tempdir().unwrap();
    run(unpack.arg("-f").arg(archive).arg("-C").arg(unpacked.path()));
    let dir = Dir::open_ambient_dir(unpacked.path(), ambient_authority()).unwrap();
    let expected = tree(&Marked::lower(HostDir::new(dir, "unpacked")), show);
    let bytes = fs::read(archive).unwrap();
    (tree(&crate::archive::scan(&bytes).unwrap(), show), expected)
}

#[test]
fn archives_of_gnu_tar_read_as_they_unpack() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    plant(&root);
    for format in ["gnu", "oldgnu", "pax", "posix", "ustar", "v7"] {
        // The older formats have no room for some names and times.
        if matches!(format, "ustar" | "v7") {
            for long in ["dir/below", "long link", "none", "dir/file", "again"] {
                let path = root.join(long);
                if path.is_dir() {
                    fs::remove_dir_all(path).unwrap();
                } else if path.symlink_metadata().is_ok() {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        let archive = folder.path().join(format!("{format}.tar"));
        run(Command::new("tar")
            .args(["--create", "--sort=name", "--format", format, "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(&root)
            .arg("."));
        let (layer, unpacked) = both(&archive, FULL);
        assert_eq!(layer, unpacked, "{format}");
        assert!(layer.len() > 5);
    }
}

#[test]
fn all_forms_of_sparse_files_read_as_they_unpack() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let many: Vec<u64> = (0..60).map(|part| part * 65_536 + 4096).collect();
    plant_sparse(&root.join("start"), &[0, 1 << 20]);
    plant_sparse(&root.join("end"), &[(4 << 20) - 3900]);
    plant_sparse(&root.join("hole"), &[]);
    plant_sparse(&root.join("many"), &many);
    for form in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let archive = folder.path().join("sparse.tar");
        run(Command::new("tar")
            .args(["--create", "--sparse", "--sort=name"])
            .args(form)
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&root)
            .arg("."));
        let stored = fs::metadata(&archive).unwrap().len();
        assert!(stored < 4 << 20, "{form:?}: {stored} bytes: not sparse");
        let (layer, unpacked) = both(&archive, FULL);
        assert_eq!(layer, unpacked, "{form:?}");
    }
}

#[test]
fn attributes_of_gnu_tar_read_as_they_unpack() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let file = fs::File::create(root.join("file")).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    for (name, value) in [("user.a", &b"value"[..]), ("user.binary", b"\0\n=%")] {
        if rustix::fs::fsetxattr(&file, name, value, flags).is_err() {
            return; // tmpfs has no such attributes before Linux 6.6.
        }
    }
    let archive = folder.path().join("attributes.tar");
    run(Command::new("tar")
        .args(["--create", "--xattrs", "--format=pax", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(&root)
        .arg("."));
    let layer = TarLayer::scan(fs::File::open(&archive).unwrap(), &Limits::default()).unwrap();
    let lines = tree(&layer, FULL);
    let line = lines.iter().find(|line| line.starts_with("file")).unwrap();
    assert!(
        line.ends_with("user.a=value user.binary=\\x00\\n=%"),
        "{line}"
    );
}

#[test]
fn archives_of_python_read_as_they_unpack() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    plant(&root);
    for format in ["USTAR", "GNU", "PAX"] {
        let archive = folder.path().join("python.tar");
        if format == "USTAR" {
            fs::remove_dir_all(root.join("dir/below")).unwrap();
            fs::remove_file(root.join("long link")).unwrap();
            fs::remove_file(root.join("none")).unwrap();
            fs::remove_file(root.join("again")).unwrap();
            fs::remove_file(root.join("dir/file")).unwrap();
        }
        let script = format!(
            "import sys, tarfile\n\
             with tarfile.open(sys.argv[2], 'w', format=tarfile.{format}_FORMAT) as archive:\n\
             \x20   archive.add(sys.argv[1], '.')\n"
        );
        run(Command::new("python3")
            .args(["-c", &script])
            .arg(&root)
            .arg(&archive));
        let (layer, unpacked) = both(&archive, FULL);
        assert_eq!(layer, unpacked, "{format}");
        if format == "USTAR" {
            fs::remove_dir_all(&root).unwrap();
            plant(&root);
        }
    }
}

#[test]
fn archives_of_bsdtar_read_as_they_unpack() {
    if Command::new("bsdtar").arg("--version").output().is_err() {
        eprintln!("skipped: bsdtar (libarchive-tools) is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    plant(&root);
    // bsdtar writes a time before 1970 as the sum of a negative and a positive number, which is not what
    // POSIX and GNU tar read.
    fs::remove_file(root.join("none")).unwrap();
    for format in ["pax", "gnutar"] {
        let archive = folder.path().join("bsd.tar");
        run(Command::new("bsdtar")
            .args(["-c", "--format", format, "-f"])
            .arg(&archive)
            .arg("-C")
            .arg(&root)
            .arg("."));
        let (layer, unpacked) = both_by(Command::new("bsdtar").args(["-x", "-p"]), &archive, FULL);
        // It does not set the time of the root.
        assert_eq!(layer[1..], unpacked[1..], "{format}");
    }
}
