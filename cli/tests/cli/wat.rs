//! Guest programs as WebAssembly text. A module exits with the errno of its first failed call.

/// A module of WASI 0.1 that runs `body`, with `data` in its memory. `$check` exits with its argument, an
/// errno, unless that is 0.
pub(crate) fn module(data: &[(u32, &str)], body: &str) -> String {
    let data = data.iter().map(|(at, text)| {
        let text = text.replace('\\', r"\\").replace('"', r#"\""#);
        let text = text.replace('\0', r"\00").replace('\n', r"\n");
        format!("(data (i32.const {at}) \"{text}\")\n")
    });
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename"
    (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_remove_directory"
    (func $path_remove_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  {data}
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func $print (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    {body})
)"#,
        data = data.collect::<String>()
    )
}

/// Addresses of a path, a text and a buffer in the guest's memory.
const PATH: u32 = 1024;
const TEXT: u32 = 2048;
const BUFFER: u32 = 65536;

/// Code that opens `path` relative to descriptor `dir` and stores the new descriptor at address 16.
/// `flags`: 1 create, 8 truncate.
fn open(dir: u32, path: &str, flags: u32, rights: u64) -> String {
    format!(
        "(call $check (call $path_open (i32.const {dir}) (i32.const 1) (i32.const {PATH}) \
         (i32.const {length}) (i32.const {flags}) (i64.const {rights}) (i64.const {rights}) \
         (i32.const 0) (i32.const 16)))",
        length = path.len()
    )
}

/// Prints the file at `path` below the preopened descriptor `dir`.
pub(crate) fn cat(dir: u32, path: &str) -> String {
    module(&[(PATH, path)], &cat_code(dir, path))
}

/// As [`cat`], but prints the line `ready` and waits for input first.
pub(crate) fn cat_after_input(dir: u32, path: &str) -> String {
    let wait = format!(
        "(call $print (i32.const {TEXT}) (i32.const 6))
        (i32.store (i32.const 0) (i32.const {BUFFER}))
        (i32.store (i32.const 4) (i32.const 1))
        (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"
    );
    let body = wait + &cat_code(dir, path);
    module(&[(PATH, path), (TEXT, "ready\n")], &body)
}

fn cat_code(dir: u32, path: &str) -> String {
    format!(
        "{open}
        (i32.store (i32.const 0) (i32.const {BUFFER}))
        (i32.store (i32.const 4) (i32.const 4096))
        (call $check (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) \
            (i32.const 8)))
        (call $print (i32.const {BUFFER}) (i32.load (i32.const 8)))",
        open = open(dir, path, 0, 2),
    )
}

/// Code that writes `text` into the file at `path`, after creating or truncating it.
fn write_code(dir: u32, path: &str, text: &str) -> String {
    format!(
        "{open}
        (i32.store (i32.const 0) (i32.const {TEXT}))
        (i32.store (i32.const 4) (i32.const {length}))
        (call $check (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) \
            (i32.const 8)))",
        open = open(dir, path, 9, 64),
        length = text.len()
    )
}

/// Writes `text` into the file at `path`, then runs the code `then`.
pub(crate) fn write(dir: u32, path: &str, text: &str, then: &str) -> String {
    let body = write_code(dir, path, text) + then;
    module(&[(PATH, path), (TEXT, text)], &body)
}

/// Writes pages to the file at `path` until a write fails.
pub(crate) fn fill(dir: u32, path: &str) -> String {
    let page = "x".repeat(4096);
    let body = format!(
        "{}\n(loop $again
          (call $check (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) \
            (i32.const 8)))
          (br $again))",
        write_code(dir, path, &page)
    );
    module(&[(PATH, path), (TEXT, &page)], &body)
}

/// Opens the file or directory at `path` `count` times, without closing it.
pub(crate) fn open_many(dir: u32, path: &str, count: u32) -> String {
    const READ_AND_LIST: u64 = 1 << 1 | 1 << 14;
    let body = format!(
        "(local $left i32)
        (local.set $left (i32.const {count}))
        (loop $next
          {}
          (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))",
        open(dir, path, 0, READ_AND_LIST)
    );
    module(&[(PATH, path)], &body)
}

/// Removes the file at `path`.
pub(crate) fn unlink(dir: u32, path: &str) -> String {
    let body = format!(
        "(call $check (call $path_unlink_file (i32.const {dir}) (i32.const {PATH}) \
         (i32.const {})))",
        path.len()
    );
    module(&[(PATH, path)], &body)
}

