//! Tests of calls on descriptors: error codes for calls that do not fit the descriptor or the mount.

use crate::support::{State, borrow, both, host_dir, mounted, open};
use wasi_overlay::p2::bindings::sync::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, Host, HostDescriptor,
    HostDirectoryEntryStream, NewTimestamp, OpenFlags, PathFlags,
};
use wasi_overlay::p2::{FsError, FsResult};
use wasi_overlay::{Errno, FsPerms, Limits, Overlay, OverlayCtx, OverlayView};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

/// Opens `path` below the first preopen.
fn open_at(
    state: &mut State,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> FsResult<Resource<Descriptor>> {
    let root = state.preopens().remove(0);
    let fd = borrow(&root);
    HostDescriptor::open_at(
        &mut state.overlay(),
        fd,
        PathFlags::SYMLINK_FOLLOW,
        path.into(),
        open,
        flags,
    )
}

fn read_only(state: &mut State, path: &str) -> Resource<Descriptor> {
    open_at(state, path, OpenFlags::empty(), DescriptorFlags::READ).unwrap()
}

fn read_write(state: &mut State, path: &str) -> Resource<Descriptor> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    open_at(state, path, OpenFlags::empty(), flags).unwrap()
}

#[track_caller]
fn code<T>(result: FsResult<T>) -> Errno {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(FsError::Code(code)) => code,
        Err(FsError::Trap(trap)) => panic!("the call trapped: {trap}"),
    }
}

#[test]
fn a_call_for_files_on_a_directory_is_bad_descriptor() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let dir = read_only(&mut state, "dir");
        let fd = || borrow(&dir);
        let mut view = state.overlay();

        assert_eq!(code(view.read(fd(), 1, 0)), Errno::BadDescriptor);
        assert_eq!(code(view.write(fd(), vec![1], 0)), Errno::BadDescriptor);
        assert_eq!(code(view.set_size(fd(), 0)), Errno::BadDescriptor);
        assert_eq!(
            code(view.advise(fd(), 0, 0, Advice::Normal)),
            Errno::BadDescriptor
        );
        assert_eq!(code(view.write_via_stream(fd(), 0)), Errno::BadDescriptor);
        assert_eq!(code(view.append_via_stream(fd())), Errno::BadDescriptor);
        assert_eq!(code(view.read_via_stream(fd(), 0)), Errno::IsDirectory);
    }
}

#[test]
fn a_call_for_directories_on_a_file_is_not_directory() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let root = state.preopens().remove(0);
        let file = read_write(&mut state, "file");
        let fd = || borrow(&file);
        let path = || String::from("x");
        let mut view = state.overlay();

        let expected = Errno::NotDirectory;
        assert_eq!(code(view.read_directory(fd())), expected);
        assert_eq!(code(view.create_directory_at(fd(), path())), expected);
        assert_eq!(code(view.remove_directory_at(fd(), path())), expected);
        assert_eq!(code(view.unlink_file_at(fd(), path())), expected);
        assert_eq!(code(view.readlink_at(fd(), path())), expected);
        assert_eq!(code(view.symlink_at(fd(), path(), path())), expected);
        assert_eq!(
            code(view.stat_at(fd(), PathFlags::empty(), path())),
            expected
        );
        assert_eq!(
            code(view.metadata_hash_at(fd(), PathFlags::empty(), path())),
            expected
        );
        let keep = NewTimestamp::NoChange;
        assert_eq!(
            code(view.set_times_at(fd(), PathFlags::empty(), path(), keep, keep)),
            expected
        );
        let read = DescriptorFlags::READ;
        assert_eq!(
            code(view.open_at(fd(), PathFlags::empty(), path(), OpenFlags::empty(), read)),
            expected
        );
        assert_eq!(
            code(view.rename_at(borrow(&root), "file".into(), fd(), path())),
            expected
        );
        assert_eq!(
            code(view.link_at(
                borrow(&root),
                PathFlags::empty(),
                "file".into(),
                fd(),
                path()
            )),
            expected
        );
    }
}

