//! A test of the asynchronous host functions, inline and in the pool: each one that reaches the engine in
//! another way than its synchronous counterpart.

use crate::support::{borrow, both, host_dir};
use wasi_overlay::p2::bindings::types::{self, HostDescriptor, HostDirectoryEntryStream};
use wasi_overlay::p2::{FsError, FsResult};
use wasi_overlay::{Errno, FsPerms, OverlayView};

#[track_caller]
fn code<T>(result: FsResult<T>) -> Errno {
    match result {
        Err(FsError::Code(code)) => code,
        Ok(_) | Err(FsError::Trap(_)) => panic!("a code was due"),
    }
}

#[tokio::test]
async fn asynchronous_store_answers_like_a_synchronous_one() {
    let read_write = types::DescriptorFlags::READ | types::DescriptorFlags::WRITE;
    for n in 0..4 {
        let temp = host_dir();
        let [overlay, live] = both(&temp, FsPerms::ReadWrite, n < 2);
        let mut state = if n % 2 == 0 { overlay } else { live };
        let root = state.preopens().remove(0);
        let fd = || borrow(&root);
        let mut view = state.overlay();
        let (path, create) = (types::PathFlags::empty(), types::OpenFlags::CREATE);

        let opening = view.open_at(fd(), path, "new".into(), create, read_write);
        let new = opening.await.unwrap();
        assert_eq!(view.write(borrow(&new), b"abc".into(), 1).await.unwrap(), 3);
        assert_eq!(
            view.read(borrow(&new), 9, 0).await.unwrap(),
            (b"\0abc".into(), false)
        );
        view.set_size(borrow(&new), 2).await.unwrap();
        view.sync(borrow(&new)).await.unwrap();
        view.sync_data(borrow(&new)).await.unwrap();
        assert_eq!(view.stat(borrow(&new)).await.unwrap().size, 2);
        assert_eq!(view.get_flags(borrow(&new)).unwrap(), read_write);
        view.rename_at(fd(), "new".into(), fd(), "dir/new".into())
            .await
            .unwrap();
        let at = view.metadata_hash_at(fd(), path, "dir/new".into()).await;
        let same = view.metadata_hash(borrow(&new)).await.unwrap();
        let at = at.unwrap();
        assert_eq!((at.lower, at.upper), (same.lower, same.upper));
        view.symlink_at(fd(), "dir".into(), "link".into())
            .await
            .unwrap();
        assert_eq!(view.readlink_at(fd(), "link".into()).await.unwrap(), "dir");
        let missing = view.stat_at(fd(), path, "new".into()).await;
        assert_eq!(code(missing), Errno::NoEntry);
        assert_eq!(code(view.read(fd(), 1, 0).await), Errno::BadDescriptor);
        view.unlink_file_at(fd(), "dir/new".into()).await.unwrap();
        view.unlink_file_at(fd(), "link".into()).await.unwrap();
        view.unlink_file_at(fd(), "dir/inner".into()).await.unwrap();
        view.remove_directory_at(fd(), "dir".into()).await.unwrap();

        let stream = view.read_directory(fd()).await.unwrap();
        let entry = view.read_directory_entry(borrow(&stream)).unwrap().unwrap();
        assert_eq!(entry.name, "file");
        assert!(view.read_directory_entry(stream).unwrap().is_none());
    }
}
