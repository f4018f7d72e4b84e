//! Many cells of one table, and one report of those that failed.

use std::any::Any;
use std::fmt::{Debug, Write};

/// What came of the cells of a table. The first that fail are told in full, of the rest the names.
pub(crate) struct Report {
    shown: usize,
    cells: usize,
    failed: usize,
    text: String,
}

impl Report {
    /// Tells `shown` cells in full.
    pub(crate) fn new(shown: usize) -> Self {
        Self {
            shown,
            cells: 0,
            failed: 0,
            text: String::new(),
        }
    }

    /// Takes note of a cell that was run. An empty complaint is none.
    pub(crate) fn cell(&mut self, name: &str, complaint: &str) {
        self.cells += 1;
        if complaint.is_empty() {
            return;
        }
        self.failed += 1;
        let complaint = match self.failed <= self.shown {
            true => complaint,
            false => "",
        };
        writeln!(self.text, "{name}\n{complaint}").unwrap();
    }

    /// Fails if a cell did, or if there was none.
    pub(crate) fn end(self, of: impl Debug) {
        let Self { cells, failed, .. } = self;
        println!("{of:?}: {cells} cells, {failed} failed");
        assert!(cells > 0, "no cell was run");
        assert!(
            failed == 0,
            "{failed} of {cells} cells failed\n{}",
            self.text
        );
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "(no words)".to_owned())
}