#[test]
fn open_with_sync_flag_is_unsupported_and_creates_nothing() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        for flag in [
            DescriptorFlags::FILE_INTEGRITY_SYNC,
            DescriptorFlags::DATA_INTEGRITY_SYNC,
            DescriptorFlags::REQUESTED_WRITE_SYNC,
        ] {
            let flags = flag | DescriptorFlags::WRITE;
            let result = open_at(&mut state, "new", OpenFlags::CREATE, flags);
            assert_eq!(code(result), Errno::Unsupported);
        }
        assert!(!temp.path().join("new").exists());
    }
}

#[test]
fn flags_report_how_a_file_was_opened_and_whether_the_mount_is_writable() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let root = state.preopens().remove(0);
        let r = read_only(&mut state, "file");
        let rw = read_write(&mut state, "file");
        let w = open_at(
            &mut state,
            "file",
            OpenFlags::empty(),
            DescriptorFlags::WRITE,
        )
        .unwrap();
        let mut view = state.overlay();
        let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
        let mutate = DescriptorFlags::MUTATE_DIRECTORY;
        assert_eq!(view.get_flags(r).unwrap(), read);
        assert_eq!(view.get_flags(rw).unwrap(), read | write);
        assert_eq!(view.get_flags(w).unwrap(), write);
        assert_eq!(view.get_flags(root).unwrap(), read | mutate);
    }
    for mut state in both(&temp, FsPerms::ReadOnly, true) {
        let root = state.preopens().remove(0);
        let flags = state.overlay().get_flags(root).unwrap();
        assert_eq!(flags, DescriptorFlags::READ);
    }
}

#[test]
fn get_type_distinguishes_files_from_directories() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let file = read_only(&mut state, "file");
        let dir = read_only(&mut state, "dir");
        let mut view = state.overlay();
        assert_eq!(view.get_type(file).unwrap(), DescriptorType::RegularFile);
        assert_eq!(view.get_type(dir).unwrap(), DescriptorType::Directory);
    }
}

#[test]
fn extreme_lengths_and_offsets_neither_allocate_nor_panic() {
    let temp = host_dir();
    std::fs::write(temp.path().join("big"), vec![7; 300_000]).unwrap();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let big = read_write(&mut state, "big");
        let mut view = state.overlay();

        let (bytes, end) = view.read(borrow(&big), u64::MAX, 0).unwrap();
        assert!(!bytes.is_empty() && bytes.len() <= 64 * 1024 && !end);
        assert_eq!(
            view.read(borrow(&big), 10, 300_000).unwrap(),
            (vec![], true)
        );
        // Offsets that the host cannot address: an error or the end of the file, never a panic.
        if let Ok(answer) = view.read(borrow(&big), u64::MAX, u64::MAX) {
            assert_eq!(answer, (vec![], true));
        }
        code(view.write(borrow(&big), vec![1, 2], u64::MAX));
        code(view.write(borrow(&big), vec![1, 2], u64::MAX - 1));
        code(view.set_size(borrow(&big), u64::MAX));
        // Advice may fail or have no effect; it must only not panic.
        drop(view.advise(borrow(&big), u64::MAX, u64::MAX, Advice::WillNeed));
        assert_eq!(view.stat(big).unwrap().size, 300_000);
    }
}

#[test]
fn time_out_of_range_is_overflow() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let root = state.preopens().remove(0);
        let file = read_write(&mut state, "file");
        let never = NewTimestamp::Timestamp(Datetime {
            seconds: u64::MAX,
            nanoseconds: u32::MAX,
        });
        let mut view = state.overlay();
        let keep = NewTimestamp::NoChange;
        assert_eq!(code(view.set_times(file, never, keep)), Errno::Overflow);
        let result = view.set_times_at(root, PathFlags::empty(), "file".into(), keep, never);
        assert_eq!(code(result), Errno::Overflow);
    }
}

