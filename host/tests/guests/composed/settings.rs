//! Tests of the ways to configure a composed guest's layers, and of its errors for missing ones.

use super::{overlay, uncomposed};
use crate::program::{Files, Preopen, Program};
use crate::scan::{self, Node, Tree};
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasi_overlay_compose::{Config, Overlay, WasiVersion};
use wasi_overlay_guest_artifacts::{Guest, P1_FILES, P2_SCRIPT};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Directories that each hold a file `x` with the directory's name in it, and a file named after the
/// directory.
pub(super) struct Dirs {
    folder: TempDir,
    preopens: Vec<Preopen>,
}

impl Dirs {
    pub(super) fn new(names: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let make = |name: &&str| {
            let word = name.trim_start_matches('/');
            let path = folder.path().join(word);
            let file = |name: &str| (name.to_owned(), Node::File(word.into()));
            let tree = Tree::from([file("x"), file(&format!("own-{word}"))]);
            scan::write(&tree, &path).expect("it can be written");
            Preopen::new(path, *name)
        };
        let preopens = names.iter().map(make).collect();
        Self { folder, preopens }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The transcript of a script that a component runs.
    pub(super) fn run(&self, component: &[u8], script: &str) -> String {
        let program = Program::new(component).expect("it can be compiled");
        let files = Files::Preopens(&self.preopens);
        let outcome = program.run(files, &["script", script], &[]);
        let outcome = outcome.expect("it can be run");
        assert_eq!(outcome.failure, None, "{}", outcome.stderr);
        outcome.stdout
    }
}

pub(super) fn bytes(guest: &Guest) -> Vec<u8> {
    fs::read(guest.path()).expect("a guest that was built can be read")
}

/// Composes two components as `wac plug` does.
fn plug(socket: Vec<u8>, plug: Vec<u8>) -> Vec<u8> {
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, bytes: Vec<u8>| {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut());
        graph
            .register_package(package.expect("it is a component"))
            .expect("its name is free")
    };
    let (socket, plug) = (register("test:socket", socket), register("test:plug", plug));
    wac_graph::plug(&mut graph, vec![plug], socket).expect("they fit");
    graph
        .encode(EncodeOptions::default())
        .expect("it can be written")
}

/// The numbers in the names order the layers, and not the order of preopens or of letters. A preopen that is
/// not a layer passes through, and files cannot be moved between it and the overlay.
#[test]
fn names_alone_decide_which_preopens_are_layers() {
    let names = [
        "/data",
        "/lower10",
        "/upper",
        "/lower",
        "/lowering",
        "/lower2",
    ];
    let dirs = Dirs::new(&names);
    fs::remove_file(dirs.path("upper/x")).expect("it is there");
    let bare = overlay().component("0.2.12".parse().expect("a version"), None);
    let component = plug(bytes(&P2_SCRIPT), bare.expect("it can be made"));
    let transcript = dirs.run(
        &component,
        "list 0\nopen 1 0 rw x\nread 1 0 20\nwrite 1 0 CHANGE\npreopen 2 /data\nlist 2\n\
         preopen 3 /lowering\nlist 3\npreopen 4 /lower2\npreopen 4 /upper\nrename 0 x 2 y\n\
         link 3 n x 0 y\nis-same 0 2\nrename 2 x 3 y\nopen 5 3 r y\nread 5 0 20\nsame-hash 5 3 - y",
    );
    let expected = [
        r#"list 0 = ["f own-lower", "f own-lower10", "f own-lower2", "f own-upper", "f x"]"#,
        "open 1 0 rw x = file",
        "read 1 0 20 = lower10 false",
        "write 1 0 CHANGE = 6",
        "preopen 2 /data = done",
        r#"list 2 = ["f own-data", "f x"]"#,
        "preopen 3 /lowering = done",
        r#"list 3 = ["f own-lowering", "f x"]"#,
        "preopen 4 /lower2 = -",
        "preopen 4 /upper = -",
        "rename 0 x 2 y = cross-device",
        "link 3 n x 0 y = cross-device",
        "is-same 0 2 = false",
        "rename 2 x 3 y = done",
        "open 5 3 r y = file",
        "read 5 0 20 = data false",
        "same-hash 5 3 - y = true",
    ];
    assert_eq!(transcript.lines().collect::<Vec<_>>(), expected);
    let read = |path| fs::read_to_string(dirs.path(path)).expect("it is there");
    assert_eq!(read("upper/x"), "CHANGE0");
    assert_eq!(read("lower10/x"), "lower10");
    assert_eq!(read("lowering/y"), "data");
}

