//! The starting states of the matrix: where the layers have the name under test.

use super::tree::{Node, dir, file, link, remove, whiteout};
use wasi_overlay_core::Dir;

/// The kind of file at the name under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// An empty directory.
    EmptyDir,
    /// A directory with a file, a directory and a file that only its layer has.
    FullDir,
    /// A link to a file.
    LinkToFile,
    /// A link to a directory.
    LinkToDir,
    /// A link to nothing.
    Dangling,
}

/// All kinds.
pub const KINDS: [Kind; 6] = [
    Kind::File,
    Kind::EmptyDir,
    Kind::FullDir,
    Kind::LinkToFile,
    Kind::LinkToDir,
    Kind::Dangling,
];

impl Kind {
    /// A node of this kind in a layer called `of`.
    fn make(self, of: &str) -> Node {
        match self {
            Self::File => file(&format!("data of {of}")),
            Self::EmptyDir => dir([]),
            Self::FullDir => dir([
                ("c", file(&format!("c of {of}"))),
                ("sub", dir([("f", file(&format!("f of {of}")))])),
                (of, file("alone")),
            ]),
            Self::LinkToFile => link("../lfile"),
            Self::LinkToDir => link("../lfull"),
            Self::Dangling => link("../nowhere"),
        }
    }

    fn is_dir(self) -> bool {
        matches!(self, Self::EmptyDir | Self::FullDir)
    }

    /// A node that cannot merge with this kind, for the layer below.
    fn other(self) -> Node {
        if self.is_dir() {
            Self::File.make("other")
        } else {
            Self::FullDir.make("other")
        }
    }
}

/// The layers at the start of a cell.
#[derive(Debug)]
pub struct Start {
    /// The lower layers, bottom first.
    pub lowers: Vec<Node>,
    /// The upper.
    pub upper: Node,
    /// Calls that complete the state.
    pub prelude: Option<fn(&Dir)>,
    /// The path of the name under test.
    pub place: &'static str,
}

/// The time of everything in the lower layer.
const LOWER: i64 = 1_000_000_000;
/// The time of everything in the second lower layer.
const MIDDLE: i64 = 1_050_000_000;
/// The time of everything in the upper.
const UPPER: i64 = 1_100_000_000;
/// The time of the root after the calls that complete a state.
pub const SETTLED: i64 = 1_150_000_000;

/// The directory `d` in the lower and in the upper, and beside it files that renames and links replace.
fn start(lower: Option<Node>, upper: Option<Node>) -> Start {
    let partners = |of: char| {
        let name = |what: &str| format!("{of}{what}");
        dir([
            (&name("file"), file(&format!("partner {of}"))),
            (&name("empty"), dir([])),
            (&name("full"), Kind::FullDir.make("partner")),
            (&name("link"), link("lfile")),
        ])
    };
    let mut lowers = partners('l').with([("e", dir([("keep", file("kept"))]))]);
    if let Some(lower) = lower {
        lowers = lowers.with([("d", lower)]);
    }
    let mut upper_root = partners('u');
    if let Some(upper) = upper {
        upper_root = upper_root.with([("d", upper)]);
    }
    Start {
        lowers: vec![lowers.stamped(LOWER)],
        upper: upper_root.stamped(UPPER),
        prelude: None,
        place: "d/x",
    }
}

fn sibling() -> (&'static str, Node) {
    ("sib", file("sibling"))
}

/// Makes a state for a kind of file; none if the kind cannot be in it.
pub type State = fn(Kind) -> Option<Start>;

