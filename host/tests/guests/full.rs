//! Test of a 0.3 stream into a full upper: the guest checks that the file holds the accepted bytes, and that
//! freed space can be used again.

use crate::program::{Files, Program};
use wasi_overlay::{FsPerms, Lower, MemoryLayer, Overlay, OverlayCtx};
use wasi_overlay_guest_artifacts::P3_FULL;

#[test]
fn full_upper_ends_a_stream_at_the_byte_that_does_not_fit() {
    let program = Program::load(P3_FULL.path()).expect("a guest that was built can be compiled");
    for allow_blocking in [true, false] {
        let below = MemoryLayer::build().file("hello.txt", b"hello\n");
        let overlay = Overlay::builder()
            .lower(Lower::new("base", below.finish().expect("it is a tree")))
            .upper_memory(1 << 20)
            .build()
            .expect("it can be mounted");
        let files = OverlayCtx::builder()
            .overlay(&overlay, "/", FsPerms::ReadWrite)
            .expect("the path is one")
            .allow_blocking_current_thread(allow_blocking)
            .build();
        let outcome = program.run(Files::Ours(&files), &["full"], &[]);
        let outcome = outcome.expect("it can be run");
        assert_eq!(outcome.failure, None, "{outcome:?}");
        for name in ["new", "hello.txt"] {
            let line = format!("write {name}: insufficient-space\ncut: ()\nwrite a little: ()\n");
            assert!(outcome.stdout.contains(&line), "{outcome:?}");
        }
    }
}
