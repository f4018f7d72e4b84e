//! What people may want to know of an archive that can be read.

/// Lines about odd things, up to a bound.
#[derive(Default)]
pub(super) struct Warnings {
    pub(super) lines: String,
    count: usize,
}

impl Warnings {
    /// The maximum number of lines.
    const MOST: usize = 16;

    pub(super) fn add(&mut self, line: std::fmt::Arguments<'_>) {
        use std::fmt::Write;
        self.count += 1;
        if self.count <= Self::MOST {
            // Writing to a string does not fail.
            let _ = writeln!(self.lines, "{line}");
        } else if self.count == Self::MOST + 1 {
            self.lines.push_str("and more of the same\n");
        }
    }
}
