//! Hundreds of files are open at the same time, each with its own position and data.

use guests_p1::wasi::OFLAGS_CREAT;
use guests_p1::{ROOT, is_wrapped, raw, show_data, tried};

fn main() {
    let (read, write) = if is_wrapped() { (100, 20) } else { (300, 200) };
    let readers: Vec<_> = (0..read)
        .map(|number| {
            raw::open_read(ROOT, &format!("many/f{number:04}")).expect("it can be opened")
        })
        .collect();
    let mut unique = readers.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), readers.len(), "each has a number of its own");
    for (number, fd) in readers.iter().enumerate() {
        let data = raw::pread(*fd, 64, 0).expect("it can be read");
        assert_eq!(data, format!("file {number}\n").into_bytes());
    }
    // Files are written while all are open.
    for number in 0..100 {
        let fd = raw::open_write(ROOT, &format!("many/f{number:04}"), 0).expect("it can be opened");
        raw::pwrite(fd, b"FILE", 0).expect("it can be written");
        raw::close(fd).expect("it is open");
    }
    for (number, fd) in readers.iter().enumerate() {
        let data = raw::read(*fd, 64).expect("it can be read");
        let word = if number < 100 { "FILE" } else { "file" };
        assert_eq!(data, format!("{word} {number}\n").into_bytes());
    }
    let made: Vec<_> = (0..write)
        .map(|number| {
            raw::open_write(ROOT, &format!("emptydir/n{number}"), OFLAGS_CREAT)
                .expect("it can be made")
        })
        .collect();
    for (number, fd) in made.iter().enumerate() {
        raw::pwrite(*fd, number.to_string().as_bytes(), 0).expect("it can be written");
    }
    for (number, fd) in made.iter().enumerate() {
        assert_eq!(
            raw::pread(*fd, 64, 0).expect("it can be read"),
            number.to_string().into_bytes()
        );
    }
    for fd in readers.into_iter().chain(made) {
        raw::close(fd).expect("it is open");
    }
    // One number is opened and closed repeatedly, and is never lost.
    for _ in 0..2000 {
        raw::close(raw::open_read(ROOT, "hello.txt").expect("it can be opened"))
            .expect("it is open");
    }
    show_data(
        "the last one",
        raw::open_read(ROOT, &format!("emptydir/n{}", write - 1))
            .and_then(|fd| raw::pread(fd, 64, 0)),
    );
    tried("done", Ok::<_, std::io::Error>(()));
}
