//! Several processes with one store, some of which are killed.

use super::support::{Layout, assert_blobs_are_whole, files_below, noise, read_stack, store};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Prune, Store};

const STORE: &str = "WASI_OVERLAY_TEST_STORE";
const ROLE: &str = "WASI_OVERLAY_TEST_ROLE";

fn layout(name: &str) -> Layout {
    let mut layout = Layout::default();
    let content = [name.as_bytes(), &noise(3_000_000)].concat();
    let image = layout.image("wasi/wasm", &[("f", name.as_bytes()), ("n", &content)]);
    layout.name(name, &image);
    layout
}

/// Starts this program once more, for the test below alone.
fn start(store: &Path, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--ignored", "--nocapture"])
        .env(STORE, store)
        .env(ROLE, role)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn use_image(store: &Store, name: &str) {
    let image = store
        .image(&name.parse().unwrap(), &Choice::default())
        .unwrap();
    let stack = image.stack(&Limits::default()).unwrap();
    assert_eq!(read_stack(stack, "f"), name.as_bytes());
}

/// What the other tests run in a process of its own.
#[test]
#[ignore = "other tests start it in another process"]
fn child() {
    let store = Store::at(std::env::var_os(STORE).unwrap()).unwrap();
    let role = std::env::var(ROLE).unwrap();
    match role.as_str() {
        "prune" => {
            for _ in 0..50 {
                let prune = Prune {
                    min_age: Duration::from_secs(5),
                    ..Prune::default()
                };
                store.prune(&prune).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        }
        "hold" => {
            let image = store
                .image(&"app".parse().unwrap(), &Choice::default())
                .unwrap();
            let _stack = image.stack(&Limits::default()).unwrap();
            std::fs::write(store.path().with_file_name("held"), "").unwrap();
            thread::sleep(Duration::from_secs(60));
        }
        name => {
            layout(name).add_to(&store).unwrap();
            use_image(&store, name);
            let own = format!("own-{}", std::process::id());
            store
                .tag(&name.parse().unwrap(), &own.parse().unwrap())
                .unwrap();
        }
    }
}

#[test]
fn processes_add_the_same_and_other_images_while_one_collects() {
    let (_dir, store) = store();
    let mut children: Vec<_> = ["app", "app", "other", "prune"]
        .into_iter()
        .map(|role| start(store.path(), role))
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(store.entries().unwrap().len(), 5);
    assert!(store.verify(None).unwrap().is_empty());
    use_image(&store, "app");
    use_image(&store, "other");
    assert!(files_below(&store.path().join(".wasi-overlay/tmp")).is_empty());
}

#[test]
fn lease_of_a_process_ends_when_it_is_killed() {
    let (dir, store) = store();
    layout("app").add_to(&store).unwrap();
    use_image(&store, "app");
    let mut child = start(store.path(), "hold");
    while !dir.path().join("held").exists() {
        thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none());
    }
    store.remove_image(&"app".parse().unwrap()).unwrap();
    let all_ages = Prune {
        min_age: Duration::ZERO,
        ..Prune::default()
    };
    store.prune(&all_ages).unwrap();
    assert_eq!(files_below(&store.path().join("blobs")).len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    store.prune(&all_ages).unwrap();
    assert!(files_below(&store.path().join("blobs")).is_empty());
}

#[test]
fn killed_processes_leave_a_store_that_others_go_on_with() {
    let (_dir, store) = store();
    for delay in 0..25 {
        let mut child = start(store.path(), "app");
        thread::sleep(Duration::from_millis(delay * 4));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        assert_blobs_are_whole(store.path());
        assert!(store.verify(None).unwrap().is_empty());
    }
    assert!(start(store.path(), "app").wait().unwrap().success());
    use_image(&store, "app");
    let all_ages = Prune {
        min_age: Duration::ZERO,
        ..Prune::default()
    };
    store.prune(&all_ages).unwrap();
    assert!(files_below(&store.path().join(".wasi-overlay/tmp")).is_empty());
    assert!(files_below(&store.path().join(".wasi-overlay/partial")).is_empty());
}