/// A component that configures the layers `/one` and `/two`, the upper `/changes`, the merged tree at
/// `/tree`, and `/data` passed through.
fn configuration() -> Result<Vec<u8>> {
    // The record at 16: a list, an option, a text, two flags, a list; the lists' texts behind it.
    let module = r#"(module
      (memory (export "memory") 1)
      (data (i32.const 16)
        "\40\00\00\00" "\02\00\00\00"
        "\01\00\00\00" "\88\00\00\00" "\08\00\00\00"
        "\90\00\00\00" "\05\00\00\00"
        "\00" "\01" "\00\00"
        "\50\00\00\00" "\01\00\00\00")
      (data (i32.const 64)
        "\78\00\00\00" "\04\00\00\00"
        "\7c\00\00\00" "\04\00\00\00"
        "\80\00\00\00" "\05\00\00\00")
      (data (i32.const 120) "/one" "/two" "/data   ")
      (data (i32.const 136) "/changes")
      (data (i32.const 144) "/tree")
      (func (export "wasi-overlay:component/config@0.1.0#get") (result i32) i32.const 16))"#;
    let mut module = wat::parse_str(module)?;
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))?;
    let world = "package test:config; world config { export wasi-overlay:component/config@0.1.0; }";
    let package = resolve.push_str("config.wit", world)?;
    let world = resolve.select_world(&[package], Some("config"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .encode()
}

#[test]
fn a_component_can_configure_the_layers() {
    let dirs = Dirs::new(&["/two", "/data", "/changes", "/one", "/lower0"]);
    fs::remove_file(dirs.path("changes/x")).expect("it is there");
    let configured = Overlay::embedded_configured().expect("scripts/build-component.sh was run");
    let bare = configured.component(WasiVersion::LATEST, None);
    let config = configuration().expect("a component can be made of it");
    let overlay = plug(bare.expect("it can be made"), config);
    let transcript = dirs.run(
        &plug(bytes(&P2_SCRIPT), overlay),
        "list 0\npreopen 1 /tree\nis-same 0 1\nopen 2 1 r x\nread 2 0 20\npreopen 3 /data\nlist 3\n\
         preopen 4 /lower0\npreopen 4 /one\nunlink 0 own-two",
    );
    let expected = [
        r#"list 0 = ["f own-changes", "f own-one", "f own-two", "f x"]"#,
        "preopen 1 /tree = done",
        "is-same 0 1 = true",
        "open 2 1 r x = file",
        "read 2 0 20 = two false",
        "preopen 3 /data = done",
        r#"list 3 = ["f own-data", "f x"]"#,
        "preopen 4 /lower0 = -",
        "preopen 4 /one = -",
        "unlink 0 own-two = done",
    ];
    assert_eq!(transcript.lines().collect::<Vec<_>>(), expected);
    let changes = scan::scan(&dirs.path("changes")).expect("it can be read");
    let names: Vec<_> = changes.keys().map(String::as_str).collect();
    assert_eq!(names, [".wh.own-two", "own-changes"]);
}

/// A configuration with names of preopens that do not exist, which only the host can know.
fn broken(upper: &str, lower: &str) -> Config {
    Config {
        lowers: vec![lower.to_owned()],
        upper: Some(upper.to_owned()),
        pass: vec!["/data".to_owned()],
        ..Config::default()
    }
}

#[test]
fn a_missing_preopen_fails_every_call() {
    let dirs = Dirs::new(&["/lower0", "/upper", "/data"]);
    let calls = [
        "open 1 0 r x",
        "open 1 0 rwc new",
        "open 1 0 rd -",
        "list 0",
        "mkdir 0 a",
        "rmdir 0 a",
        "unlink 0 x",
        "symlink x 0 y",
        "readlink 0 x",
        "link 0 n x 0 y",
        "link 0 n x 2 y",
        "link 2 n x 0 y",
        "rename 0 x 0 y",
        "rename 0 x 2 y",
        "rename 2 x 0 y",
        "stat 0",
        "stat-at 0 - x",
        "stat-at 0 n .",
        "set-times 0 5",
        "set-times-at 0 - x 5",
        "sync 0",
        "read 0 0 1",
        "write 0 0 x",
        "append 0 x",
        "read-stream 0 0 1",
        "write-stream 0 0 x",
        "set-size 0 0",
        "same-hash 0 0 - x",
    ];
    let others = "\nis-same 0 0\nis-same 0 2\nread-stream 2 0 1\nopen 3 2 r x\nread 3 0 9";
    let script = format!("preopen 2 /data\n{}{others}", calls.join("\n"));
    for config in [broken("/none", "/lower0"), broken("/upper", "/none")] {
        let composed = overlay().compose(&bytes(&P2_SCRIPT), &config);
        let transcript = dirs.run(&composed.expect("it can be composed").bytes, &script);
        let mut lines = transcript.lines().skip(1);
        for call in calls {
            assert_eq!(lines.next(), Some(&*format!("{call} = no-device")));
        }
        let expected = [
            "is-same 0 0 = true",
            "is-same 0 2 = false",
            "read-stream 2 0 1 = is-directory",
            "open 3 2 r x = file",
            "read 3 0 9 = data false",
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }
}

/// A missing preopen that should pass through was silently left out.
#[test]
fn a_missing_pass_through_preopen_fails_every_call_on_it() {
    let dirs = Dirs::new(&["/lower0", "/upper"]);
    let composed = overlay().compose(&bytes(&P2_SCRIPT), &broken("/upper", "/lower0"));
    let script = "stat-at 0 - own-lower0\npreopen 2 /data\nlist 2\nis-same 0 2\nrename 0 x 2 y";
    let transcript = dirs.run(&composed.expect("it can be composed").bytes, script);
    let lines: Vec<_> = transcript.lines().skip(1).collect();
    let expected = [
        "preopen 2 /data = done",
        "list 2 = no-device",
        "is-same 0 2 = false",
        "rename 0 x 2 y = no-device",
    ];
    assert_eq!(lines, expected);
}

/// For every problem with a layer, the guest got `no-device`.
#[test]
fn the_error_of_an_unusable_upper_reaches_the_guest() {
    let dirs = Dirs::new(&["/lower0", "/upper", "/data"]);
    let work = dirs.path("upper/.wh..wh.work");
    fs::create_dir(&work).expect("it can be made");
    fs::write(work.join("of-another-program"), "").expect("it can be made");
    let composed = overlay().compose(&bytes(&P2_SCRIPT), &broken("/upper", "/lower0"));
    let transcript = dirs.run(
        &composed.expect("it can be composed").bytes,
        "list 0\nopen 1 0 r x\npreopen 2 /data\nopen 3 2 r x",
    );
    let expected = [
        "list 0 = unsupported",
        "open 1 0 r x = unsupported",
        "preopen 2 /data = done",
        "open 3 2 r x = file",
    ];
    assert_eq!(transcript.lines().collect::<Vec<_>>(), expected);
    assert!(work.join("of-another-program").exists());
}

#[test]
fn a_missing_preopen_is_an_error_behind_the_adapter() {
    let dirs = Dirs::new(&["/lower0"]);
    let composed = overlay().compose(&bytes(&P1_FILES), &broken("/none", "/lower0"));
    let program = Program::new(&composed.expect("it can be composed").bytes);
    let program = program.expect("it can be compiled");
    for words in [
        &["cat", "x"][..],
        &["write", "x", "y"],
        &["tree"],
        &["mkdir", "a"],
        &["rm", "x"],
    ] {
        let args = [&["files"], words].concat();
        let outcome = program.run(Files::Preopens(&dirs.preopens), &args, &[]);
        let outcome = outcome.expect("it can be run");
        // 43 is `nodev`.
        let message = format!("{}: No such device (os error 43)\n", words.join(" "));
        assert_eq!(outcome.stderr, message, "{:?}", outcome.failure);
    }
    let wrapped = uncomposed(&bytes(&P1_FILES)).expect("it can be wrapped");
    let outcome = wrapped.run(
        Files::Stock(&dirs.path("lower0")),
        &["files", "cat", "x"],
        &[],
    );
    assert_eq!(outcome.expect("it can be run").stdout, "lower0\n");
}
