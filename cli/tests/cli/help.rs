//! Tests of the help: its width, its groups and its examples.

use crate::support::{TestDir, ended};

const COMMANDS: [&[&str]; 6] = [
    &["--help"],
    &["run", "--help"],
    &["run", "-h"],
    &["compose", "--help"],
    &["component", "--help"],
    &["completion", "--help"],
];

fn help(args: &[&str], columns: Option<usize>) -> String {
    let temp = TestDir::new();
    let mut command = temp.binary(args);
    if let Some(columns) = columns {
        command.env("COLUMNS", columns.to_string());
    }
    let ended = ended(command.output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout
}

#[test]
fn help_is_wrapped_at_width_of_terminal() {
    for args in COMMANDS {
        for (columns, width) in [(None, 80), (Some(80), 80), (Some(50), 50), (Some(120), 120)] {
            for line in help(args, columns).lines() {
                // A single word may be longer, and clap does not wrap the usage.
                let is_word = line.split_whitespace().count() <= 2 || line.starts_with("Usage: ");
                assert!(
                    line.chars().count() <= width || is_word,
                    "{args:?} at {width}: {line}"
                );
            }
        }
    }
}

#[test]
fn help_of_run_is_grouped_and_has_examples() {
    let text = help(&["run", "--help"], None);
    let groups = [
        "Overlay:",
        "More mounts:",
        "Program:",
        "Wasmtime:",
        "Examples:",
    ];
    let at: Vec<_> = groups
        .iter()
        .map(|group| text.find(&format!("\n{group}\n")).expect(group))
        .collect();
    assert!(at.is_sorted(), "{text}");
    for example in [
        "--tmpfs /tmp:size=64m",
        "-v ./data:/data:ro",
        "--layer base --layer changes",
    ] {
        assert!(text.contains(example), "{example}");
    }
    // Options that are not served do not appear.
    for option in ["--profile", "--preload", "--gdbstub", "--record"] {
        assert!(!text.contains(option), "{option}");
    }
}
