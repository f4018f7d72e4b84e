//! The progress of transfers: bars for people at a terminal, lines for logs. Without its tools a test is
//! skipped, except in CI.

use crate::image_support::{Test, file};
use crate::relay::{Gate, Relay};
use crate::support::ended;
use crate::wat;
use serde_json::json;
use std::process::{Command, Stdio};
use wasi_overlay_image::Digest;
use wasi_overlay_proof::machine::Need;
use wasi_overlay_proof::registry::Registry;

const COLUMNS: usize = 80;

/// A registry with an image, and an empty store to pull it to.
struct Pulls {
    registry: Registry,
    relay: Relay,
    source: Test,
    here: Test,
    name: String,
}

impl Pulls {
    fn new(test: &str) -> Option<Self> {
        let tools = ["script", "stty"].map(Need::Program);
        let registry = Registry::start(test, &[], &tools)?;
        let relay = Relay::new(registry.host(), Gate::Open);
        let name = format!("{}/app:1", relay.host());
        Some(Self {
            registry,
            relay,
            source: Test::new(),
            here: Test::new(),
            name,
        })
    }

    /// Pushes an image that prints `text` on three lines. Returns the first digits of the digest of its layer.
    fn push(&self, text: &str) -> String {
        let files = [
            file("run", wat::cat(3, "text")),
            file("text", format!("{text} 1\n{text} 2\n{text} 3\n")),
            file("large", text.repeat(100_000)),
        ];
        let layer = self.source.pack("app", &files);
        let config = json!({"Entrypoint": ["/run"]});
        let name = format!("{}/app:1", self.registry.host());
        self.source
            .image(&name, config, std::slice::from_ref(&layer));
        let pushed = self.source.run(&["push", "--quiet", &name]);
        assert_eq!((pushed.code, pushed.stderr.as_str()), (0, ""), "{pushed:?}");
        Digest::of(&layer).hex()[..12].to_owned()
    }

    /// Runs a shell command at a terminal of this type, and returns the lines that it shows at the end. In the
    /// command, `$overlay` is the binary and `$name` the image.
    fn at_terminal(&self, terminal: &str, command: &str) -> Vec<String> {
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--echo", "never", "--command"])
            .arg(format!("stty cols {COLUMNS} rows 24; {command}"))
            .arg("/dev/null")
            .current_dir(self.here.temp.path("."))
            .env("overlay", env!("CARGO_BIN_EXE_wasi-overlay"))
            .env("name", &self.name)
            .env("WASI_OVERLAY_STORE", self.here.temp.path("store"))
            .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("TERM", terminal)
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        let ended = ended(script.output().unwrap());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
        screen(&ended.stdout)
    }
}

/// The lines that a terminal shows after this output, without spaces at their ends.
fn screen(output: &str) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut rest = output.chars();
    while let Some(character) = rest.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                assert_eq!(rest.next(), Some('['), "{output:?}");
                let mut number = String::new();
                let code = loop {
                    match rest.next().unwrap() {
                        digit @ ('0'..='9' | ';') => number.push(digit),
                        code => break code,
                    }
                };
                match (code, number.parse::<usize>()) {
                    ('A', Ok(up)) => row -= up,
                    ('B', Ok(down)) => row += down,
                    ('K', Ok(2)) => lines[row].clear(),
                    // Colours.
                    ('m', _) => {}
                    _ => panic!("{number}{code}: {output:?}"),
                }
            }
            _ => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                }
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 2), Vec::new());
    }
    let mut lines: Vec<_> = lines
        .iter()
        .map(|line| line.iter().collect::<String>().trim_end().to_owned())
        .collect();
    let last = lines.iter().rposition(|line| !line.is_empty());
    lines.truncate(last.map_or(0, |last| last + 1));
    lines
}

#[test]
fn bars_are_drawn_at_a_terminal() {
    let Some(pulls) = Pulls::new("bars") else {
        return;
    };
    let layer = pulls.push("first");
    let shown = pulls.at_terminal("xterm", "$overlay pull $name >digest");
    assert_eq!(shown.len(), 2, "{shown:?}");
    let full = "=".repeat(30);
    assert!(shown[0].contains(&format!(" [{full}] ")), "{shown:?}");
    let bar = format!("{layer} [{full}] 500.00 KiB/500.00 KiB ");
    assert!(shown[1].starts_with(&bar), "{bar}: {shown:?}");
    let digest = pulls.here.temp.read("digest");
    assert!(
        digest.starts_with("sha256:") && digest.len() == 72,
        "{digest:?}"
    );

    let shown = pulls.at_terminal("xterm", "$overlay pull $name");
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].ends_with(" already there"), "{shown:?}");
    assert_eq!(shown[1], format!("{layer} already there"));
    assert_eq!(shown[2], digest.trim_end());
}

/// With `TERM=dumb` nothing was printed at all: bars were chosen, and then hidden.
#[test]
fn lines_are_printed_for_logs_and_simple_terminals() {
    let Some(pulls) = Pulls::new("lines") else {
        return;
    };
    let layer = pulls.push("first");
    for (terminal, command, stderr) in [
        ("xterm", "$overlay pull $name 2>log", "log"),
        ("xterm", "$overlay pull --progress plain $name", ""),
        ("dumb", "$overlay pull $name", ""),
        ("xterm", "$overlay pull --progress none $name", "nothing"),
        ("xterm", "$overlay pull --quiet $name", "nothing"),
    ] {
        let mut shown = pulls.at_terminal(terminal, command);
        let digest = shown.pop().unwrap();
        assert!(digest.starts_with("sha256:"), "{command}: {shown:?}");
        if stderr == "log" {
            assert!(shown.is_empty(), "{shown:?}");
            let log = pulls.here.temp.read("log");
            shown.extend(log.lines().map(str::to_owned));
        }
        if stderr == "nothing" {
            assert!(shown.is_empty(), "{command}: {shown:?}");
        } else {
            assert_eq!(shown.len(), 2, "{command}: {shown:?}");
            assert!(shown[0].contains(" done ("), "{command}: {shown:?}");
            assert_eq!(shown[1], format!("{layer} done (500 KiB)"), "{command}");
        }
        std::fs::remove_dir_all(pulls.here.temp.path("store")).unwrap();
    }
}

/// The bar of a layer that did not arrive was removed when the program had ended, and the last lines of the
/// program with it.
#[test]
fn bars_of_a_failed_pull_remove_no_output() {
    let Some(pulls) = Pulls::new("bars of a failed pull") else {
        return;
    };
    pulls.push("first");
    pulls.at_terminal("xterm", "$overlay pull --quiet $name");
    let layer = pulls.push("second");
    pulls.relay.set(Gate::Broken);
    let shown = pulls.at_terminal("xterm", "$overlay run --retry-times 0 --pull newer $name");
    let text = shown.join("");
    assert!(text.contains("the image in the store is used"), "{shown:?}");
    assert!(text.contains("closed the connection"), "{shown:?}");
    assert!(!text.contains(&format!("{layer} [")), "{shown:?}");
    let last = shown.len() - 3;
    assert_eq!(shown[last..], ["first 1", "first 2", "first 3"]);
}
