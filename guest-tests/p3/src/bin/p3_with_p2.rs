//! A component that imports both WASI 0.2 and 0.3, which share one tree: changes through one version are
//! visible through the other.

use guests_p3::{
    OpenFlags, both, digest, open_write, read_file, root, say, show, show_file, tried, write_file,
};
use wasi::filesystem::preopens::get_directories;
use wasi::filesystem::types::{self as p2, ErrorCode};

mod p2_bindings {
    wit_bindgen::generate!({
        inline: "
            package wasi-overlay-tests:guests-with-p2;

            world with-p2 {
                import wasi:filesystem/types@0.2.12;
                import wasi:filesystem/preopens@0.2.12;
            }
        ",
        path: "../p2/wit",
        world: "wasi-overlay-tests:guests-with-p2/with-p2",
        generate_all,
    });
}
use p2_bindings::wasi;

guests_p3::command!(run);

fn read_p2(dir: &p2::Descriptor, path: &str) -> Result<Vec<u8>, ErrorCode> {
    let file = dir.open_at(
        p2::PathFlags::SYMLINK_FOLLOW,
        path,
        p2::OpenFlags::empty(),
        p2::DescriptorFlags::READ,
    )?;
    Ok(file.read(1 << 16, 0)?.0)
}

fn names_p2(dir: &p2::Descriptor) -> Result<usize, ErrorCode> {
    let stream = dir.read_directory()?;
    let mut count = 0;
    while stream.read_directory_entry()?.is_some() {
        count += 1;
    }
    Ok(count)
}

async fn run() {
    let root = root();
    let preopens = get_directories();
    say!("{} directories", preopens.len());
    let p2_root = &preopens[0].0;
    for path in ["hello.txt", "dir/one", "missing", "links/rel", "dir"] {
        match read_p2(p2_root, path) {
            Ok(data) => say!("0.2 reads {path}: {}", digest(&data)),
            Err(code) => say!("0.2 reads {path}: {}", code.name()),
        }
        show_file(&root, path).await;
    }
    // Opened with one version, changed with the other.
    let held = p2_root
        .open_at(
            p2::PathFlags::empty(),
            "hello.txt",
            p2::OpenFlags::empty(),
            p2::DescriptorFlags::READ | p2::DescriptorFlags::WRITE,
        )
        .expect("it is there");
    let file = open_write(&root, "hello.txt", OpenFlags::empty())
        .await
        .expect("it is there");
    show("0.3 writes", file.write(b"by 0.3", 0).await);
    say!(
        "{:?}",
        held.read(100, 0).map(|(data, _)| digest(&data)).ok()
    );
    say!("0.2 writes {:?}", held.write(b"by 0.2", 0).ok());
    show_file(&root, "hello.txt").await;
    let hash = file.metadata_hash().await.expect("it is open");
    let other = held.metadata_hash().expect("it is open");
    say!(
        "one object: {}",
        (hash.lower, hash.upper) == (other.lower, other.upper)
    );
    tried("0.3 makes", write_file(&root, "made", b"by 0.3").await);
    say!(
        "0.2 removes {:?}",
        p2_root.unlink_file_at("made").map_err(|code| code.name())
    );
    show_file(&root, "made").await;
    say!("0.2 lists {:?}", names_p2(p2_root).ok());
    say!(
        "0.2 renames {:?}",
        p2_root
            .rename_at("dir", p2_root, "gone-dir")
            .map_err(|code| code.name())
    );
    show_file(&root, "gone-dir/sub/inner").await;
    // Calls of one version while a call of the other is in progress.
    let (data, count) = both(read_file(&root, "big.bin"), async {
        names_p2(p2_root).ok()
    })
    .await;
    show("both", data.map(|data| (data.len(), count)));
}
