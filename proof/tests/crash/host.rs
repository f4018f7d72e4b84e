//! A sample of the matrix on host directories, interrupted and with failing calls, and a check for leaked
//! descriptors.

use crate::cell::{
    Cell, MODES, Mode, cells, check_next_calls, is_in_sample, is_wanted, mount, remove_next,
    without_dir_times,
};
use std::fs;
use std::path::{Path, PathBuf};
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::{Errno, Overlay};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::kit::{capability, leftovers, scratch, unlock};
use wasi_overlay_proof::matrix::OPS;
use wasi_overlay_proof::view::tree;

/// Tries one cell in this many.
const ONE_OF: usize = 400;

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    cuts: usize,
    faults: usize,
}

/// Layers on disk, on tmpfs where there is one.
struct Layers {
    temp: tempfile::TempDir,
    lowers: Vec<PathBuf>,
    mode: Mode,
}

impl Layers {
    fn new(cell: &Cell, mode: Mode) -> Self {
        let temp = scratch();
        let lowers = cell.start.lowers.iter().enumerate();
        let lowers = lowers.map(|(number, lower)| {
            let path = temp.path().join(format!("lower{number}"));
            lower.write(&path);
            path
        });
        Self {
            lowers: lowers.collect(),
            temp,
            mode,
        }
    }

    fn upper(&self) -> PathBuf {
        self.temp.path().join("upper")
    }

    /// Writes the initial upper.
    fn fresh(&self, cell: &Cell) {
        let path = self.upper();
        if path.exists() {
            unlock(&path);
            fs::remove_dir_all(&path).unwrap();
        }
        cell.start.upper.write(&path);
    }

    fn mount(&self, faults: &Faults) -> Overlay {
        let host = |path: &Path| {
            let host = HostDir::new(capability(path), path.display().to_string());
            Faulty::new(host, faults)
        };
        let lowers = self.lowers.iter().map(|path| host(path));
        mount(lowers, self.mode.upper(host(&self.upper())), false).unwrap()
    }

    /// Descriptors of this process that are open in the layers.
    fn descriptors(&self) -> Vec<PathBuf> {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|path| path.starts_with(self.temp.path()))
            .collect()
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        unlock(self.temp.path());
    }
}

/// The views before the script and after each step.
fn control(cell: &Cell, layers: &Layers, op: &str) -> Vec<Vec<String>> {
    layers.fresh(cell);
    let overlay = layers.mount(&Faults::default());
    cell.prepare(&overlay);
    let root = overlay.root();
    let mut script = Script::new(&root, cell.start.place);
    let mut views = vec![without_dir_times(tree(&root))];
    for step in op.split(';') {
        script.call(step);
        views.push(without_dir_times(tree(&root)));
    }
    views
}

/// Runs a script up to the step with the fault, and mounts the upper again. Returns whether there was a fault.
fn run_with_fault(
    cell: &Cell,
    layers: &Layers,
    (op, views): (&str, &[Vec<String>]),
    command: impl FnOnce(&Faults),
) -> Result<bool, String> {
    layers.fresh(cell);
    let faults = Faults::default();
    let overlay = layers.mount(&faults);
    cell.prepare(&overlay);
    let root = overlay.root();
    let mut script = Script::new(&root, cell.start.place);
    command(&faults);
    let mut fails = |step: &str| {
        let answer = script.call(step);
        faults.failed().map(|what| (what, answer))
    };
    let hit = op
        .split(';')
        .enumerate()
        .find_map(|(number, step)| Some((number, fails(step)?)));
    drop(script);
    drop(root);
    drop(overlay);
    let open = layers.descriptors();
    if !open.is_empty() {
        return Err(format!("{hit:?}: open descriptors: {open:?}"));
    }
    let Some((number, (what, answer))) = hit else {
        return Ok(false);
    };
    let about = format!("{what} in step {number}, which answers {answer}");
    let overlay = layers.mount(&Faults::default());
    let seen = without_dir_times(tree(&overlay.root()));
    if seen != views[number] && seen != views[number + 1] {
        return Err(format!(
            "{about}: {seen:#?} is neither {:#?} nor {:#?}",
            views[number],
            views[number + 1]
        ));
    }
    check_next_calls(&overlay.root())?;
    remove_next(&overlay.root())?;
    overlay.close().unwrap();
    let left = leftovers(&layers.upper());
    if left.is_empty() {
        Ok(true)
    } else {
        Err(format!("{about}: {left:?}"))
    }
}

#[test]
fn interrupted_call_on_a_host_directory_happens_or_does_not() {
    let mut counts = Counts::default();
    let mut report = Vec::new();
    let mut number = 0;
    let errors = [Errno::Io, Errno::InsufficientSpace, Errno::ReadOnly];
    for cell in cells() {
        for op in OPS {
            number += 1;
            if !is_wanted(&cell.name, op) || !is_in_sample(number, ONE_OF) {
                continue;
            }
            counts.operations += 1;
            let layers = Layers::new(&cell, MODES[counts.operations % 2]);
            let views = control(&cell, &layers, op);
            let mut tries = |command: &dyn Fn(&Faults), count: &mut usize| {
                let tried = run_with_fault(&cell, &layers, (op, &views), command);
                *count += usize::from(!matches!(tried, Ok(false)));
                match tried {
                    Ok(more) => more,
                    Err(complaint) => {
                        report.push(format!("{} | {op}\n  {complaint}", cell.name));
                        true
                    }
                }
            };
            let mut at = 0;
            while tries(&|faults| faults.cut_after(at), &mut counts.cuts) {
                at += 1;
            }
            at = 0;
            while tries(
                &|faults| faults.fail_call(at, errors[at as usize % errors.len()]),
                &mut counts.faults,
            ) {
                at += 1;
            }
        }
    }
    println!("{counts:?}, {} wrong", report.len());
    assert!(counts.cuts > 0 && counts.faults > 0, "nothing was tried");
    let shown = report.len().min(10);
    assert!(report.is_empty(), "{}", report[..shown].join("\n"));
}
