//! Definitions of the command-line arguments.
//!
//! Options come before the wasm file, the guest's arguments after it. Options of `wasmtime run` have the
//! same names and meaning here.

use crate::compose::{ComponentArgs, ComposeArgs};
use crate::mounts::{AbsoluteSymlinksArg, DirSpec, OverlaySpec, UpperArg};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use wasmtime_cli_flags::CommonOptions;

/// Runs WebAssembly programs on layers of directories.
#[derive(Parser)]
#[command(name = "wasi-overlay", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A subcommand.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs a WebAssembly program on an overlay of directories.
    Run(Box<RunArgs>),
    /// Embeds an overlay in a WebAssembly program, to run on any WASI 0.2 host.
    Compose(ComposeArgs),
    /// Writes the overlay as a separate component, for composers such as `wac plug`.
    Component(ComponentArgs),
}

/// The arguments of `run`.
#[derive(Args)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) main: MainMount,

    /// Mounts another overlay: `dst=/data,layer=a,layer=b,upper=c`
    ///
    /// Keys: `dst=GUEST_PATH`; `layer=DIR`, repeated for each layer,
    /// bottom first; `upper=DIR`, `upper=memory[:SIZE]` or `memory[=SIZE]`;
    /// `ro`; `volatile`; `absolute-symlinks=refuse|root`; `cross-mounts`
    /// (enter filesystems that are mounted inside a layer). A comma in a
    /// path is written `\,`, a backslash `\\`.
    // These lines keep the help within 80 columns: clap does not wrap them.
    #[arg(long = "mount", help_heading = "More mounts", value_name = "SPEC", value_parser = OverlaySpec::parse,
          verbatim_doc_comment)]
    pub(crate) mounts: Vec<OverlaySpec>,

    /// Mounts a host directory directly, without layers.
    ///
    /// `HOST` has the same name in the guest, `HOST::GUEST` the name `GUEST`; `::ro` makes it
    /// read-only.
    #[arg(long = "dir", help_heading = "More mounts", value_name = "HOST[::GUEST[::ro]]", value_parser = DirSpec::parse)]
    pub(crate) dirs: Vec<DirSpec>,

    /// Sets an environment variable of the guest; without a value, inherits it.
    #[arg(long = "env", help_heading = "Program", value_name = "NAME[=VALUE]", value_parser = EnvVar::parse)]
    pub(crate) env: Vec<EnvVar>,

    /// Calls this function instead of the program's entry point.
    ///
    /// For a core module, the name of an export, which gets the arguments after the wasm file.
    /// For a component, a call in WAVE, as `name(arguments)`.
    #[arg(long, help_heading = "Program", value_name = "FUNCTION")]
    pub(crate) invoke: Option<String>,

    /// Overrides `argv[0]`, which is the name of the wasm file by default.
    #[arg(long, help_heading = "Program", value_name = "NAME")]
    pub(crate) argv0: Option<String>,

    /// Allows a precompiled program (`*.cwasm`).
    ///
    /// It is native code, which cannot be validated: use only files of `wasmtime compile` that
    /// you trust.
    #[arg(long, help_heading = "Program")]
    pub(crate) allow_precompiled: bool,

    #[command(flatten, next_help_heading = "Wasmtime")]
    pub(crate) common: CommonOptions,

    /// The program (a core module of WASI 0.1 or a component of WASI 0.2 or 0.3; binary, text or
    /// precompiled) and its arguments.
    #[arg(
        value_name = "APP",
        help_heading = None,
        trailing_var_arg = true,
        required = true
    )]
    pub(crate) app_and_args: Vec<OsString>,
}

/// The overlay that `--layer`, `--upper` and the other overlay options describe.
#[derive(Args)]
#[command(next_help_heading = "Overlay")]
pub(crate) struct MainMount {
    /// Adds a read-only layer, on top of the previous layers.
    #[arg(long = "layer", value_name = "DIR")]
    pub(crate) layers: Vec<PathBuf>,

    /// Keeps changes in a directory, or in memory, where they are discarded at the end
    /// [default: memory:1g].
    #[arg(long, value_name = "DIR|memory[:SIZE]",
          value_parser = OsStringValueParser::new().try_map(UpperArg::parse))]
    pub(crate) upper: Option<UpperArg>,

    /// Mounts the overlay read-only.
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Mount point of the overlay in the guest [default: /].
    #[arg(long, value_name = "GUEST_PATH")]
    pub(crate) at: Option<String>,

    /// Does not sync changes to disk: after a crash of the machine, discard the upper.
    #[arg(long)]
    pub(crate) volatile: bool,

    /// Whether absolute symbolic links in layers are refused, or resolved from the mount's root
    /// [default: refuse].
    #[arg(long, value_name = "POLICY")]
    pub(crate) absolute_symlinks: Option<AbsoluteSymlinksArg>,
}

/// The value of one `--env` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvVar {
    /// The name.
    pub(crate) name: String,
    /// The value; none to inherit it.
    pub(crate) value: Option<String>,
}

impl EnvVar {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("the name is missing; write NAME=VALUE".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

const EXAMPLES: &str = "\
Examples:
  Run a program on two layers, and discard its changes at the end:
    wasi-overlay run --layer base --layer app tool.wasm

  Keep its changes in a directory:
    wasi-overlay run --layer base --layer app --upper changes tool.wasm --verbose

  Mount two overlays and a plain host directory:
    wasi-overlay run --layer rootfs --mount dst=/data,layer=seed,memory=64m \\
      --dir .::/work::ro tool.wasm

  Call a function:
    wasi-overlay run --layer base --invoke add sum.wat 1 2

  Log failed calls of the program (call, path, layer, reason, remedy):
    WASMTIME_LOG=wasi_overlay=debug wasi-overlay run --layer base tool.wasm";

const USAGE: &str = "wasi-overlay run [OPTIONS] APP.wasm|.wat|.cwasm [ARGS]...";