/// The states by name.
pub const STATES: &[(&str, State)] = &[
    ("absent", |kind| {
        (kind == Kind::File).then(|| start(Some(dir([sibling()])), None))
    }),
    ("lower", |kind| {
        Some(start(
            Some(dir([sibling(), ("x", kind.make("lower"))])),
            None,
        ))
    }),
    ("upper", |kind| {
        Some(start(
            Some(dir([sibling()])),
            Some(dir([("x", kind.make("upper"))])),
        ))
    }),
    ("upper, in a directory of the upper alone", |kind| {
        Some(start(None, Some(dir([("x", kind.make("upper"))]))))
    }),
    ("both", |kind| {
        Some(start(
            Some(dir([sibling(), ("x", kind.make("lower"))])),
            Some(dir([("x", kind.make("upper"))])),
        ))
    }),
    ("both, of two kinds", |kind| {
        Some(start(
            Some(dir([sibling(), ("x", kind.other())])),
            Some(dir([("x", kind.make("upper").opaque())])),
        ))
    }),
    ("both lowers", |kind| {
        let mut start = start(Some(dir([sibling(), ("x", kind.make("lower"))])), None);
        let middle = dir([("d", dir([("x", kind.make("middle"))]))]);
        start.lowers.push(middle.stamped(MIDDLE));
        Some(start)
    }),
    ("whited out", |kind| {
        Some(start(
            Some(dir([sibling(), ("x", kind.make("lower"))])),
            Some(dir([("x", whiteout())])),
        ))
    }),
    ("whited out in a lower", |kind| {
        let mut start = start(Some(dir([sibling(), ("x", kind.make("lower"))])), None);
        start
            .lowers
            .push(dir([("d", dir([("x", whiteout())]))]).stamped(MIDDLE));
        Some(start)
    }),
    ("whited out in a lower, and upper", |kind| {
        let mut start = start(
            Some(dir([sibling(), ("x", kind.make("lower"))])),
            Some(dir([("x", kind.make("upper"))])),
        );
        start
            .lowers
            .push(dir([("d", dir([("x", whiteout())]))]).stamped(MIDDLE));
        Some(start)
    }),
    ("opaque, with other names below", |kind| {
        let below = dir([("hidden", file("hidden")), ("gone", dir([]))]);
        kind.is_dir().then(|| {
            start(
                Some(dir([sibling(), ("x", below)])),
                Some(dir([("x", kind.make("upper").opaque())])),
            )
        })
    }),
    ("opaque, with the same names below", |kind| {
        kind.is_dir().then(|| {
            start(
                Some(dir([sibling(), ("x", Kind::FullDir.make("lower"))])),
                Some(dir([("x", kind.make("upper").opaque())])),
            )
        })
    }),
    ("in an opaque directory", |kind| {
        Some(start(
            Some(dir([sibling(), ("x", kind.make("lower"))])),
            Some(dir([("x", kind.make("upper"))]).opaque()),
        ))
    }),
    ("hidden by an opaque directory", |kind| {
        Some(start(
            Some(dir([sibling(), ("x", kind.make("lower"))])),
            Some(dir([]).opaque()),
        ))
    }),
    ("emptied by whiteouts", |kind| {
        (kind == Kind::EmptyDir).then(|| {
            start(
                Some(dir([sibling(), ("x", Kind::FullDir.make("lower"))])),
                Some(dir([(
                    "x",
                    dir([
                        ("c", whiteout()),
                        ("sub", whiteout()),
                        ("lower", whiteout()),
                    ]),
                )])),
            )
        })
    }),
    ("lower, that cannot be written", |kind| {
        let mode = if kind.is_dir() { 0o555 } else { 0o444 };
        (kind == Kind::File || kind.is_dir()).then(|| {
            let x = kind.make("lower").allowing(mode);
            start(Some(dir([sibling(), ("x", x)])), None)
        })
    }),
    ("lower, in a directory that cannot be written", |kind| {
        let d = dir([sibling(), ("x", kind.make("lower"))]).allowing(0o555);
        Some(start(Some(d), None))
    }),
    ("in a renamed directory", |kind| {
        let lower = dir([sibling(), ("x", kind.make("lower"))]);
        Some(renamed(start(None, None), lower, None))
    }),
    ("both, in a renamed directory", |kind| {
        let lower = dir([sibling(), ("x", kind.make("lower"))]);
        let upper = dir([("x", kind.make("upper"))]);
        Some(renamed(start(None, None), lower, Some(upper)))
    }),
    ("in a directory renamed to a name that is below", |kind| {
        let lower = dir([sibling(), ("x", kind.make("lower"))]);
        let below = dir([("x", kind.other()), ("old", file("old"))]);
        let mut start = renamed(start(Some(below), None), lower, None);
        start.prelude = Some(|root| {
            remove(root, "d").unwrap();
            root.rename_at("src", root, "d").unwrap();
        });
        Some(start)
    }),
];

/// Adds a directory `src`, which the prelude renames to `d`.
fn renamed(mut start: Start, lower: Node, upper: Option<Node>) -> Start {
    let bottom = start.lowers[0].clone();
    start.lowers[0] = bottom.with([("src", lower.stamped(LOWER))]);
    if let Some(upper) = upper {
        start.upper = start.upper.with([("src", upper.stamped(UPPER))]);
    }
    start.prelude = Some(|root| root.rename_at("src", root, "d").unwrap());
    start
}

impl Start {
    /// The plain directory that the overlay must equal, before the prelude.
    pub fn merged(&self) -> Node {
        let layers = self.lowers.iter().chain([&self.upper]);
        layers.fold(dir([]), |below, layer| below.merged(layer))
    }
}
