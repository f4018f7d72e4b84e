//! The `completion` command, which writes a completion script for a shell.

use crate::command_line;
use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write;

/// The arguments of `completion`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: ShellArg,
}

/// A shell that has completion.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ShellArg {
    Bash,
    Zsh,
    Fish,
}

/// Writes the script to stdout.
pub(crate) fn write(args: CompletionArgs) -> Result<()> {
    let shell = match args.shell {
        ShellArg::Bash => Shell::Bash,
        ShellArg::Zsh => Shell::Zsh,
        ShellArg::Fish => Shell::Fish,
    };
    // `generate` panics if a write fails, so it writes to memory.
    let mut script = Vec::new();
    let mut command = without_hidden_options(command_line::command());
    clap_complete::generate(shell, &mut command, "wasi-overlay", &mut script);
    let script = String::from_utf8(script).context("the script is not UTF-8")?;
    // The script for bash spells a name with a hyphen in two ways, so that no subcommand is found
    // (clap-rs/clap, issue 6421).
    let script = script.replace("wasi__subcmd__overlay", "wasi__overlay");
    std::io::stdout()
        .write_all(script.as_bytes())
        .context("the script cannot be written to stdout")
}

/// Removes hidden options of `run`, which scripts for bash and zsh would complete.
fn without_hidden_options(command: Command) -> Command {
    command.mut_subcommand("run", |run| {
        let visible = run.get_arguments().filter(|arg| !arg.is_hide_set());
        let visible: Vec<_> = visible.cloned().collect();
        let about = run.get_about().cloned().unwrap_or_default();
        Command::new("run").about(about).args(visible)
    })
}

const EXAMPLES: &str = "\
Examples:
  bash, in ~/.bashrc:
    source <(wasi-overlay completion bash)
  zsh, in ~/.zshrc after compinit:
    source <(wasi-overlay completion zsh)
  fish:
    wasi-overlay completion fish >~/.config/fish/completions/wasi-overlay.fish";
