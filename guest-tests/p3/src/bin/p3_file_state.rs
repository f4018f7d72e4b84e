//! Data, sizes and times of files: every descriptor of a file shows changes through any other.
//!
//! The assertions of wasi-testsuite's `filesystem-advise`, `filesystem-io`, `filesystem-set-size` and
//! `filesystem-stat`; error codes for invalid paths are in `p3_path_codes`.

use guests_p3::system_clock::Instant;
use guests_p3::{
    Advice, Descriptor, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags, append,
    assert_refused, open, open_write, read_all, read_at, root, say,
};

guests_p3::command!(run);

const STAY: PathFlags = PathFlags::empty();

async fn run() {
    let root = root();
    for path in ["dir/two", "big.bin", "empty", "new"] {
        data(&root, path).await;
        times(&root, path).await;
        advice(&root, path).await;
        sizes(&root, path).await;
        say!("{path}: all as it should be");
    }
}

async fn size(file: &Descriptor) -> u64 {
    file.stat().await.expect("it is open").size
}

async fn data(root: &Descriptor, path: &str) {
    let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = open_write(root, path, how).await.expect("it can be opened");
    assert_eq!(read_all(&file).await, Ok(vec![]), "{path}");
    assert_eq!(file.write(b"test-a\n", 0).await, Ok(7), "{path}");
    for at in [0, 1, 6, 7, 17] {
        let rest = b"test-a\n".get(at..).unwrap_or_default();
        let one = rest[..rest.len().min(1)].to_vec();
        assert_eq!(read_at(&file, at as u64).await, Ok(rest.to_vec()), "{path}");
        let read = file.read(1, at as u64).await.map(|(data, _)| data);
        assert_eq!(read, Ok(one), "{path}");
        assert!(file.read(0, at as u64).await.is_ok(), "{path}");
    }
    assert_refused(
        "from the end",
        file.read(1, u64::MAX).await,
        &[ErrorCode::Invalid],
    );
    for (data, all) in [("hello!\n", "hello!\n"), ("byeee", "byeee!\n")] {
        assert_eq!(
            file.write(data.as_bytes(), 0).await,
            Ok(data.len()),
            "{path}"
        );
        assert_eq!(read_all(&file).await, Ok(all.into()), "{path}");
    }
    assert_eq!(append(&file, b" laters!!").await, Ok(9), "{path}");
    assert_eq!(size(&file).await, 16, "{path}");
    assert_eq!(file.sync_data().await, Ok(()), "{path}");
    let reader = open(root, path).await.expect("it is there");
    assert_eq!(
        read_all(&reader).await,
        Ok(b"byeee!\n laters!!".to_vec()),
        "{path}"
    );
    assert_eq!(file.sync().await, Ok(()), "{path}");
}

async fn times(root: &Descriptor, path: &str) {
    let file = open(root, path).await.expect("it is there");
    let stat = || async { file.stat().await.expect("it is open") };
    let before = stat().await;
    assert_eq!(before.type_, DescriptorType::RegularFile, "{path}");
    let both = |access, modification| {
        let [access, modification] = [access, modification].map(NewTimestamp::Timestamp);
        (access, modification)
    };
    let at = |seconds| Instant {
        seconds,
        nanoseconds: 0,
    };
    let accessed = before.data_access_timestamp.expect("the host has it");
    let modified = before.data_modification_timestamp.expect("the host has it");
    let changed = before.status_change_timestamp.expect("the host has it");
    for time in [accessed, modified, changed] {
        assert!(time.nanoseconds < 1_000_000_000, "{path}");
    }
    for (access, modification) in [(at(42), at(69)), (accessed, modified)] {
        for by_path in [true, false] {
            // In between, so that the second call has something to change.
            let (one, other) = both(at(1), at(2));
            assert_eq!(file.set_times(one, other).await, Ok(()), "{path}");
            let (one, other) = both(access, modification);
            let set = if by_path {
                root.set_times_at(STAY, path, one, other).await
            } else {
                file.set_times(one, other).await
            };
            assert_eq!(set, Ok(()), "{path}");
            let after = stat().await;
            let times = (
                after.data_access_timestamp,
                after.data_modification_timestamp,
            );
            assert_eq!(times, (Some(access), Some(modification)), "{path}");
        }
    }
}

async fn advice(root: &Descriptor, path: &str) {
    let code = &[ErrorCode::BadDescriptor];
    assert_refused("a directory", root.advise(0, 0, Advice::Normal).await, code);
    let file = open(root, path).await.expect("it is there");
    let size = size(&file).await;
    for advice in [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ] {
        for offset in [0, size.saturating_sub(4096), size, size + 4096] {
            for length in [0, 10, 4096, size, size + 4096] {
                assert_eq!(file.advise(offset, length, advice).await, Ok(()), "{path}");
            }
        }
    }
}

async fn sizes(root: &Descriptor, path: &str) {
    let how = OpenFlags::TRUNCATE;
    let first = open_write(root, path, how).await.expect("it is there");
    assert_eq!(size(&first).await, 0, "{path}");
    assert_eq!(first.set_size(42).await, Ok(()), "{path}");
    assert_eq!(size(&first).await, 42, "{path}");
    let writer = open_write(root, path, OpenFlags::empty()).await;
    let writer = writer.expect("it is there");
    let reader = open(root, path).await.expect("it is there");
    assert_eq!(
        [size(&writer).await, size(&reader).await],
        [42; 2],
        "{path}"
    );
    assert_eq!(writer.set_size(69).await, Ok(()), "{path}");
    assert_eq!(
        [size(&writer).await, size(&reader).await],
        [69; 2],
        "{path}"
    );
    let cut = open_write(root, path, how).await.expect("it is there");
    assert_eq!([size(&cut).await, size(&reader).await], [0; 2], "{path}");
    let refusals = [
        ErrorCode::Invalid,
        ErrorCode::BadDescriptor,
        ErrorCode::Access,
    ];
    assert_refused("opened to read", reader.set_size(100).await, &refusals);
    let refusals = [ErrorCode::Invalid, ErrorCode::FileTooLarge];
    assert_refused("no size", writer.set_size(u64::MAX).await, &refusals);
    assert_eq!(root.unlink_file_at(path).await, Ok(()), "{path}");
    assert_eq!(size(&writer).await, 0, "{path}");
    assert_eq!(writer.set_size(42).await, Ok(()), "{path}");
    assert_eq!(
        [size(&writer).await, size(&reader).await],
        [42; 2],
        "{path}"
    );
}
