//! Files with names of 251 bytes and more that exist from the start are removed and renamed.
//!
//! The whiteout of a name over 251 bytes would have too long a name itself. In this case an overlay fails
//! with `name-too-long` before it changes anything.

use guests_p1::{ROOT, raw, tried};

fn main() {
    for (letter, length) in [("a", 251), ("b", 252), ("c", 255)] {
        let name = format!("long/{}", letter.repeat(length));
        let exists = || raw::stat(ROOT, &name, false).is_ok();
        tried(
            format_args!("rename {length}"),
            raw::rename(ROOT, &name, ROOT, "renamed"),
        );
        println!("still there: {}", exists());
        if !exists() {
            tried("rename back", raw::rename(ROOT, "renamed", ROOT, &name));
        }
        tried(format_args!("unlink {length}"), raw::unlink(ROOT, &name));
        println!("still there: {}", exists());
    }
}
