//! Tests of `completion`: each shell can source its script.

use crate::support::{TestDir, ended};
use std::process::Command;

/// Sources the script of `shell` in that shell, then runs `line` there, and returns what it prints. None if
/// the shell is not installed.
fn source(shell: &str, arguments: &[&str], line: &str) -> Option<String> {
    let temp = TestDir::new();
    let script = ended(temp.binary(["completion", shell]).output().unwrap());
    assert_eq!((script.code, script.stderr.as_str()), (0, ""));
    temp.file("script", script.stdout);
    let output = Command::new(shell)
        .args(arguments)
        .arg("-c")
        .arg(line)
        .current_dir(temp.path(""))
        .output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {shell} is not installed");
            None
        }
        output => {
            let ended = ended(output.unwrap());
            assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{shell}");
            Some(ended.stdout)
        }
    }
}

#[test]
fn bash_completes_subcommands_and_options() {
    let complete = |words: &str, count: usize| {
        source(
            "bash",
            &["--norc", "--noprofile"],
            &format!(
                "source ./script
                registered=$(complete -p wasi-overlay)
                [[ $registered =~ -F\\ ([^ ]+) ]]
                COMP_WORDS=({words}) COMP_CWORD={count}
                ${{BASH_REMATCH[1]}} wasi-overlay \"${{COMP_WORDS[{count}]}}\" x
                echo \"${{COMPREPLY[*]}}\""
            ),
        )
        .expect("bash is installed")
    };
    assert_eq!(
        complete("wasi-overlay comp", 1),
        "compose component completion\n"
    );
    assert_eq!(complete("wasi-overlay run --l", 2), "--layer\n");
    // Options that are not served are not completed.
    assert_eq!(complete("wasi-overlay run --prof", 2), "\n");
}

#[test]
fn zsh_sources_its_script() {
    let line = "autoload -Uz compinit; compinit -u -d ./dump; source ./script; \
                print -r -- ${_comps[wasi-overlay]}";
    if let Some(printed) = source("zsh", &["-f"], line) {
        assert_eq!(printed, "_wasi-overlay\n");
    }
}

#[test]
fn fish_completes_subcommands() {
    let line = "source ./script; complete -C 'wasi-overlay comp'";
    if let Some(printed) = source("fish", &["--no-config"], line) {
        for name in ["compose", "component", "completion"] {
            assert!(printed.contains(name), "{printed}");
        }
    }
}
