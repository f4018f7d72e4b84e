//! Calls on descriptors other than reads and writes: flags, renumbering, polling, sync and advice.

use guests_p1::wasi::{FDFLAGS_APPEND, OFLAGS_CREAT, RIGHTS_FD_READ, RIGHTS_FD_WRITE};
use guests_p1::{ROOT, raw, show, show_data, tried, wasi};

fn kind(fd: wasi::Fd) -> raw::Result<(u8, u16)> {
    // SAFETY: a call to the host.
    unsafe { wasi::fd_fdstat_get(fd) }.map(|stat| (stat.fs_filetype.raw(), stat.fs_flags))
}

fn main() {
    show("the root", kind(ROOT));
    let one = raw::open(ROOT, "dir/one", true, 0, RIGHTS_FD_READ, 0).expect("it can be opened");
    let two = raw::open(
        ROOT,
        "dir/two",
        true,
        0,
        RIGHTS_FD_READ | RIGHTS_FD_WRITE,
        FDFLAGS_APPEND,
    )
    .expect("it can be opened");
    show("for reading", kind(one));
    show("for appending", kind(two));
    // SAFETY: calls to the host; numbers only.
    unsafe {
        tried("renumber", wasi::fd_renumber(two, one));
        show_data("what one is now", raw::pread(one, 64, 0));
        show("its flags", kind(one));
        show("the old number", kind(two));
        tried("renumber onto itself", wasi::fd_renumber(one, one));
        tried("renumber a closed one", wasi::fd_renumber(two, one));
        tried("renumber to one never used", wasi::fd_renumber(one, 500));
        show("is one still there", kind(one));
    }
    let made = raw::open_write(ROOT, "made", OFLAGS_CREAT).expect("it can be made");
    tried("renumber the root", raw::open_dir(ROOT, "dir").map(|_| ()));
    // A file is always ready.
    let subscription = |userdata, tag| wasi::Subscription {
        userdata,
        u: wasi::SubscriptionU {
            tag,
            u: wasi::SubscriptionUU {
                fd_read: wasi::SubscriptionFdReadwrite {
                    file_descriptor: made,
                },
            },
        },
    };
    for (userdata, tag) in [(7, wasi::EVENTTYPE_FD_READ), (8, wasi::EVENTTYPE_FD_WRITE)] {
        let subscription = subscription(userdata, tag.raw());
        // SAFETY: an event of all zeros is one.
        let mut event: wasi::Event = unsafe { std::mem::zeroed() };
        // SAFETY: there is one subscription, and room for one event.
        show("ready", unsafe {
            wasi::poll_oneoff(&raw const subscription, &raw mut event, 1)
        });
        println!(
            "{} {} {}",
            event.userdata,
            event.error.raw(),
            event.type_.raw()
        );
    }
    // SAFETY: calls to the host; numbers only.
    unsafe {
        tried("sync", wasi::fd_sync(made));
        tried("datasync", wasi::fd_datasync(made));
        tried("sync the root", wasi::fd_sync(ROOT));
        tried("advise", wasi::fd_advise(made, 0, 0, wasi::ADVICE_DONTNEED));
    }
    tried("close", raw::close(made));
    tried("a closed one", raw::pread(made, 1, 0));
}