#[test]
fn hard_link_that_follows_a_symlink_is_invalid() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let root = state.preopens().remove(0);
        let mut view = state.overlay();
        let mut link = |flags, name: &str| {
            let (fd, new_fd) = (borrow(&root), borrow(&root));
            view.link_at(fd, flags, "file".into(), new_fd, name.into())
        };
        assert_eq!(
            code(link(PathFlags::SYMLINK_FOLLOW, "other")),
            Errno::Invalid
        );
        link(PathFlags::empty(), "other").unwrap();
    }
}

#[test]
fn listing_returns_each_name_once_and_stays_at_its_end() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let root = state.preopens().remove(0);
        let mut view = state.overlay();
        let stream = view.read_directory(root).unwrap();
        let mut names = Vec::new();
        while let Some(entry) = view.read_directory_entry(borrow(&stream)).unwrap() {
            names.push((entry.name, entry.type_));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            (String::from("dir"), DescriptorType::Directory),
            (String::from("file"), DescriptorType::RegularFile),
        ];
        assert_eq!(names, expected);
        assert!(
            view.read_directory_entry(borrow(&stream))
                .unwrap()
                .is_none()
        );
        HostDirectoryEntryStream::drop(&mut view, stream).unwrap();
    }
}

#[test]
fn is_same_object_holds_for_two_descriptors_and_never_across_mounts() {
    let temp = host_dir();
    let mut builder = OverlayCtx::builder();
    builder
        .dir(open(&temp), "/a", FsPerms::ReadWrite)
        .unwrap()
        .dir(open(&temp), "/b", FsPerms::ReadWrite)
        .unwrap();
    let mut state = State::new(builder.build());
    let (first, second) = (
        read_only(&mut state, "file"),
        read_only(&mut state, "./file"),
    );
    let roots = state.preopens();
    let mut view = state.overlay();
    assert!(
        view.is_same_object(borrow(&first), borrow(&second))
            .unwrap()
    );
    assert!(!view.is_same_object(first, borrow(&roots[0])).unwrap());
    assert!(
        !view
            .is_same_object(borrow(&roots[0]), borrow(&roots[1]))
            .unwrap()
    );
}

#[test]
fn changes_of_a_read_only_mount_are_read_only() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadOnly, true) {
        let root = state.preopens().remove(0);
        let result = open_at(
            &mut state,
            "file",
            OpenFlags::empty(),
            DescriptorFlags::WRITE,
        );
        assert_eq!(code(result), Errno::ReadOnly);
        let mut view = state.overlay();
        let result = view.create_directory_at(borrow(&root), "new".into());
        assert_eq!(code(result), Errno::ReadOnly);
        assert_eq!(
            code(view.unlink_file_at(root, "file".into())),
            Errno::ReadOnly
        );
    }
}

#[test]
fn call_on_a_missing_descriptor_traps() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let result = state.overlay().stat(Resource::new_borrow(12_345));
        assert!(matches!(result, Err(FsError::Trap(_))));
    }
}

#[test]
fn a_full_table_traps_and_never_panics() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let root = state.preopens().remove(0);
        state.table.set_max_capacity(1);
        let mut view = state.overlay();
        let result = view.open_at(
            root,
            PathFlags::empty(),
            "file".into(),
            OpenFlags::empty(),
            DescriptorFlags::READ,
        );
        assert!(matches!(result, Err(FsError::Trap(_))));
    }
}

#[test]
fn error_code_reaches_the_guest_unchanged() {
    let temp = host_dir();
    for mut state in both(&temp, FsPerms::ReadWrite, true) {
        let Err(error) = open_at(
            &mut state,
            "absent",
            OpenFlags::empty(),
            DescriptorFlags::READ,
        ) else {
            panic!("there is no such file");
        };
        let code = Host::convert_error_code(&mut state.overlay(), error).unwrap();
        assert_eq!(code, ErrorCode::NoEntry);
    }
}

