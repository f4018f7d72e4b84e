//! `prune` while images are used and pulled.

use crate::image_support::{Test, file};
use crate::relay::{Gate, Relay};
use crate::support::ended;
use crate::wat;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use wasi_overlay_image::Digest;
use wasi_overlay_proof::registry::Registry;

/// All that can be removed is removed.
const PRUNES: [&[&str]; 4] = [
    &["prune"],
    &["prune", "--min-age", "0"],
    &["prune", "--min-age", "0", "--blobs"],
    &["prune", "--min-age", "0", "--blobs", "--all"],
];

/// The files of a store that are not of its layout.
fn files(test: &Test) -> Vec<String> {
    let tree = test.temp.tree("store/blobs/sha256");
    assert!(tree.iter().all(|name| name.len() == 64), "{tree:?}");
    tree
}

#[test]
fn image_that_runs_is_read_to_its_end() {
    let test = Test::new();
    let base = test.pack("base", &[file("late", "read after prune"), file("b", "b")]);
    // The program waits for its input, and then opens a file of the image.
    let program = wat::cat_after_input(3, "late");
    let top = test.pack("top", &[file("run", program)]);
    test.image("app", json!({"Entrypoint": ["/run"]}), &[base.clone(), top]);
    test.image("other", json!({"Entrypoint": ["/run"]}), &[b"".to_vec()]);
    for is_named in [true, false] {
        let mut run = test.command(&["run", "store:app"]);
        let mut run = run
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(run.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        if !is_named {
            test.prints(&["rmi", "app"], "");
        }
        for prune in PRUNES {
            let pruned = test.run(prune);
            assert_eq!(pruned.code, 0, "{prune:?}: {pruned:?}");
            assert!(!pruned.stdout.contains("app"), "{prune:?}: {pruned:?}");
        }
        run.stdin.take().unwrap().write_all(b"x").unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "read after prune");
        let run = ended(run.wait_with_output().unwrap());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        let layer = Digest::of(&base).hex();
        assert!(files(&test).contains(&layer.clone()));
        if is_named {
            assert!(!test.run(&["images"]).stdout.contains("other"));
            test.prints(&["verify", "app"], "");
        }
    }
    // Nothing uses it now.
    assert_eq!(test.run(PRUNES[1]).code, 0);
    assert_eq!(files(&test), [""; 0]);
    test.prints(&["verify"], "");
}

#[test]
fn image_that_is_pulled_is_whole_at_the_end() {
    let Some(registry) = Registry::start("prune during a pull", &[], &[]) else {
        return;
    };
    let source = Test::new();
    let shared = source.pack("shared", &[file("shared", "s")]);
    let small = source.pack("small", &[file("run", wat::cat(3, "shared"))]);
    let large = source.pack("large", &[file("large", "x".repeat(1 << 20))]);
    let name = format!("{}/app:1", registry.host());
    let layers = [shared.clone(), small.clone(), large.clone()];
    source.image(&name, json!({"Entrypoint": ["/run"]}), &layers);
    assert_eq!(source.run(&["push", &name]).code, 0);
    let hex = |layer: &[u8]| Digest::of(layer).hex();

    for prune in PRUNES {
        let here = Test::new();
        // Another image has brought one of the layers, long ago. Its name and its own layer go.
        let own = here.pack("own", &[file("own", "o")]);
        here.image("old", json!({}), &[shared.clone(), own.clone()]);
        let long_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
        for blob in files(&here) {
            let path = here.temp.path("store/blobs/sha256").join(blob);
            let file = fs::File::open(path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        here.prints(&["rmi", "old"], "");

        let relay = Relay::new(registry.host(), Gate::Closed);
        let name = format!("{}/app:1", relay.host());
        let mut pull = here.command(&["pull", "--quiet", &name]);
        let pull = pull
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        relay.wait_until_held();
        let pruned = here.run(prune);
        assert_eq!(pruned.code, 0, "{prune:?}: {pruned:?}");
        // The pull is still in progress, and what it does not need is gone.
        assert!(!files(&here).contains(&hex(&large)));
        assert!(!files(&here).contains(&hex(&own)), "{prune:?}: {pruned:?}");
        relay.set(Gate::Open);
        let pull = ended(pull.wait_with_output().unwrap());
        assert_eq!((pull.code, pull.stderr.as_str()), (0, ""), "{prune:?}");
        here.prints(&["verify", &name], "");
        here.prints(&["verify"], "");
        here.prints(&["run", "--pull", "never", &name], "s");
        for layer in &layers {
            assert!(files(&here).contains(&hex(layer)), "{prune:?}");
        }
    }
}
