//! Checks of file data: reads return what was written, holes read as zeroes, and any offset is accepted or
//! refused cleanly.

use super::kit::{
    LONG_AGO, Mounted, at, both, fails, make_file, ok, pattern, read_all, root, write_all,
};
use crate::error::Errno;
use crate::layer::{ReadAt, Upper, WriteAt};

/// Writes, appends, and reads through other handles.
///
/// # Panics
/// If the upper violates the contract.
pub fn writes<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let file = make_file(upper, at(&top, "file"), b"");
    let reader = ok("open_file", upper.open_file(&top, at(&top, "file").name));
    let other = ok("open_write", upper.open_write(&top, at(&top, "file").name));

    let mut expected = Vec::new();
    for (seed, offset, length) in [
        (1, 0, 10),
        (2, 5, 10),
        (3, 65_530, 12),
        (4, 4096, 200_000),
        (5, 131_072, 65_536),
        (6, 300_000, 1),
    ] {
        let data = pattern(seed, length);
        write_all(&file, &data, offset as u64);
        if expected.len() < offset + length {
            expected.resize(offset + length, 0);
        }
        expected[offset..offset + length].copy_from_slice(&data);
        assert!(
            read_all(&reader) == expected,
            "a write at {offset} reads differently"
        );
    }
    for length in [0, 1, 5000, 70_000] {
        let data = pattern(7, length);
        let mut rest = &data[..];
        while !rest.is_empty() {
            rest = &rest[ok("append", other.append(rest))..];
        }
        expected.extend_from_slice(&data);
    }
    assert!(
        read_all(&file) == expected,
        "what was appended reads differently"
    );

    ok("set_times", file.set_times(both(LONG_AGO)));
    for offset in [0, 17, expected.len() as u64 + 17] {
        let done = other.write_at(b"", offset);
        assert_eq!(ok("write_at of nothing", done), 0);
    }
    assert_eq!(ok("append of nothing", other.append(b"")), 0);
    let meta = ok("meta", file.meta());
    assert_eq!(
        meta.size,
        expected.len() as u64,
        "an empty write changed the size"
    );
    assert_eq!(meta.modified, LONG_AGO, "an empty write changed the time");
    write_all(&other, b"x", 0);
    assert_ne!(
        ok("meta", file.meta()).modified,
        LONG_AGO,
        "a write did not update the time"
    );
    for data_only in [true, false] {
        ok("sync", file.sync(data_only));
    }
    ok("sync_dir", upper.sync_dir(&top));
    ok("sync_all", upper.sync_all());
}

/// Truncates and extends files.
///
/// # Panics
/// If the upper violates the contract.
pub fn sizes<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let mut expected = pattern(8, 200_000);
    let file = make_file(upper, at(&top, "file"), &expected);
    for size in [
        200_000, 131_072, 131_071, 200_000, 70_000, 65_536, 1, 70_000, 0, 5,
    ] {
        ok("set_size", file.set_size(size as u64));
        expected.resize(size, 0);
        assert!(
            read_all(&file) == expected,
            "set_size({size}) reads differently"
        );
    }
    ok("set_times", file.set_times(both(LONG_AGO)));
    ok("set_size", file.set_size(6));
    assert_ne!(
        ok("meta", file.meta()).modified,
        LONG_AGO,
        "set_size did not update the time"
    );

    // Past the maximum file size: refused without any effect.
    let size = ok("meta", file.meta()).size;
    for huge in [u64::MAX, u64::MAX - 1, i64::MAX as u64 + 1] {
        fails(
            "write_at",
            file.write_at(b"four", huge),
            Errno::FileTooLarge,
        );
        fails("set_size", file.set_size(huge), Errno::FileTooLarge);
        assert_eq!(ok("read_at", file.read_at(&mut [0; 4], huge)), 0);
    }
    let huge = i64::MAX as u64 - 1;
    fails(
        "write_at",
        file.write_at(b"four", huge),
        Errno::FileTooLarge,
    );
    assert_eq!(
        ok("meta", file.meta()).size,
        size,
        "a failed call changed the size"
    );
}

/// Leaves holes, and queries where the data is.
///
/// # Panics
/// If the upper violates the contract.
pub fn sparse<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let file = make_file(upper, at(&top, "file"), b"");
    let islands = [
        (0_u64, 100_usize),
        (1 << 20, 200_000),
        (1 << 40, 1),
        ((1 << 40) + 70_000, 9),
    ];
    for (offset, length) in islands {
        write_all(&file, &pattern(offset, length), offset);
    }
    let size = (1 << 40) + 1_000_000;
    ok("set_size", file.set_size(size));
    let meta = ok("meta", file.meta());
    assert_eq!(meta.size, size);
    if let Some(allocated) = meta.allocated {
        assert!(
            allocated < 1 << 30,
            "{allocated} bytes are stored of a file with holes"
        );
    }

    let mut stretches = Vec::new();
    let mut offset = 0;
    while let Some(stretch) = ok("next_data", file.next_data(offset)) {
        assert!(
            offset <= stretch.start && stretch.start < stretch.end && stretch.end <= size,
            "next_data({offset}) gave {stretch:?} of a file of {size} bytes"
        );
        offset = stretch.end;
        stretches.push(stretch);
        assert!(stretches.len() < 10_000, "next_data does not end");
    }
    for (from, length) in islands {
        let mut at = from;
        for stretch in &stretches {
            if stretch.contains(&at) {
                at = stretch.end;
            }
        }
        assert!(
            at >= from + length as u64,
            "next_data left out data at {at}"
        );

        let mut buffer = vec![0xa5; length];
        let mut done = 0;
        while done < length {
            let count = file.read_at(&mut buffer[done..], from + done as u64);
            done += ok("read_at", count);
        }
        assert!(
            buffer == pattern(from, length),
            "data beside a hole reads differently"
        );
    }
    let mut hole = [0xa5; 5000];
    let count = ok("read_at of a hole", file.read_at(&mut hole, 1 << 30));
    assert!(
        count > 0 && hole[..count].iter().all(|&byte| byte == 0),
        "a hole is not zero"
    );
}