#[test]
fn second_or_invalid_guest_path_is_an_error() {
    let temp = host_dir();
    let mut builder = OverlayCtx::builder();
    builder
        .dir(open(&temp), "/data", FsPerms::ReadWrite)
        .unwrap();
    for path in ["/data", "/data/", "//data/.", "", "a\0b"] {
        assert!(
            builder.dir(open(&temp), path, FsPerms::ReadWrite).is_err(),
            "{path:?}"
        );
    }
    for path in [".", "data", "/", "/data/sub"] {
        builder.dir(open(&temp), path, FsPerms::ReadWrite).unwrap();
    }
    let mut state = State::new(builder.build());
    assert_eq!(state.preopens().len(), 5);
}

/// Each change of a directory makes a new listing, and a guest may hold any number of streams.
#[test]
fn streams_past_the_limit_of_bytes_are_insufficient_memory() {
    let temp = host_dir();
    let mut limits = Limits::default();
    limits.listing_bytes = 10_000;
    let overlay = Overlay::builder()
        .upper_dir("upper", open(&temp))
        .limits(limits.clone())
        .build()
        .unwrap();
    let mut live = OverlayCtx::builder();
    let other = host_dir();
    live.limits(limits)
        .dir(open(&other), "/", FsPerms::ReadWrite)
        .unwrap();
    for mut state in [
        mounted(&overlay, FsPerms::ReadWrite, true),
        State::new(live.build()),
    ] {
        let root = state.preopens().remove(0);
        let fd = || borrow(&root);
        let mut view = state.overlay();
        let mut streams = Vec::new();
        let failed = loop {
            assert!(streams.len() < 1000, "nothing bounds them");
            let name = format!("{:x>100}", streams.len());
            view.create_directory_at(fd(), name).unwrap();
            match view.read_directory(fd()) {
                Ok(stream) => streams.push(stream),
                failed => break failed,
            }
        };
        assert_eq!(code(failed), Errno::InsufficientMemory);
        for stream in streams {
            HostDirectoryEntryStream::drop(&mut view, stream).unwrap();
        }
        view.read_directory(fd()).unwrap();
    }
}

/// One guest that changed a directory between streams took all bytes that the mount had for listings, and
/// every other guest of it could list nothing.
#[test]
fn guest_that_holds_streams_leaves_other_guests_half_of_the_bytes() {
    let mut limits = Limits::default();
    limits.listing_bytes = 20_000;
    let overlay = Overlay::builder()
        .upper_memory(1 << 20)
        .limits(limits.clone())
        .build()
        .unwrap();
    let mut files = OverlayCtx::builder();
    files
        .limits(limits)
        .overlay(&overlay, "/", FsPerms::ReadWrite)
        .unwrap();
    let files = files.build();
    // Lists the root after each of many changes until listing fails; returns the streams.
    let hoard = |state: &mut State, prefix: char| {
        let root = state.preopens().remove(0);
        let mut view = state.overlay();
        let mut streams = Vec::new();
        loop {
            assert!(streams.len() < 1000, "nothing bounds them");
            let name = format!("{prefix}{:x>100}", streams.len());
            view.create_directory_at(borrow(&root), name.clone())
                .unwrap();
            match view.read_directory(borrow(&root)) {
                Ok(stream) => streams.push(stream),
                failed => {
                    assert_eq!(code(failed), Errno::InsufficientMemory);
                    view.remove_directory_at(borrow(&root), name).unwrap();
                    return streams;
                }
            }
        }
    };
    let mut evil = State::new(files.clone());
    let held = hoard(&mut evil, 'e');
    assert!(held.len() > 5, "{}", held.len());
    let mut good = State::new(files);
    let root = good.preopens().remove(0);
    let mut view = good.overlay();
    for at in 0..3 {
        view.create_directory_at(borrow(&root), format!("{at}"))
            .unwrap();
        let stream = view.read_directory(borrow(&root)).unwrap();
        HostDirectoryEntryStream::drop(&mut view, stream).unwrap();
    }
    // Once the guest drops its streams, it can list again.
    let mut view = evil.overlay();
    for stream in held {
        HostDirectoryEntryStream::drop(&mut view, stream).unwrap();
    }
    let root = evil.preopens().remove(0);
    evil.overlay().read_directory(root).unwrap();
}
