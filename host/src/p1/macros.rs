//! Macros for the bodies of preview 1 functions that call the engine: look up the descriptor, make the
//! call, convert the error. Each macro takes the name of the function, for the log.

/// A call that files and directories share; standard streams have an expression of their own.
macro_rules! call_on_descriptor {
    ($self:ident, $name:literal, $fd:expr, $stdio:ident => $delegated:expr, $object:ident => $call:expr) => {
        match $self.table.get($name, $fd)? {
            Entry::Stdio($stdio) => $delegated,
            Entry::Dir(open) => {
                let call = move |$object: &Dir| $call;
                $self.blocking().run_on(&open.dir, call).await
            }
            Entry::File(open) => {
                let call = move |$object: &File| $call;
                $self.blocking().run_on(&open.file, call).await
            }
        }
        .map_err($crate::p1::convert::error)
    };
}

/// A call on an open file.
macro_rules! call_on_file {
    ($self:ident, $name:literal, $fd:expr, $file:ident => $call:expr) => {{
        let file = &$self.table.file($name, $fd)?.file;
        let call = move |$file: &File| $call;
        let outcome = $self.blocking().run_on(file, call).await;
        outcome.map_err($crate::p1::convert::error)
    }};
}

/// A call with a directory and a path.
macro_rules! call_with_path {
    ($self:ident, $name:literal, $memory:ident, $fd:expr, $path:expr, $call:expr) => {{
        let dir = &$self.table.dir($name, $fd)?.dir;
        $crate::p1::paths::with_path($name, $self.blocking(), $memory, dir, $path, $call).await
    }};
}

/// A call with two directories, each with a path.
macro_rules! call_with_two_paths {
    ($self:ident, $name:literal, $memory:ident, $old:expr, $new:expr, $call:expr) => {{
        let old = &$self.table.dir($name, $old.0)?.dir;
        let new = &$self.table.dir($name, $new.0)?.dir;
        let (old, new) = ((old, $old.1), (new, $new.1));
        $crate::p1::paths::with_two_paths($name, $self.blocking(), $memory, old, new, $call).await
    }};
}

pub(super) use {call_on_descriptor, call_on_file, call_with_path, call_with_two_paths};
