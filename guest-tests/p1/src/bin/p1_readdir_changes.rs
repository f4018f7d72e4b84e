//! A directory changes while it is listed: a name that exists throughout is listed once, and a new listing
//! shows every change immediately.

use guests_p1::{ROOT, at, names, raw, show, tried};
use std::collections::BTreeMap;
use std::fs;

fn count(path: &str) -> Option<usize> {
    show(
        format_args!("entries of {path}"),
        names(path).map(|names| names.len()),
    )
}

/// Lists a directory in small steps, and at each step removes some of the listed files and makes a new one.
/// Returns how often each name was listed.
fn list_and_change(dir: guests_p1::wasi::Fd) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    let mut cookie = 0;
    for round in 0.. {
        let (entries, full) = raw::readdir(dir, 512, cookie).expect("it can be listed");
        for entry in &entries {
            *seen.entry(entry.name.clone()).or_default() += 1;
        }
        let Some(last) = entries.last() else { break };
        cookie = last.next;
        for entry in entries.iter().filter(|entry| entry.name.ends_with('3')) {
            raw::unlink(ROOT, &format!("many/{}", entry.name))
                .expect("what is listed can be removed");
        }
        fs::write(at(&format!("many/new{round}")), "new").expect("it can be made");
        if !full {
            break;
        }
    }
    seen
}

fn main() {
    let dir = raw::open_dir(ROOT, "many").expect("it can be opened");
    let seen = list_and_change(dir);
    // wasmtime-wasi lists the directory again at each call, and skips as many names as the cookie says. So it
    // misses as many names as were removed, and the guest does not check it.
    if std::env::var_os("STOCK").is_none() {
        for number in 0..300 {
            let name = format!("f{number:04}");
            assert_eq!(seen.get(&name), Some(&1), "{name} came once");
        }
        assert!(
            seen.values().all(|count| *count == 1),
            "no name comes twice"
        );
    }
    for name in names("many").expect("it can be listed") {
        if name.ends_with('3') || name.contains("new") {
            fs::remove_file(at(&format!("many/{}", &name[2..])))
                .expect("what is listed can be removed");
        }
    }
    let now = names("many").expect("it can be listed");
    println!("{} are left", now.len());

    // Cookie 0 on the same descriptor shows the current names.
    let again = raw::readdir_all(dir, 4096).expect("it can be listed");
    assert_eq!(again.len(), now.len() + 2, "with . and ..");
    raw::close(dir).expect("it is open");

    count("dir");
    tried("make", fs::write(at("dir/x"), "x"));
    count("dir");
    tried("unlink", fs::remove_file(at("dir/one")));
    count("dir");
    tried("rename", fs::rename(at("dir/two"), at("dir/x")));
    count("dir");
    tried("rename out", fs::rename(at("dir/x"), at("x")));
    count("dir");
    tried("mkdir", fs::create_dir(at("dir/d")));
    tried("link", raw::link(ROOT, "x", ROOT, "dir/l"));
    tried("symlink", raw::symlink("x", ROOT, "dir/s"));
    show("dir", names("dir"));
    tried("rmdir", fs::remove_dir(at("dir/d")));
    tried("rename in", fs::rename(at("emptydir"), at("dir/e")));
    show("dir", names("dir"));
    // Writing to a file changes no name, and loses none.
    tried("write", fs::write(at("dir/three"), "3"));
    show("dir", names("dir"));
}