/// Prints the names in the directory at `path`, each ended by `;`.
pub(crate) fn list(dir: u32, path: &str) -> String {
    const LIST: u64 = 1 << 14;
    let body = format!(
        "(local $at i32) (local $end i32)
        {open}
        (call $check (call $fd_readdir (i32.load (i32.const 16)) (i32.const {BUFFER})
          (i32.const 4096) (i64.const 0) (i32.const 8)))
        (local.set $at (i32.const {BUFFER}))
        (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
        (loop $next
          (if (i32.lt_u (local.get $at) (local.get $end)) (then
            (call $print (i32.add (local.get $at) (i32.const 24))
              (i32.load offset=16 (local.get $at)))
            (call $print (i32.const {TEXT}) (i32.const 1))
            (local.set $at (i32.add (i32.add (local.get $at) (i32.const 24))
              (i32.load offset=16 (local.get $at))))
            (br $next))))",
        open = open(dir, path, 2, LIST),
    );
    module(&[(PATH, path), (TEXT, ";")], &body)
}

/// Removes the directory at `path`.
pub(crate) fn rmdir(dir: u32, path: &str) -> String {
    let body = format!(
        "(call $check (call $path_remove_directory (i32.const {dir}) (i32.const {PATH}) \
         (i32.const {})))",
        path.len()
    );
    module(&[(PATH, path)], &body)
}

/// Prints the names of the preopened directories, each ended by `;`.
pub(crate) fn preopens() -> String {
    module(
        &[(TEXT, ";")],
        "(local $fd i32)
        (local.set $fd (i32.const 3))
        (loop $next
          (if (i32.eqz (call $fd_prestat_get (local.get $fd) (i32.const 32))) (then
            (call $check (call $fd_prestat_dir_name (local.get $fd) (i32.const 65536)
              (i32.load (i32.const 36))))
            (call $print (i32.const 65536) (i32.load (i32.const 36)))
            (call $print (i32.const 2048) (i32.const 1))
            (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
            (br $next))))",
    )
}

/// Prints arguments, then environment, each string ended by NUL.
pub(crate) fn arguments() -> String {
    module(
        &[],
        "(call $check (call $args_sizes_get (i32.const 32) (i32.const 36)))
        (call $check (call $args_get (i32.const 4096) (i32.const 65536)))
        (call $print (i32.const 65536) (i32.load (i32.const 36)))
        (call $check (call $environ_sizes_get (i32.const 32) (i32.const 36)))
        (call $check (call $environ_get (i32.const 4096) (i32.const 65536)))
        (call $print (i32.const 65536) (i32.load (i32.const 36)))",
    )
}

/// Exits with `code`.
pub(crate) fn exit(code: u32) -> String {
    module(&[], &format!("(call $proc_exit (i32.const {code}))"))
}

/// A component with the imports `imports`, whose `run` returns `result` (0 is `ok`).
pub(crate) fn component(imports: &str, result: u32) -> String {
    format!(
        r#"(component
  {imports}
  (core module $m (func (export "run") (result i32) (i32.const {result})))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli))
)"#
    )
}

/// As [`component`], for WASI 0.3.
pub(crate) fn async_component(imports: &str, result: u32) -> String {
    component(imports, result)
        .replace(
            "(func $run (result (result))",
            "(func $run async (result (result))",
        )
        .replace("wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0")
}

/// A component of WASI 0.2 that creates the directory `name` in its only preopened directory. It traps
/// unless there is exactly one, and fails if the directory cannot be created.
pub(crate) fn mkdir_component(name: &str) -> String {
    format!(
        r#"(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $code (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock"
      "quota" "exist" "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted"
      "invalid" "io" "is-directory" "loop" "too-many-links" "message-size" "name-too-long"
      "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space"
      "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
      "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy"
      "cross-device"))
    (export "error-code" (type $error-code (eq $code)))
    (export "[method]descriptor.create-directory-at"
      (func (param "self" (borrow $descriptor)) (param "path" string)
        (result (result (error $error-code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $d (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 64) "{name}")
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $mem (instantiate $memory))
  (core func $get (canon lower (func $preopens "get-directories")
    (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
  (core func $mkdir (canon lower (func $types "[method]descriptor.create-directory-at")
    (memory (core memory $mem "memory"))))
  (core module $main
    (import "host" "get" (func $get (param i32)))
    (import "host" "mkdir" (func $mkdir (param i32 i32 i32 i32)))
    (import "mem" "memory" (memory 1))
    (func (export "run") (result i32)
      (call $get (i32.const 16))
      (if (i32.ne (i32.load (i32.const 20)) (i32.const 1)) (then unreachable))
      (call $mkdir (i32.load (i32.load (i32.const 16))) (i32.const 64) (i32.const {length})
        (i32.const 32))
      (i32.load8_u (i32.const 32))))
  (core instance $i (instantiate $main
    (with "host" (instance (export "get" (func $get)) (export "mkdir" (func $mkdir))))
    (with "mem" (instance $mem))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli))
)"#,
        length = name.len()
    )
}
