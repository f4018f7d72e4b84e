//! A test that a composed guest cannot enter directories deeper than the default of `Limits::depth`.

use super::overlay;
use super::settings::{Dirs, bytes};
use std::fs;
use wasi_overlay_compose::Config;
use wasi_overlay_core::Limits;
use wasi_overlay_guest_artifacts::P2_SCRIPT;

/// Levels of one piece of a tree that is too deep for the path of a system call. [`tempfile`] removes
/// a piece with one descriptor for each level.
const PIECE: usize = 500;

/// The path of the last of `levels` directories, one in the other.
fn chain(levels: usize) -> String {
    vec!["d"; levels].join("/")
}

#[test]
fn component_does_not_enter_lower_directories_beyond_the_depth_limit() {
    let dirs = Dirs::new(&["/lower"]);
    let path = |name: &str| dirs.path("lower").join(name);
    let make = |name: &str| fs::create_dir_all(path(name)).expect("it can be made");
    let rename = |from: &str, to: &str| fs::rename(path(from), path(to)).expect("it can be moved");
    make(&chain(PIECE));
    for _ in 0..4 {
        let top = format!("top/{}", chain(PIECE - 1));
        make(&top);
        rename("d", &format!("{top}/d"));
        rename("top", "d");
    }

    let piece = chain(PIECE);
    let depth = Limits::default().depth;
    let rest = chain(depth - 4 * PIECE);
    let config = Config {
        lowers: vec!["/lower".to_owned()],
        ..Config::default()
    };
    let composed = overlay().compose(&bytes(&P2_SCRIPT), &config);
    let transcript = dirs.run(
        &composed.expect("it can be composed").bytes,
        &format!(
            "open 1 0 rd {piece}\nopen 2 1 rd {piece}\nopen 3 2 rd {piece}\nopen 4 3 rd {piece}\n\
             open 5 4 rd {rest}\nlist 5\nstat-at 5 - d\nopen 6 5 rd d\nopen 6 4 rd {rest}/d"
        ),
    );

    // Takes the tree apart, for the temporary folder is removed by recursion.
    for number in 0..4 {
        let next = format!("next-{number}");
        rename(&format!("{piece}/d"), &next);
        rename("d", &format!("piece-{number}"));
        rename(&next, "d");
    }
    let answers: Vec<_> = transcript
        .lines()
        .filter_map(|line| line.rsplit_once(" = "))
        .map(|(_, answer)| answer)
        .collect();
    let too_long = "name-too-long";
    let opened = ["directory"; 5];
    let expected = [r#"["d d"]"#, too_long, too_long, too_long];
    assert_eq!(answers, [&opened[..], &expected].concat());
}
